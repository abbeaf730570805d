package artifactory_test

import (
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// An image may be named as docker names it; a file with a colon in its name stays itself.
func TestNamed(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{})
	c := h.client(artifactorytest.Reader)
	image, index := h.image("1.0"), h.index("2.0")
	child, err := remote.Index(h.at(":2.0"), asCI)
	require.NoError(t, err)
	m, err := child.IndexManifest()
	require.NoError(t, err)
	lost := artifact.Digest{1}.String()
	for text, want := range map[string]string{
		artifactorytest.OCIStaging + "/" + imageName + ":1.0":                               image.Ref.String(),
		artifactorytest.OCIStaging + "/" + imageName + ":2.0":                               index.Ref.String(),
		artifactorytest.OCIStaging + "/" + imageName + "@sha256:" + image.SHA256.String():   image.Ref.String(),
		artifactorytest.OCIStaging + "/" + imageName + ":x@sha256:" + index.SHA256.String(): index.Ref.String(),
		artifactorytest.OCIStaging + "/" + imageName + "@" + m.Manifests[0].Digest.String(): artifactorytest.OCIStaging + "/" + imageName + "/" + m.Manifests[0].Digest.String() + "/manifest.json",
		artifactorytest.OCIStaging + "/" + imageName + ":none":                              artifactorytest.OCIStaging + "/" + imageName + "/none/manifest.json",
		artifactorytest.OCIStaging + "/other@sha256:" + image.SHA256.String():               artifactorytest.OCIStaging + "/other/sha256:" + image.SHA256.String() + "/manifest.json",
		artifactorytest.OCIStaging + "/" + imageName + "@sha256:" + lost:                    artifactorytest.OCIStaging + "/" + imageName + "/sha256:" + lost + "/manifest.json",
		artifactorytest.OCIVirtual + "/" + imageName + ":1.0":                               image.Ref.String(),
		artifactorytest.Staging + "/notes/a:b":                                              artifactorytest.Staging + "/notes/a:b",
		image.Ref.String():                                                                  image.Ref.String(),
	} {
		ref, err := artifact.ParseRef("main", text)
		require.NoError(t, err)
		got, err := c.Named(t.Context(), ref)
		require.NoError(t, err, text)
		require.Equal(t, want, got.String(), text)
		require.Equal(t, "main", got.Instance)
	}
	h.Fail(standin.Fault{Path: "/artifactory/api/storage/**", Status: http.StatusForbidden, Times: -1})
	_, err = c.Named(t.Context(), artifact.Ref{Instance: "main", Repo: artifactorytest.OCIStaging, Path: imageName + ":1.0"})
	require.ErrorContains(t, err, "403", "what cannot be learnt is not guessed")
}
