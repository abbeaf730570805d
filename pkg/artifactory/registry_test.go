package artifactory_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const imageName = "gateway/agent"

// harbour is a stand-in with images in it.
type harbour struct {
	*standin.Server
	t *testing.T
}

func newHarbour(t *testing.T, quirks standin.Quirks) harbour {
	t.Helper()
	cfg := artifactorytest.Wide()
	cfg.Quirks = quirks
	return harbour{artifactorytest.Start(t, cfg), t}
}

// client acts for the owner of a token.
func (h harbour) client(token string, change ...func(*artifactory.Config)) *artifactory.Client {
	h.t.Helper()
	return newClient(h.t, h.URL(), append([]func(*artifactory.Config){func(cfg *artifactory.Config) { cfg.Token = secret(h.t, token) }}, change...)...)
}

// at is a name in the staging repository, as docker users write it.
func (h harbour) at(reference string) name.Reference {
	h.t.Helper()
	r, err := name.ParseReference(strings.TrimPrefix(h.URL(), "http://") + "/" + artifactorytest.OCIStaging + "/" + imageName + reference)
	require.NoError(h.t, err)
	return r
}

var asCI = remote.WithAuth(&authn.Bearer{Token: artifactorytest.CI})

// image pushes a small image; index one of two platforms.
func (h harbour) image(tag string) artifact.Subject {
	h.t.Helper()
	img, err := random.Image(300, 1)
	require.NoError(h.t, err)
	require.NoError(h.t, remote.Write(h.at(":"+tag), img, asCI))
	return h.subject(img, tag)
}

func (h harbour) index(tag string) artifact.Subject {
	h.t.Helper()
	idx, err := random.Index(300, 1, 2)
	require.NoError(h.t, err)
	require.NoError(h.t, remote.WriteIndex(h.at(":"+tag), idx, asCI))
	return h.subject(idx, tag)
}

func (h harbour) subject(m interface {
	RawManifest() ([]byte, error)
}, tag string,
) artifact.Subject {
	h.t.Helper()
	raw, err := m.RawManifest()
	require.NoError(h.t, err)
	file := "manifest.json"
	media := "application/vnd.docker.distribution.manifest.v2+json"
	if _, ok := m.(v1.ImageIndex); ok {
		file, media = "list.manifest.json", "application/vnd.oci.image.index.v1+json"
	}
	ref, err := artifact.NewRef("main", artifactorytest.OCIStaging, imageName+"/"+tag+"/"+file)
	require.NoError(h.t, err)
	return artifact.Subject{
		Kind:  artifact.KindImage,
		Info:  artifact.Info{Ref: ref, SHA256: sha256.Sum256(raw), Size: int64(len(raw))},
		Image: artifact.Image{Name: imageName, Tag: tag, MediaType: media},
	}
}

// sealed is what an image carries in a format.
func sealed(t testing.TB, key *sealtest.Key, format string, image artifact.Subject) []byte {
	t.Helper()
	return sealtest.Seal(t, format, key, seal.FromSHA256(image.SHA256), nil)
}

// formats are those of images.
var formats = []string{"cosign", "cosign-tag", "cosign-key", "vsa"}

func TestFormatsOfImagesAreThoseOfSeal(t *testing.T) {
	t.Parallel()
	require.Equal(t, formats, seal.FormatsOf(artifact.KindImage))
}

func TestSignaturesOfImages(t *testing.T) {
	t.Parallel()
	for name, quirks := range map[string]standin.Quirks{
		"strict":                  {},
		"basic, no header":        {RegistryAuth: "basic", SubjectHeader: "omit"},
		"no referrers API":        {Referrers: "404"},
		"incomplete indexes":      {MissingChildren: "accept", SameBytes: "allow"},
		"no referrers API, loose": {Referrers: "404", MissingChildren: "accept", RegistryAuth: "basic"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t, quirks)
			c := h.client(artifactorytest.CI)
			one, two := sealtest.NewKey(t, "P-256", "one"), sealtest.NewKey(t, "P-384", "two")
			for _, image := range []artifact.Subject{h.image("1"), h.index("2")} {
				none, err := c.Signatures(t.Context(), image)
				require.NoError(t, err)
				require.Empty(t, none)

				var want []artifactory.StoredSignature
				for _, format := range formats {
					for _, key := range []*sealtest.Key{one, two} {
						content := sealed(t, key, format, image)
						where, err := c.Refer(t.Context(), image, format, content)
						require.NoError(t, err, "%s", format)
						want = append(want, artifactory.StoredSignature{Name: where, Format: format, Content: content})
						puts := h.CountRequests("PUT", "")
						again, err := c.Refer(t.Context(), image, format, content)
						require.NoError(t, err)
						require.Equal(t, where, again)
						require.Equal(t, puts, h.CountRequests("PUT", ""), "what stands is not written again")
					}
				}
				got, err := c.Signatures(t.Context(), image)
				require.NoError(t, err)
				require.ElementsMatch(t, want, got)
				for _, s := range want {
					again, err := c.Referred(t.Context(), image, s.Format, s.Name)
					require.NoError(t, err)
					require.Contains(t, again, s)
					for _, one := range again { // those at a tag share its name
						require.Equal(t, s.Name, one.Name)
						require.Equal(t, s.Format, one.Format)
					}
				}
				for format, where := range map[string]string{"cosign": "sha256:" + image.SHA256.String(), "evidence": want[0].Name + "0"} {
					nothing, err := c.Referred(t.Context(), image, format, where)
					require.NoError(t, err)
					require.Empty(t, nothing)
				}
				for _, s := range got {
					f, _ := seal.Lookup(s.Format)
					require.True(t, f.Verify(one.Public(), seal.FromSHA256(image.SHA256), s.Content) == nil || f.Verify(two.Public(), seal.FromSHA256(image.SHA256), s.Content) == nil)
				}
			}
		})
	}
}
