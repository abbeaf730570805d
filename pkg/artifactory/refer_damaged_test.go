package artifactory_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const simpleSigning = "application/vnd.dev.cosign.simplesigning.v1+json"

// raw is a manifest as somebody else pushes it.
type raw struct {
	body []byte
	kind types.MediaType
}

func (r raw) RawManifest() ([]byte, error)        { return r.body, nil }
func (r raw) MediaType() (types.MediaType, error) { return r.kind, nil }

// fallbackTag is where the referrers of a manifest are listed on a server without the API; with ".sig" that of the older
// scheme.
func fallbackTag(image artifact.Subject) string { return "sha256-" + image.SHA256.String() }

// What somebody wrote at a tag of an image's signatures is one signature without content: it hides no valid one, and
// nothing is written over it.
func TestDamagedSignatureTags(t *testing.T) {
	t.Parallel()
	corrupt := func(h harbour, tag, file, content string) {
		require.NoError(h.t, h.Corrupt(artifactorytest.OCIStaging, imageName+"/"+tag+"/"+file, []byte(content)))
	}
	image := func(h harbour, tag string) {
		img, err := random.Image(100, 1)
		require.NoError(h.t, err)
		require.NoError(h.t, remote.Write(h.at(":"+tag), mutate.MediaType(img, types.OCIManifestSchema1), asCI))
	}
	index := func(h harbour, tag string) {
		idx, err := random.Index(100, 1, 1)
		require.NoError(h.t, err)
		require.NoError(h.t, remote.WriteIndex(h.at(":"+tag), idx, asCI))
	}
	for name, tc := range map[string]struct {
		format, other string // damaged, and not
		damage        func(h harbour, tag string)
	}{
		"an index":    {"cosign-tag", "cosign", index},
		"no manifest": {"cosign-tag", "cosign", func(h harbour, tag string) { image(h, tag); corrupt(h, tag, "manifest.json", "[]") }},
		"much too big": {"cosign-tag", "cosign", func(h harbour, tag string) {
			image(h, tag)
			corrupt(h, tag, "manifest.json", strings.Repeat(" ", 4<<20+1))
		}},
		"too many layers": {"cosign-tag", "cosign", func(h harbour, tag string) {
			img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
			var all []mutate.Addendum
			for i := range 65 {
				all = append(all, layer([]byte(fmt.Sprint(i)), "any"))
			}
			img, err := mutate.Append(img, all...)
			require.NoError(h.t, err)
			require.NoError(h.t, remote.Write(h.at(":"+tag), img, asCI))
		}},
		"list is an image":    {"cosign", "cosign-tag", image},
		"list is no manifest": {"cosign", "cosign-tag", func(h harbour, tag string) { index(h, tag); corrupt(h, tag, "list.manifest.json", `{"manifests":1}`) }},
		"list is much too big": {"cosign", "cosign-tag", func(h harbour, tag string) {
			index(h, tag)
			corrupt(h, tag, "list.manifest.json", strings.Repeat(" ", 4<<20+1))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t, standin.Quirks{Referrers: "404"})
			c, image, key := h.client(artifactorytest.CI), h.image("1"), sealtest.NewKey(t, "P-256", "one")
			tag := fallbackTag(image)
			if tc.format == "cosign-tag" {
				tag += ".sig"
			}
			tc.damage(h, tag)
			good := sealed(t, key, tc.other, image)
			where, err := c.Refer(t.Context(), image, tc.other, good)
			require.NoError(t, err)
			got, err := c.Signatures(t.Context(), image)
			require.NoError(t, err)
			require.ElementsMatch(t, []artifactory.StoredSignature{{Name: where, Format: tc.other, Content: good}, {Name: tag, Format: tc.format}}, got)

			before := h.CountRequests("PUT", "")
			_, err = c.Refer(t.Context(), image, tc.format, sealed(t, key, tc.format, image))
			require.ErrorIs(t, err, artifactory.ErrDamaged)
			require.False(t, artifactory.Temporary(err))
			require.Equal(t, before, h.CountRequests("PUT", ""))
		})
	}
}

// A list without a media type is read, but cannot be written back.
func TestReferrersListWithoutType(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{Referrers: "404"})
	c, image, key := h.client(artifactorytest.CI), h.image("1"), sealtest.NewKey(t, "P-256", "one")
	require.NoError(t, remote.Put(h.at(":"+fallbackTag(image)), raw{[]byte(`{"schemaVersion":2,"manifests":[]}`), types.OCIImageIndex}, asCI))
	got, err := c.Signatures(t.Context(), image)
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = c.Refer(t.Context(), image, "cosign", sealed(t, key, "cosign", image))
	require.ErrorIs(t, err, artifactory.ErrDamaged)
}

// The layers that are at the tag already are referred to and no more: whoever wrote there that they are somewhere else
// does not have them fetched with our token, and that is not passed on.
func TestReferFetchesNoForeignLayers(t *testing.T) {
	t.Parallel()
	for name, there := range map[string]bool{"which the registry has, too": true, "which the registry has not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t, standin.Quirks{})
			c, image, key := h.client(artifactorytest.CI), h.image("1"), sealtest.NewKey(t, "P-256", "one")
			secret := []byte("a file that whoever wrote the tag may not read")
			require.NoError(t, h.Put("admin", artifactorytest.Staging, "secret.bin", strings.NewReader(string(secret)), nil))
			tag := h.at(":" + fallbackTag(image) + ".sig")
			l := layer(secret, simpleSigning)
			if there {
				require.NoError(t, remote.WriteLayer(h.at("").Context(), l.Layer, asCI))
			}
			l.URLs = []string{h.URL() + "/artifactory/" + artifactorytest.Staging + "/secret.bin"}
			img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), l)
			require.NoError(t, err)
			config, err := img.RawConfigFile()
			require.NoError(t, err)
			require.NoError(t, remote.WriteLayer(h.at("").Context(), static.NewLayer(config, types.DockerConfigJSON), asCI))
			body, err := img.RawManifest()
			require.NoError(t, err)
			require.Contains(t, string(body), "secret.bin")
			require.NoError(t, remote.Put(tag, raw{body, types.OCIManifestSchema1}, asCI))
			h.ForgetRequests()

			content := sealed(t, key, "cosign-tag", image)
			where, err := c.Refer(t.Context(), image, "cosign-tag", content)
			require.Zero(t, h.CountRequests("GET", "/artifactory/"+artifactorytest.Staging))
			if !there {
				require.ErrorIs(t, err, artifactory.ErrDamaged)
				return
			}
			require.NoError(t, err)
			got, err := c.Signatures(t.Context(), image)
			require.NoError(t, err)
			require.Contains(t, got, artifactory.StoredSignature{Name: where, Format: "cosign-tag", Content: content})
			stored, err := remote.Image(tag, asCI)
			require.NoError(t, err)
			m, err := stored.Manifest()
			require.NoError(t, err)
			require.Len(t, m.Layers, 2)
			require.Empty(t, m.Layers[0].URLs)
			require.Equal(t, types.MediaType(simpleSigning), m.Layers[1].MediaType)
		})
	}
}

// Nothing is added behind the last layer that is read.
func TestReferToAFullTag(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, standin.Quirks{})
	c, image, key := h.client(artifactorytest.CI), h.image("1"), sealtest.NewKey(t, "P-256", "one")
	var all []mutate.Addendum
	for i := range 64 {
		all = append(all, layer([]byte(fmt.Sprint(i)), "any"))
	}
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), all...)
	require.NoError(t, err)
	require.NoError(t, remote.Write(h.at(":"+fallbackTag(image)+".sig"), img, asCI))
	_, err = c.Refer(t.Context(), image, "cosign-tag", sealed(t, key, "cosign-tag", image))
	require.ErrorIs(t, err, artifactory.ErrTooMany)
	got, err := c.Signatures(t.Context(), image)
	require.NoError(t, err)
	require.Empty(t, got)
}

// Who waits for a signature of the same image to be stored waits no longer than the context lasts.
func TestReferWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	reached, release := make(chan struct{}), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-release
		w.WriteHeader(http.StatusForbidden)
	})
	c := newClient(t, s.URL)
	first := make(chan error, 1)
	go func() {
		_, err := c.Refer(t.Context(), someImage(t), "cosign", []byte("{}"))
		first <- err
	}()
	<-reached
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Refer(ctx, someImage(t), "cosign", []byte("{}"))
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	require.Error(t, <-first)
}
