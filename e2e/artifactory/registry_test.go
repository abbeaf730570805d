package artifactory_test

import (
	"io"
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
	ociStaging = artifactorytest.OCIStaging
	ociRelease = artifactorytest.OCIRelease
)

func registry(t *testing.T, quirks standin.Quirks) *standin.Server {
	t.Helper()
	cfg := artifactorytest.Wide()
	cfg.Quirks, cfg.Repositories = quirks, append(cfg.Repositories, standin.Repository{Key: "pure-oci", PackageType: "oci"}, standin.Repository{Key: "files"})
	return artifactorytest.Start(t, cfg)
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

// readLayers reads them all; the library checks their digests.
func readLayers(t *testing.T, img v1.Image) {
	t.Helper()
	layers, err := img.Layers()
	require.NoError(t, err)
	for _, l := range layers {
		rc, err := l.Compressed()
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, rc)
		require.NoError(t, err)
		require.NoError(t, rc.Close())
	}
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
			readLayers(t, got)
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
