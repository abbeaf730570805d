package artifactory

import (
	"net/url"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/stretchr/testify/require"
)

// Only an upload into the image goes on where somebody else says.
func TestRoutesOutOfTheRegistry(t *testing.T) {
	t.Parallel()
	base, err := url.Parse("https://art.example.com/artifactory/")
	require.NoError(t, err)
	r := &registry{c: &Client{wire: &transport{base: base}}, repo: "images", base: base.String() + "api/docker/images/v2/"}
	r.image, err = name.NewRepository(registryHost+"/gateway/agent", name.StrictValidation)
	require.NoError(t, err)
	const home = "https://art.example.com"
	for target, want := range map[string]bool{
		home + "/artifactory/api/docker/images/v2/gateway/agent/blobs/uploads/1?digest=sha256:1": true,
		home + "/v2/images/gateway/agent/blobs/uploads/1":                                        true,
		home + "/v2/gateway/agent/blobs/uploads/1":                                               true,
		home + "/artifactory/api/docker/images/v2/gateway/agent/blobs/uploads/":                  false,
		home + "/artifactory/api/docker/images/v2/gateway/other/blobs/uploads/1":                 false,
		home + "/artifactory/api/docker/images/v2/gateway/agent/manifests/1":                     false,
		home + "/artifactory/api/docker/images/v2/gateway/agent/blobs/uploads/../../manifests/1": false,
		home + "/artifactory/api/docker/images/v2/gateway/agent/blobs/uploads/%2e%2e/x":          false,
		home + "/artifactory/api/docker/images/v2/gateway/agent/blobs/uploads/a%2f..":            false,
		home + "/artifactory/libs/app.bin":                                                       false,
		home + "/artifactory/api/security/token":                                                 false,
		"http://art.example.com/v2/images/gateway/agent/blobs/uploads/1":                         false,
		"https://elsewhere.example.com/v2/gateway/agent/blobs/uploads/1":                         false,
	} {
		u, err := url.Parse(target)
		require.NoError(t, err)
		for method, writes := range map[string]bool{"PATCH": true, "PUT": true, "GET": false, "HEAD": false, "POST": false, "DELETE": false} {
			call, _, to, err := r.route(method, u)
			if !want || !writes {
				require.Error(t, err, "%s %s", method, target)
				require.Empty(t, to)
				continue
			}
			require.NoError(t, err, "%s %s", method, target)
			require.Equal(t, callUpload, call)
			require.Equal(t, target, to)
		}
	}
}
