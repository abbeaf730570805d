package artifactorytest

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
)

// Registry pushes to a repository as docker and crane do.
type Registry struct {
	t     testing.TB
	at    string // host and repository
	token string
}

// NewRegistry acts for the owner of a token.
func NewRegistry(t testing.TB, s *standin.Server, repo, token string) Registry {
	return Registry{t: t, at: strings.TrimPrefix(s.URL(), "http://") + "/" + repo, token: token}
}

// Manifest is one that was pushed, or will be.
type Manifest struct {
	Raw    []byte
	Digest string // sha256:…
	Type   string
	thing  remote.Taggable
}

// SHA256 is the digest in hexadecimal.
func (m Manifest) SHA256() string { return strings.TrimPrefix(m.Digest, "sha256:") }

func (r Registry) manifest(thing interface {
	RawManifest() ([]byte, error)
	MediaType() (types.MediaType, error)
}) Manifest {
	r.t.Helper()
	raw, err := thing.RawManifest()
	require.NoError(r.t, err)
	kind, err := thing.MediaType()
	require.NoError(r.t, err)
	sum := sha256.Sum256(raw)
	return Manifest{Raw: raw, Digest: "sha256:" + hex.EncodeToString(sum[:]), Type: string(kind), thing: thing}
}

// Name is an image as docker writes it; the reference begins with : or @.
func (r Registry) Name(image, reference string) string { return r.at + "/" + image + reference }

func (r Registry) ref(image, reference string) name.Reference {
	r.t.Helper()
	ref, err := name.ParseReference(r.Name(image, reference))
	require.NoError(r.t, err)
	return ref
}

func (r Registry) auth() remote.Option { return remote.WithAuth(&authn.Bearer{Token: r.token}) }

// New makes an image for a platform such as linux/amd64, with one layer; nothing is pushed yet.
func (r Registry) New(platform string) Manifest { r.t.Helper(); return r.manifest(r.image(platform)) }

func (r Registry) image(platform string) v1.Image {
	r.t.Helper()
	img, err := random.Image(200, 1)
	require.NoError(r.t, err)
	config, err := img.ConfigFile()
	require.NoError(r.t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, _ = strings.Cut(platform, "/")
	img, err = mutate.ConfigFile(img, config)
	require.NoError(r.t, err)
	return img
}

// NewIndex makes an index of images.
func (r Registry) NewIndex(platforms ...string) (index Manifest, children []Manifest) {
	r.t.Helper()
	var idx v1.ImageIndex = empty.Index
	for _, p := range platforms {
		img := r.image(p)
		system, architecture, _ := strings.Cut(p, "/")
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: system, Architecture: architecture}}})
		children = append(children, r.manifest(img))
	}
	return r.manifest(idx), children
}

// Wrap makes an index of one index.
func (r Registry) Wrap(inner Manifest) Manifest {
	r.t.Helper()
	thing, ok := inner.thing.(v1.ImageIndex)
	require.True(r.t, ok)
	return r.manifest(mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: thing}))
}

// Push pushes a manifest with everything that it names; the reference begins with : or @.
func (r Registry) Push(image, reference string, m Manifest) Manifest {
	r.t.Helper()
	var err error
	switch thing := m.thing.(type) {
	case v1.ImageIndex:
		err = remote.WriteIndex(r.ref(image, reference), thing, r.auth())
	case v1.Image:
		err = remote.Write(r.ref(image, reference), thing, r.auth())
	}
	require.NoError(r.t, err)
	return m
}

// Put pushes a manifest alone.
func (r Registry) Put(image, reference string, m Manifest) {
	r.t.Helper()
	require.NoError(r.t, remote.Put(r.ref(image, reference), m.thing, r.auth()))
}

// Refer attaches something to a manifest: one layer per content, all of one type.
func (r Registry) Refer(image string, subject Manifest, mediaType string, contents ...[]byte) Manifest {
	r.t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.MediaType(mediaType))
	for _, c := range contents {
		var err error
		img, err = mutate.Append(img, mutate.Addendum{Layer: static.NewLayer(c, types.MediaType(mediaType)), MediaType: types.MediaType(mediaType)})
		require.NoError(r.t, err)
	}
	digest, err := v1.NewHash(subject.Digest)
	require.NoError(r.t, err)
	attached, ok := mutate.Subject(img, v1.Descriptor{MediaType: types.MediaType(subject.Type), Size: int64(len(subject.Raw)), Digest: digest}).(v1.Image)
	require.True(r.t, ok)
	m := r.manifest(attached)
	return r.Push(image, "@"+m.Digest, m)
}

// Referrers lists the digests of what refers to a manifest.
func (r Registry) Referrers(image string, subject Manifest) (digests []string) {
	r.t.Helper()
	ref, err := name.NewDigest(r.Name(image, "@"+subject.Digest))
	require.NoError(r.t, err)
	idx, err := remote.Referrers(ref, r.auth())
	require.NoError(r.t, err)
	m, err := idx.IndexManifest()
	require.NoError(r.t, err)
	for _, d := range m.Manifests {
		digests = append(digests, d.Digest.String())
	}
	return digests
}
