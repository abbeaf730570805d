package artifactory_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func TestRegistryRefusals(t *testing.T) {
	t.Parallel()
	s := registry(t, standin.Quirks{})
	digest := push(t, s, ociStaging+"/app:1", image(t, nil)).String()
	manifestType := map[string]string{"Content-Type": string(types.OCIManifestSchema1)}
	missing := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"x","digest":"sha256:` + helloSHA256 + `","size":1},"layers":[]}`
	for _, tt := range []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		code                     string
	}{
		{"no repository", "GET", "app/manifests/1", "", nil, 404, "NAME_UNKNOWN"},
		{"repository of files", "GET", "files/app/manifests/1", "", nil, 404, "NAME_UNKNOWN"},
		{"bad name", "GET", ociStaging + "/App/manifests/1", "", nil, 400, "NAME_INVALID"},
		{"unknown tag", "GET", ociStaging + "/app/manifests/2", "", nil, 404, "MANIFEST_UNKNOWN"},
		{"unknown blob", "GET", ociStaging + "/app/blobs/sha256:" + helloSHA256, "", nil, 404, "BLOB_UNKNOWN"},
		{"bad digest", "GET", ociStaging + "/app/blobs/md5:1", "", nil, 400, "DIGEST_INVALID"},
		{"unknown image", "GET", ociStaging + "/other/tags/list", "", nil, 404, "NAME_UNKNOWN"},
		{"missing config", "PUT", ociStaging + "/app/manifests/2", missing, manifestType, 404, "MANIFEST_BLOB_UNKNOWN"},
		{"other digest", "PUT", ociStaging + "/app/manifests/" + digest, missing, manifestType, 400, "DIGEST_INVALID"},
		{"no manifest", "PUT", ociStaging + "/app/manifests/2", "{}", manifestType, 400, "MANIFEST_INVALID"},
		{"other type", "PUT", ociStaging + "/app/manifests/2", missing, map[string]string{"Content-Type": string(types.DockerManifestSchema2)}, 400, "MANIFEST_INVALID"},
		{"schema 1", "PUT", ociStaging + "/app/manifests/2", `{"schemaVersion":1}`, map[string]string{"Content-Type": string(types.DockerManifestSchema1)}, 400, "MANIFEST_INVALID"},
		{"bad tag", "PUT", ociStaging + "/app/manifests/-2", missing, manifestType, 400, "TAG_INVALID"},
		{"unknown upload", "PATCH", ociStaging + "/app/blobs/uploads/1", "x", nil, 404, "BLOB_UPLOAD_UNKNOWN"},
		{"other content", "POST", ociStaging + "/app/blobs/uploads/?digest=sha256:" + helloSHA256, "x", nil, 400, "DIGEST_INVALID"},
		{"delete unknown", "DELETE", ociStaging + "/app/manifests/2", "", nil, 404, "MANIFEST_UNKNOWN"},
		{"something else", "GET", ociStaging + "/app/colours/2", "", nil, 501, "UNSUPPORTED"},
		{"other method", "POST", ociStaging + "/app/manifests/2", "", nil, 501, "UNSUPPORTED"},
	} {
		resp, body := send(t, s, request{tt.method, "/v2/" + tt.path, artifactorytest.CI, tt.body, tt.header})
		require.Equal(t, tt.status, resp.StatusCode, "%s: %s", tt.name, body)
		require.Contains(t, body, `"code":"`+tt.code+`"`, tt.name)
	}
}

// Uploads in chunks, as clients of large layers do, and their mistakes.
func TestChunkedUpload(t *testing.T) {
	t.Parallel()
	s := registry(t, standin.Quirks{})
	call := func(method, target, body string, header map[string]string) *http.Response {
		resp, _ := send(t, s, request{method, target, artifactorytest.CI, body, header})
		return resp
	}
	resp := call("POST", "/v2/"+ociStaging+"/app/blobs/uploads/", "", nil)
	require.Equal(t, 202, resp.StatusCode)
	at := resp.Header.Get("Location")
	require.Equal(t, 202, call("PATCH", at, "hel", map[string]string{"Content-Range": "0-2"}).StatusCode)
	require.Equal(t, 416, call("PATCH", at, "lo", map[string]string{"Content-Range": "2-3"}).StatusCode)
	require.Equal(t, "0-2", call("GET", at, "", nil).Header.Get("Range"))
	require.Equal(t, 202, call("PATCH", at, "lo", map[string]string{"Content-Range": "3-4"}).StatusCode)
	require.Equal(t, 201, call("PUT", at+"?digest=sha256:"+helloSHA256, "\n", nil).StatusCode)
	require.Equal(t, 404, call("GET", at, "", nil).StatusCode)
	_, body := send(t, s, request{method: "GET", target: "/v2/" + ociStaging + "/app/blobs/sha256:" + helloSHA256, token: artifactorytest.Reader})
	require.Equal(t, "hello\n", body)
	at = call("POST", "/v2/"+ociStaging+"/app/blobs/uploads/", "", nil).Header.Get("Location")
	require.Equal(t, 204, call("DELETE", at, "", nil).StatusCode)
	require.Equal(t, 404, call("GET", at, "", nil).StatusCode)
	resp = call("POST", "/v2/"+ociRelease+"/b/blobs/uploads/?mount=sha256:"+helloSHA256+"&from="+ociStaging+"/app", "", nil)
	require.Equal(t, 201, resp.StatusCode, "mounted")
	resp = call("POST", "/v2/"+ociRelease+"/c/blobs/uploads/?mount=sha256:"+helloSHA256+"&from="+ociStaging+"/other", "", nil)
	require.Equal(t, 202, resp.StatusCode, "to be uploaded")
}

func TestTagsAndDeletion(t *testing.T) {
	t.Parallel()
	s := registry(t, standin.Quirks{})
	img := image(t, nil)
	for _, tag := range []string{"c", "a", "b"} {
		push(t, s, ociStaging+"/app:"+tag, img)
	}
	resp, body := send(t, s, request{method: "GET", target: "/v2/" + ociStaging + "/app/tags/list?n=2", token: artifactorytest.Reader})
	require.Contains(t, body, `"tags":["a","b"]`)
	require.Equal(t, `</v2/`+ociStaging+`/app/tags/list?n=2&last=b>; rel="next"`, resp.Header.Get("Link"))
	tags, err := remote.List(ref(t, s, ociStaging+"/app").Context(), as(artifactorytest.Reader), remote.WithPageSize(1))
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, tags)
	reg, err := name.NewRegistry(strings.TrimPrefix(s.URL(), "http://"))
	require.NoError(t, err)
	images, err := remote.Catalog(t.Context(), reg, as(artifactorytest.Reader))
	require.NoError(t, err)
	require.Equal(t, []string{ociStaging + "/app"}, images)
	digest, err := img.Digest()
	require.NoError(t, err)
	require.NoError(t, remote.Delete(ref(t, s, ociStaging+"/app:b"), as(artifactorytest.CI)))
	_, err = remote.Head(ref(t, s, ociStaging+"/app:c"), as(artifactorytest.Reader))
	require.NoError(t, err)
	require.NoError(t, remote.Delete(ref(t, s, ociStaging+"/app@"+digest.String()), as(artifactorytest.CI)))
	require.Empty(t, s.Paths(ociStaging), "all tags of a digest")
}
