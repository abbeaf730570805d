package artifactory_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

const (
	ociStaging = "oci-staging-local"
	ociRelease = "oci-release-local"
)

func registry(t *testing.T, quirks standin.Quirks) *standin.Server {
	t.Helper()
	return artifactorytest.Start(t, standin.Config{Quirks: quirks, Repositories: []standin.Repository{
		{Key: ociStaging, PackageType: "docker"}, {Key: ociRelease, PackageType: "docker"}, {Key: "pure-oci", PackageType: "oci"}, {Key: "files"},
		{Key: "oci", PackageType: "docker", Class: standin.Virtual, Members: []string{ociRelease, ociStaging}, DeployTo: ociStaging},
	}})
}

// as logs in; the user of a token is its name without "token-", except for the signer.
func as(token string) remote.Option {
	user := strings.TrimPrefix(token, "token-")
	if token == artifactorytest.Signer {
		user = "hallmark"
	}
	return remote.WithAuth(&authn.Basic{Username: user, Password: token})
}

func ref(t *testing.T, s *standin.Server, image string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(strings.TrimPrefix(s.URL(), "http://") + "/" + image)
	require.NoError(t, err)
	return r
}

func image(t *testing.T, labels map[string]string) v1.Image {
	t.Helper()
	img, err := random.Image(1000, 2)
	require.NoError(t, err)
	img, err = mutate.Config(img, v1.Config{Labels: labels})
	require.NoError(t, err)
	return img
}

func push(t *testing.T, s *standin.Server, at string, img v1.Image) v1.Hash {
	t.Helper()
	require.NoError(t, remote.Write(ref(t, s, at), img, as(artifactorytest.CI)))
	d, err := img.Digest()
	require.NoError(t, err)
	return d
}

// multi is an index of two platforms.
func multi(t *testing.T) v1.ImageIndex {
	t.Helper()
	idx := v1.ImageIndex(mutate.IndexMediaType(empty.Index, types.OCIImageIndex))
	for _, arch := range []string{"amd64", "arm64"} {
		img := mutate.MediaType(image(t, map[string]string{"arch": arch}), types.OCIManifestSchema1)
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	return idx
}

func TestPushAndPull(t *testing.T) {
	t.Parallel()
	for _, repo := range []string{ociStaging, "pure-oci", "oci"} {
		t.Run(repo, func(t *testing.T) {
			t.Parallel()
			s, holder := registry(t, standin.Quirks{}), repo
			if repo == "oci" {
				holder = ociStaging
			}
			img := image(t, map[string]string{"org.label": "v", "bad key": "x"})
			digest := push(t, s, repo+"/gateway/agent:4.2.0", img)
			got, err := remote.Image(ref(t, s, repo+"/gateway/agent:4.2.0"), as(artifactorytest.Reader))
			require.NoError(t, err)
			gotDigest, err := got.Digest()
			require.NoError(t, err)
			require.Equal(t, digest, gotDigest)
			layers, err := got.Layers()
			require.NoError(t, err)
			for _, l := range layers {
				rc, err := l.Compressed()
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, rc) // verified by the library
				require.NoError(t, err)
				require.NoError(t, rc.Close())
			}
			_, err = remote.Head(ref(t, s, repo+"/gateway/agent@"+digest.String()), as(artifactorytest.Reader))
			require.NoError(t, err, "by digest, although only a tag has it")

			m, err := img.Manifest()
			require.NoError(t, err)
			want := []string{"gateway/agent/4.2.0/manifest.json", "gateway/agent/4.2.0/sha256__" + m.Config.Digest.Hex}
			for _, l := range m.Layers {
				want = append(want, "gateway/agent/4.2.0/sha256__"+l.Digest.Hex)
			}
			slices.Sort(want)
			require.Equal(t, want, sortedPaths(s, holder))
			f, _ := s.File(holder, "gateway/agent/4.2.0/manifest.json")
			require.Equal(t, digest.Hex, f.SHA256)
			require.Equal(t, map[string][]string{
				"docker.manifest": {"4.2.0"}, "docker.manifest.digest": {digest.String()}, "docker.manifest.type": {string(m.MediaType)},
				"docker.repoName": {"gateway/agent"}, "sha256": {digest.Hex}, "artifactory.content-type": {string(m.MediaType)}, "docker.label.org.label": {"v"},
			}, f.Properties)

			for _, base := range []string{"/v2/" + repo, "/artifactory/api/docker/" + repo + "/v2"} {
				resp, _ := send(t, s, request{method: "HEAD", target: base + "/gateway/agent/manifests/" + digest.String(), token: artifactorytest.Reader})
				require.Equal(t, 200, resp.StatusCode)
				require.Equal(t, holder, resp.Header.Get("X-Artifactory-Docker-Registry"))
				require.Equal(t, digest.String(), resp.Header.Get("Docker-Content-Digest"))
				require.Equal(t, string(m.MediaType), resp.Header.Get("Content-Type"))
			}
			require.NoError(t, remote.Write(ref(t, s, repo+"/gateway/agent:4.2.0"), img, as(artifactorytest.CI)), "again")
			other := push(t, s, repo+"/gateway/agent:4.2.0", image(t, nil))
			require.Len(t, s.Paths(holder), 4, "nothing of the older image stays")
			_, err = remote.Head(ref(t, s, repo+"/gateway/agent@"+digest.String()), as(artifactorytest.Reader))
			require.Error(t, err)
			_, err = remote.Head(ref(t, s, repo+"/gateway/agent@"+other.String()), as(artifactorytest.Reader))
			require.NoError(t, err)
		})
	}
}

func TestPushIndex(t *testing.T) {
	t.Parallel()
	s := registry(t, standin.Quirks{})
	idx := multi(t)
	require.NoError(t, remote.WriteIndex(ref(t, s, ociStaging+"/app:1"), idx, as(artifactorytest.CI)))
	m, err := idx.IndexManifest()
	require.NoError(t, err)
	paths := s.Paths(ociStaging)
	require.Contains(t, paths, "app/1/list.manifest.json")
	for _, child := range m.Manifests {
		require.Contains(t, paths, "app/"+child.Digest.String()+"/manifest.json")
	}
	img, err := remote.Image(ref(t, s, ociStaging+"/app:1"), as(artifactorytest.Reader), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "arm64"}))
	require.NoError(t, err)
	cfg, err := img.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "arm64", cfg.Config.Labels["arch"])
	tags, err := remote.List(ref(t, s, ociStaging+"/app").Context(), as(artifactorytest.Reader))
	require.NoError(t, err)
	require.Equal(t, []string{"1"}, tags, "digests are no tags")

	require.NoError(t, s.Delete("ci", ociStaging, "app/"+m.Manifests[0].Digest.String()))
	raw, err := idx.RawManifest()
	require.NoError(t, err)
	again := request{"PUT", "/v2/" + ociStaging + "/app/manifests/2", artifactorytest.CI, string(raw), map[string]string{"Content-Type": string(types.OCIImageIndex)}}
	resp, body := send(t, s, again)
	require.Equal(t, 404, resp.StatusCode, body)
	require.Contains(t, body, "MANIFEST_BLOB_UNKNOWN")
	require.NoError(t, s.SetQuirks(standin.Quirks{MissingChildren: "accept"}))
	resp, body = send(t, s, again)
	require.Equal(t, 201, resp.StatusCode, body)
}

func TestRegistryAuthentication(t *testing.T) {
	t.Parallel()
	for _, quirk := range []string{"bearer", "basic"} {
		s := registry(t, standin.Quirks{RegistryAuth: quirk})
		img := image(t, nil)
		at := ref(t, s, ociStaging+"/app:1")
		status := func(err error) int {
			var te *transport.Error
			require.ErrorAs(t, err, &te)
			return te.StatusCode
		}
		require.Equal(t, 403, status(remote.Write(at, img, as(artifactorytest.Reader))))
		require.Equal(t, 401, status(remote.Write(at, img, remote.WithAuth(&authn.Basic{Username: "ci", Password: "wrong"}))))
		require.Equal(t, 401, status(remote.Write(at, img)))
		require.NoError(t, remote.Write(at, img, as(artifactorytest.CI)))
		require.Equal(t, 403, status(remote.Write(at, image(t, nil), as(artifactorytest.Signer))), "a tag is overwritten only with delete rights")
		require.NoError(t, remote.Write(ref(t, s, ociStaging+"/app:2"), img, as(artifactorytest.Signer)))
		_, err := remote.Head(at, remote.WithAuth(&authn.Bearer{Token: artifactorytest.Reader}))
		require.NoError(t, err, "an access token is a token, too")
		resp, _ := send(t, s, request{method: "GET", target: "/v2/"})
		require.Equal(t, 401, resp.StatusCode)
		require.Equal(t, quirk == "bearer", strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), `Bearer realm="`+s.URL()+`/v2/token",service="`))
		asked := s.CountRequests("GET", "/v2/token")
		require.Equal(t, quirk == "bearer", asked > 0)
		s.RemoveToken(artifactorytest.CI)
		require.Equal(t, 401, status(remote.Write(at, img, as(artifactorytest.CI))))
	}
}

func TestReferrers(t *testing.T) {
	t.Parallel()
	for quirk, viaTag := range map[string]bool{"": false, "404": true} {
		s := registry(t, standin.Quirks{Referrers: quirk})
		digest := push(t, s, ociStaging+"/app:1", image(t, nil))
		subject := ref(t, s, ociStaging+"/app@"+digest.String()).(name.Digest)
		desc, err := remote.Head(subject, as(artifactorytest.CI))
		require.NoError(t, err)
		signature := mutate.Subject(mutate.MediaType(image(t, nil), types.OCIManifestSchema1), *desc).(v1.Image)
		d, err := signature.Digest()
		require.NoError(t, err)
		require.NoError(t, remote.Write(subject.Context().Digest(d.String()), signature, as(artifactorytest.Signer)))
		idx, err := remote.Referrers(subject, as(artifactorytest.Reader))
		require.NoError(t, err)
		m, err := idx.IndexManifest()
		require.NoError(t, err)
		require.Len(t, m.Manifests, 1)
		require.Equal(t, d, m.Manifests[0].Digest)
		require.Equal(t, viaTag, slices.Contains(s.Paths(ociStaging), "app/"+strings.Replace(digest.String(), ":", "-", 1)+"/list.manifest.json"))

		target := "/artifactory/api/docker/" + ociStaging + "/v2/app/referrers/" + digest.String()
		resp, body := send(t, s, request{method: "GET", target: target + "?artifactType=other/type", token: artifactorytest.Reader})
		if quirk == "404" {
			require.Equal(t, 404, resp.StatusCode)
			continue
		}
		require.Equal(t, "artifactType", resp.Header.Get("OCI-Filters-Applied"))
		require.Equal(t, "application/vnd.oci.image.index.v1+json", resp.Header.Get("Content-Type"))
		require.Contains(t, body, `"manifests":[]`)
		resp, body = send(t, s, request{method: "GET", target: "/v2/" + ociStaging + "/none/referrers/" + digest.String(), token: artifactorytest.Reader})
		require.Equal(t, 200, resp.StatusCode, body)
	}
	s := registry(t, standin.Quirks{Referrers: "403"})
	digest := push(t, s, ociStaging+"/app:1", image(t, nil))
	resp, _ := send(t, s, request{method: "GET", target: "/v2/" + ociStaging + "/app/referrers/" + digest.String(), token: artifactorytest.Admin})
	require.Equal(t, 403, resp.StatusCode)
}

func TestSubjectHeader(t *testing.T) {
	t.Parallel()
	for quirk, want := range map[string]bool{"": true, "answer": true, "omit": false} {
		s := registry(t, standin.Quirks{SubjectHeader: quirk})
		body := `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"subject":{"mediaType":"x","digest":"sha256:` + helloSHA256 + `","size":1}}`
		resp, got := send(t, s, request{"PUT", "/v2/" + ociStaging + "/app/manifests/x", artifactorytest.CI, body, map[string]string{"Content-Type": string(types.OCIImageIndex)}})
		require.Equal(t, 201, resp.StatusCode, got)
		require.Equal(t, want, resp.Header.Get("OCI-Subject") == "sha256:"+helloSHA256)
	}
}

func TestCorruptManifest(t *testing.T) {
	t.Parallel()
	s := registry(t, standin.Quirks{})
	digest := push(t, s, ociStaging+"/app:1", image(t, nil))
	other, err := image(t, nil).RawManifest()
	require.NoError(t, err)
	require.NoError(t, s.Corrupt(ociStaging, "app/1/manifest.json", other))
	resp, body := send(t, s, request{method: "GET", target: "/v2/" + ociStaging + "/app/manifests/1", token: artifactorytest.Reader})
	require.Equal(t, digest.String(), resp.Header.Get("Docker-Content-Digest"))
	require.Equal(t, string(other), body)
	_, err = remote.Image(ref(t, s, ociStaging+"/app@"+digest.String()), as(artifactorytest.Reader))
	require.Error(t, err)
	require.NoError(t, s.Delete("ci", ociStaging, "app"))
	require.NoError(t, s.Put("ci", "files", "x", strings.NewReader(string(other)), nil))
	got, err := s.Content("files", "x")
	require.NoError(t, err)
	require.Equal(t, string(other), string(got))
}

func TestDeliveryOfImages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		quirks  standin.Quirks
		pushed  int
		files   int
		deleted int
	}{
		{standin.Quirks{}, 3, 9, 3}, // two manifests with a config and two layers each, and the index
		{standin.Quirks{DigestPushes: "silent", ImageFiles: "silent"}, 1, 0, 1},
	} {
		s, r, items := registry(t, tt.quirks), newReceiver(t), newReceiver(t)
		sub := subscription(r)
		sub.Key, sub.EventFilter.Domain, sub.EventFilter.EventTypes = "images", "docker", []string{"pushed", "deleted", "promoted"}
		require.NoError(t, s.AddSubscription(sub))
		sub = subscription(items)
		sub.EventFilter.EventTypes = []string{"deployed"}
		require.NoError(t, s.AddSubscription(sub))
		idx := multi(t)
		require.NoError(t, remote.WriteIndex(ref(t, s, ociStaging+"/gateway/agent:4.2.0"), idx, as(artifactorytest.CI)))
		require.NoError(t, s.Delete("ci", ociStaging, "gateway"))
		delivered(t, s)
		counts := map[string]int{}
		raw, err := idx.RawManifest()
		require.NoError(t, err)
		digest, err := idx.Digest()
		require.NoError(t, err)
		for _, g := range r.received() {
			var p struct {
				EventType string `json:"event_type"`
				Data      struct {
					Path, Name, SHA256 string
					RepoKey            string `json:"repo_key"`
					ImageName          string `json:"image_name"`
					ImageType          string `json:"image_type"`
					Tag                string
					Size               int
					Platforms          []struct{ Architecture, OS string }
				}
			}
			require.NoError(t, json.Unmarshal([]byte(g.body), &p))
			counts[p.EventType]++
			require.Equal(t, []string{ociStaging, "gateway/agent", "docker"}, []string{p.Data.RepoKey, p.Data.ImageName, p.Data.ImageType})
			if p.EventType == "pushed" && p.Data.Tag == "4.2.0" {
				require.Equal(t, "gateway/agent/4.2.0/list.manifest.json", p.Data.Path)
				require.Equal(t, digest.Hex, p.Data.SHA256)
				require.Equal(t, len(raw), p.Data.Size)
				require.Len(t, p.Data.Platforms, 2)
				require.Equal(t, "arm64", p.Data.Platforms[1].Architecture)
			}
		}
		require.Equal(t, map[string]int{"pushed": tt.pushed, "deleted": tt.deleted}, counts)
		require.Len(t, items.received(), tt.files)
	}
}

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
