package artifactory_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

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
