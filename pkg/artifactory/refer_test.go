package artifactory_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// Whichever request of an operation fails, before or after its effect, the operation ends well; also for a token that
// may not overwrite what the failed request has stored.
func TestReferThroughFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]standin.Fault{
		"503":           {Status: http.StatusServiceUnavailable},
		"503 after":     {Status: http.StatusServiceUnavailable, When: standin.After},
		"reset":         {Reset: true},
		"reset after":   {Reset: true, When: standin.After},
		"answer is cut": {Truncate: 1},
	} {
		for _, format := range formats {
			for _, quirk := range []string{"", "404"} {
				t.Run(name+"/"+format+"/referrers "+quirk, func(t *testing.T) {
					t.Parallel()
					h := newHarbour(t, standin.Quirks{Referrers: quirk})
					c, key := h.client(artifactorytest.Signer), sealtest.NewKey(t, "P-256", "one")
					for nth := int32(1); ; nth++ {
						image := h.image(fmt.Sprint(nth))
						content := sealed(t, key, format, image)
						var seen atomic.Int32
						f := fault
						f.Match = func(r *http.Request) bool {
							return strings.HasPrefix(r.URL.Path, "/artifactory/api/docker/") && seen.Add(1) == nth
						}
						disarm := h.Fail(f)
						where, err := c.Refer(t.Context(), image, format, content)
						require.NoError(t, err, "request %d", nth)
						got, err := c.Signatures(t.Context(), image)
						require.NoError(t, err, "request %d", nth)
						require.Equal(t, []artifactory.StoredSignature{{Name: where, Format: format, Content: content}}, got)
						if disarm() == 0 {
							require.Greater(t, nth, int32(5), "every request had its turn")
							return
						}
					}
				})
			}
		}
	}
}

// A server that forbids the referrers API is said to; the older scheme still works there.
func TestReferrersForbidden(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{Referrers: "403"})
	c, key, image := h.client(artifactorytest.CI), sealtest.NewKey(t, "P-256", "one"), h.image("1")
	before := len(h.Paths(artifactorytest.OCIStaging))
	_, err := c.Refer(t.Context(), image, "cosign", sealed(t, key, "cosign", image))
	var refused *artifactory.Refused
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusForbidden, refused.Status)
	require.Len(t, h.Paths(artifactorytest.OCIStaging), before, "nothing was written")
	content := sealed(t, key, "cosign-tag", image)
	where, err := c.Refer(t.Context(), image, "cosign-tag", content)
	require.NoError(t, err)
	got, err := c.Signatures(t.Context(), image)
	require.ErrorIs(t, err, artifactory.ErrReferrers)
	require.Equal(t, []artifactory.StoredSignature{{Name: where, Format: "cosign-tag", Content: content}}, got)
}

// What has to be overwritten needs a right that the signer may lack; the first signature stays.
func TestReferNeedsRights(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t, standin.Quirks{Referrers: "404"})
			c, image := h.client(artifactorytest.Signer), h.image("1")
			first := sealed(t, sealtest.NewKey(t, "P-256", "one"), format, image)
			_, err := c.Refer(t.Context(), image, format, first)
			require.NoError(t, err)
			_, err = c.Refer(t.Context(), image, format, sealed(t, sealtest.NewKey(t, "P-256", "two"), format, image))
			var refused *artifactory.Refused
			require.ErrorAs(t, err, &refused)
			require.Equal(t, http.StatusForbidden, refused.Status)
			require.Contains(t, err.Error(), "overwrite")
			got, err := c.Signatures(t.Context(), image)
			require.NoError(t, err)
			require.Len(t, got, 1)
			require.Equal(t, first, got[0].Content)

			_, err = h.client(artifactorytest.Reader).Refer(t.Context(), h.image("2"), format, first)
			require.ErrorAs(t, err, &refused)
			_, err = h.client("token-of-nobody").Signatures(t.Context(), image)
			var status *artifactory.StatusError
			require.ErrorAs(t, err, &status)
			require.Equal(t, http.StatusUnauthorized, status.Status)
		})
	}
}

// Signatures that are stored at the same time do not undo one another.
func TestReferAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, format := range formats {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t, standin.Quirks{Referrers: "404"})
			c, image := h.client(artifactorytest.CI), h.image("1")
			var all sync.WaitGroup
			errs := make([]error, 6)
			for i := range errs {
				content := sealed(t, sealtest.NewKey(t, "P-256", fmt.Sprint(i)), format, image)
				all.Go(func() { _, errs[i] = c.Refer(t.Context(), image, format, content) })
			}
			all.Wait()
			for _, err := range errs {
				require.NoError(t, err)
			}
			got, err := c.Signatures(t.Context(), image)
			require.NoError(t, err)
			require.Len(t, got, len(errs))
		})
	}
}

// push stores a referrer of somebody else.
func (h harbour) push(subject artifact.Subject, artifactType string, layers ...mutate.Addendum) v1.Hash {
	h.t.Helper()
	img, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.MediaType(artifactType)), layers...)
	require.NoError(h.t, err)
	img = mutate.Subject(img, v1.Descriptor{
		MediaType: types.MediaType(subject.Image.MediaType), Size: subject.Size, Digest: v1.Hash{Algorithm: "sha256", Hex: subject.SHA256.String()},
	}).(v1.Image)
	digest, err := img.Digest()
	require.NoError(h.t, err)
	require.NoError(h.t, remote.Write(h.at("@"+digest.String()), img, asCI))
	return digest
}

const bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

func layer(content []byte, kind types.MediaType) mutate.Addendum {
	return mutate.Addendum{Layer: static.NewLayer(content, kind), MediaType: kind}
}

// Other referrers are no signatures, and a damaged one keeps no good one from being read.
func TestSignaturesAmongOthers(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{})
	c, image := h.client(artifactorytest.CI), h.image("1")
	good := sealed(t, sealtest.NewKey(t, "P-256", "one"), "cosign", image)
	where, err := c.Refer(t.Context(), image, "cosign", good)
	require.NoError(t, err)
	h.push(image, "application/spdx+json", layer([]byte("{}"), "application/spdx+json"))
	h.push(image, "two/bundles", layer([]byte("{}"), bundleType), layer([]byte("[]"), bundleType))
	large := h.push(image, "too/large", layer(bytes.Repeat([]byte(" "), 1<<20+1), bundleType))
	swapped := h.push(image, "bytes/swapped", layer([]byte("bundle"), bundleType))
	require.NoError(t, h.Corrupt(artifactorytest.OCIStaging, imageName+"/"+swapped.String()+"/sha256__"+hexOf("bundle"), []byte("BUNDLE")))
	older := h.push(image, "older", layer([]byte("any"), "application/vnd.dev.sigstore.bundle+json;version=0.1"))
	manifest := h.push(image, bundleType, layer([]byte("under a manifest that is damaged"), bundleType))
	at := imageName + "/" + manifest.String() + "/manifest.json"
	raw, err := h.Content(artifactorytest.OCIStaging, at)
	require.NoError(t, err)
	require.NoError(t, h.Corrupt(artifactorytest.OCIStaging, at, append(raw, '\n')))

	got, err := c.Signatures(t.Context(), image)
	require.NoError(t, err)
	for _, want := range []artifactory.StoredSignature{
		{Name: where, Format: "cosign", Content: good},
		{Name: large.String(), Format: "cosign"},
		{Name: swapped.String(), Format: "cosign"},
		{Name: older.String(), Format: "cosign", Content: []byte("any")},
		{Name: manifest.String(), Format: "cosign"},
	} {
		require.Contains(t, got, want)
	}
	require.Len(t, got, 5)
}

func TestTooManyReferrers(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{})
	c, image := h.client(artifactorytest.CI), h.image("1")
	for i := range 65 {
		_, err := c.Signatures(t.Context(), image)
		require.NoError(t, err)
		h.push(image, fmt.Sprintf("sbom/%d", i), layer([]byte("{}"), "sbom"))
	}
	_, err := c.Signatures(t.Context(), image)
	require.ErrorIs(t, err, artifactory.ErrTooMany)
	require.ErrorContains(t, err, "has 65, 64 are read")
}

// A list that comes in pages is read to its end, or to the bound; pages elsewhere are not asked for.
func TestReferrersInPages(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pages int
		host  string
		want  string
	}{
		"three": {3, "", ""}, "for ever": {1 << 30, "", "too many referrers"}, "elsewhere": {3, "http://elsewhere.invalid", "another host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.URL.Path, "/referrers/") {
					http.NotFound(w, r)
					return
				}
				n := asked.Add(1)
				if int(n) < tc.pages {
					w.Header().Set("Link", "<"+tc.host+r.URL.Path+"?last="+fmt.Sprint(n)+`>; rel="next"`)
				}
				w.Header().Set("Content-Type", string(types.OCIImageIndex)+"; charset=utf-8")
				_ = json.NewEncoder(w).Encode(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{
					{ArtifactType: bundleType, Digest: v1.Hash{Algorithm: "sha256", Hex: hexOf(fmt.Sprint(n))}},
				}})
			})
			got, err := newClient(t, s.URL).Signatures(t.Context(), someImage(t))
			if tc.want != "" {
				require.ErrorContains(t, err, tc.want)
				require.LessOrEqual(t, asked.Load(), int32(65))
				return
			}
			require.NoError(t, err)
			require.Len(t, got, tc.pages)
		})
	}
}

func TestImagesThatCannotBeNamed(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1")
	for name, change := range map[string]func(*artifact.Subject){
		"a file":         func(s *artifact.Subject) { s.Kind = artifact.KindFile },
		"no digest":      func(s *artifact.Subject) { s.SHA256 = artifact.Digest{} },
		"no size":        func(s *artifact.Subject) { s.Size = 0 },
		"no media type":  func(s *artifact.Subject) { s.Image.MediaType = "" },
		"no name":        func(s *artifact.Subject) { s.Image.Name = "" },
		"upper case":     func(s *artifact.Subject) { s.Image.Name = "Agent" },
		"dots":           func(s *artifact.Subject) { s.Image.Name = "../../api/system" },
		"query":          func(s *artifact.Subject) { s.Image.Name = "agent?x" },
		"other instance": func(s *artifact.Subject) { s.Ref.Instance = "other" },
		"repository":     func(s *artifact.Subject) { s.Ref.Repo = "a/b" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := someImage(t)
			change(&image)
			if image.Size > 0 && image.Image.MediaType != "" { // they are needed to store, not to read
				_, err := c.Signatures(t.Context(), image)
				require.Error(t, err)
				require.False(t, artifactory.Temporary(err), "nothing was sent: %v", err)
			}
			_, err := c.Refer(t.Context(), image, "cosign", []byte("{}"))
			require.Error(t, err)
			require.False(t, artifactory.Temporary(err))
		})
	}
	for format, content := range map[string]string{"sigstore": "{}", "cosign": "", "cosign-key": "", "cosign-tag": strings.Repeat(" ", 1<<20+1)} {
		_, err := c.Refer(t.Context(), someImage(t), format, []byte(content))
		require.Error(t, err, format)
		require.False(t, artifactory.Temporary(err))
	}
}

// Blobs may come from an object store, without our token; uploads go nowhere else.
func TestRegistryElsewhere(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{})
	reg := prometheus.NewRegistry()
	c := newClientWith(t, reg, h.URL(), func(cfg *artifactory.Config) { cfg.Token = secret(t, artifactorytest.CI) })
	image := h.image("1")
	content := sealed(t, sealtest.NewKey(t, "P-256", "one"), "cosign", image)
	_, err := c.Refer(t.Context(), image, "cosign", content)
	require.NoError(t, err)
	var leaked atomic.Bool
	body := content
	store := serve(t, func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(leaked.Load() || r.Header.Get("Authorization") != "")
		_, _ = w.Write(body)
	})
	moved := standin.Fault{Method: "GET", Path: "/artifactory/api/docker/**/blobs/*", Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {store.URL + "/x"}}}
	h.Fail(moved)
	got, err := c.Signatures(t.Context(), image)
	require.NoError(t, err)
	require.Equal(t, content, got[0].Content)
	body = []byte("something else")
	h.Fail(moved)
	got, err = c.Signatures(t.Context(), image)
	require.NoError(t, err)
	require.Nil(t, got[0].Content)
	require.False(t, leaked.Load())

	other := h.image("2")
	h.Fail(standin.Fault{Method: "POST", Path: "/artifactory/api/docker/**/uploads/", Status: http.StatusAccepted, Header: http.Header{"Location": {store.URL + "/upload"}}})
	_, err = c.Refer(t.Context(), other, "cosign", sealed(t, sealtest.NewKey(t, "P-256", "two"), "cosign", other))
	require.ErrorContains(t, err, "another host")

	for _, call := range []string{"referrers", "manifest", "blob", "upload"} {
		require.Positive(t, requests(t, reg, call), call)
	}
}

// requests counts those of one call.
func requests(t *testing.T, reg *prometheus.Registry, call string) (n float64) {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "hallmark_artifactory_requests_total" && l.GetName() == "call" && l.GetValue() == call {
					n += m.GetCounter().GetValue()
				}
			}
		}
	}
	return n
}

func hexOf(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// someImage is a manifest that nobody has.
func someImage(t testing.TB) artifact.Subject {
	t.Helper()
	ref, err := artifact.NewRef("main", "images", imageName+"/1/manifest.json")
	require.NoError(t, err)
	return artifact.Subject{
		Kind: artifact.KindImage, Info: artifact.Info{Ref: ref, SHA256: sha256.Sum256([]byte("manifest")), Size: 8},
		Image: artifact.Image{Name: imageName, Tag: "1", MediaType: string(types.OCIManifestSchema1)},
	}
}
