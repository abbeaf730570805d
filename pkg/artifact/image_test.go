package artifact_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
)

// registry is a Docker repository held in memory.
type registry struct {
	files map[string][]byte
	lies  map[string]artifact.Digest // digests that are reported wrongly
}

func newRegistry() *registry {
	return &registry{files: map[string][]byte{}, lies: map[string]artifact.Digest{}}
}

func (r *registry) put(path, content string) artifact.Digest {
	r.files[path] = []byte(content)
	return artifact.Attachment{Content: []byte(content)}.SHA256()
}

func (r *registry) Info(_ context.Context, ref artifact.Ref) (artifact.Info, error) {
	content, ok := r.files[ref.Path]
	if !ok {
		return artifact.Info{}, artifact.ErrGone
	}
	info := artifact.Info{Ref: ref, SHA256: artifact.Attachment{Content: content}.SHA256(), Size: int64(len(content))}
	if d, ok := r.lies[ref.Path]; ok {
		info.SHA256 = d
	}
	return info, nil
}

func (r *registry) Read(_ context.Context, ref artifact.Ref, _ int64) ([]byte, error) {
	content, ok := r.files[ref.Path]
	if !ok {
		return nil, artifact.ErrGone
	}
	return content, nil
}

func (r *registry) Repository(_ context.Context, key string) (artifact.Repository, error) {
	if key == "oci" {
		return artifact.Repository{Key: key, Class: artifact.Virtual, Package: "docker"}, nil
	}
	return artifact.Repository{Key: key, Class: artifact.Local, Package: "docker"}, nil
}

func (r *registry) Locate(_ context.Context, ref artifact.Ref) (artifact.Ref, error) {
	ref.Repo = "oci-staging-local"
	return ref, nil
}

func (*registry) Build(context.Context, artifact.Ref) (artifact.Build, error) {
	return artifact.Build{}, artifact.ErrGone
}

func (*registry) Built(context.Context, artifact.Build, []string, func(artifact.Info) error) error {
	return artifact.ErrGone
}

func (*registry) Bundle(context.Context, artifact.Ref) (artifact.Bundle, error) {
	return artifact.Bundle{}, artifact.ErrGone
}

func (*registry) Copies(context.Context, []artifact.Bundled, func(artifact.Info) error) error {
	return artifact.ErrGone
}

func (r *registry) resolve(t *testing.T, path string) (artifact.Meaning, error) {
	t.Helper()
	ref, err := artifact.NewRef("main", "oci-staging-local", path)
	require.NoError(t, err)
	return artifact.Resolve(t.Context(), r, ref)
}

const manifest = `{"schemaVersion":2,"mediaType":"` + ociManifest + `","config":{"n":"%s"},"layers":[]}`

// index puts an index with one manifest per platform.
func (r *registry) index(tag string, platforms ...string) []artifact.Digest {
	var digests []artifact.Digest
	var entries []any
	for _, p := range platforms {
		m := fmt.Sprintf(manifest, p)
		d := artifact.Attachment{Content: []byte(m)}.SHA256()
		r.put("team/app/sha256:"+d.String()+"/manifest.json", m)
		system, arch, _ := strings.Cut(p, "/")
		arch, variant, _ := strings.Cut(arch, "/")
		entries = append(entries, map[string]any{"mediaType": ociManifest, "digest": "sha256:" + d.String(),
			"platform": map[string]string{"os": system, "architecture": arch, "variant": variant}})
		digests = append(digests, d)
	}
	content, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": entries})
	return append(digests, r.put("team/app/"+tag+"/list.manifest.json", string(content)))
}

func TestResolveImage(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	d := r.put("team/app/1.0/manifest.json", fmt.Sprintf(manifest, "one"))
	m, err := r.resolve(t, "team/app/1.0/manifest.json")
	require.NoError(t, err)
	require.Equal(t, artifact.KindImage, m.Kind)
	require.Len(t, m.Subjects, 1)
	require.Equal(t, artifact.KindImage, m.Whole().Kind)
	require.Equal(t, d, m.Whole().SHA256)
	require.Equal(t, artifact.Image{Name: "team/app", Tag: "1.0", MediaType: ociManifest}, m.Whole().Image)
}

func TestResolveIndex(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	digests := r.index("1.0", "linux/amd64", "linux/arm/v7", "linux/amd64")
	m, err := r.resolve(t, "team/app/1.0/list.manifest.json")
	require.NoError(t, err)
	require.Len(t, m.Subjects, 3, "a manifest that is listed twice is one subject")
	require.Equal(t, "linux/amd64", m.Subjects[0].Image.Platform)
	require.Equal(t, "linux/arm/v7", m.Subjects[1].Image.Platform)
	require.Equal(t, digests[1], m.Subjects[1].SHA256)
	require.Equal(t, artifact.Image{Name: "team/app", Tag: "1.0", MediaType: ociIndex}, m.Whole().Image)
	require.Equal(t, digests[3], m.Whole().SHA256, "the index stands for the whole")
	again, err := r.resolve(t, "team/app/1.0/manifest.json")
	require.NoError(t, err)
	require.Equal(t, m.Subjects, again.Subjects, "whoever knows only the tag asks for a manifest")
	child, err := r.resolve(t, m.Subjects[0].Ref.Path)
	require.NoError(t, err)
	require.Empty(t, child.Whole().Image.Tag, "a digest is no tag")

	lost := m.Subjects[1]
	delete(r.files, lost.Ref.Path)
	_, err = r.resolve(t, "team/app/1.0/list.manifest.json")
	var missing *artifact.MissingError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []string{"sha256:" + lost.SHA256.String()}, missing.Manifests)

	r.put(lost.Ref.Path, "something else")
	_, err = r.resolve(t, "team/app/1.0/list.manifest.json")
	require.ErrorIs(t, err, artifact.ErrBytes)
}

func TestResolveThroughVirtualRepository(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	r.put("app/1/manifest.json", fmt.Sprintf(manifest, "one"))
	m, err := artifact.Resolve(t.Context(), r, artifact.Ref{Instance: "main", Repo: "oci", Path: "app/1/manifest.json"})
	require.NoError(t, err)
	require.Equal(t, "oci-staging-local", m.Whole().Ref.Repo)
}

func TestWhatIsNoImage(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("a", 64)
	for _, c := range []struct {
		name, path, content string
		want                error
	}{
		{"layer", "app/1/sha256__" + hex, "x", artifact.ErrPart},
		{"manifest outside of a tag", "app/manifest.json", "{}", artifact.ErrPart},
		{"signature tag", "app/sha256-" + hex + ".sig/manifest.json", fmt.Sprintf(manifest, ""), artifact.ErrAttachment},
		{"list of referrers", "app/sha256-" + hex + "/list.manifest.json", `{"schemaVersion":2,"manifests":[]}`, artifact.ErrAttachment},
		{"referrer", "app/sha256:" + hex + "/manifest.json", `{"schemaVersion":2,"config":{},"subject":{"digest":"sha256:` + hex + `"}}`, artifact.ErrAttachment},
		{"no JSON", "app/1/manifest.json", "<html>", artifact.ErrForm},
		{"schema 1", "app/1/manifest.json", `{"schemaVersion":1,"fsLayers":[]}`, artifact.ErrForm},
		{"neither", "app/1/manifest.json", `{"schemaVersion":2}`, artifact.ErrForm},
		{"both", "app/1/manifest.json", `{"schemaVersion":2,"config":{},"manifests":[]}`, artifact.ErrForm},
		{"an image that says it is an index", "app/1/manifest.json", `{"schemaVersion":2,"config":{},"mediaType":"` + ociIndex + `"}`, artifact.ErrForm},
		{"unknown media type", "app/1/manifest.json", `{"schemaVersion":2,"config":{},"mediaType":"text/plain"}`, artifact.ErrForm},
		{"digest that leads elsewhere", "app/1/list.manifest.json", `{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x"}]}`, artifact.ErrForm},
		{"digest of another algorithm", "app/1/list.manifest.json", `{"schemaVersion":2,"manifests":[{"digest":"sha512:` + hex + hex + `"}]}`, artifact.ErrForm},
		{"too many manifests", "app/1/list.manifest.json", `{"schemaVersion":2,"manifests":[` + strings.Repeat(`{"digest":"sha256:`+hex+`"},`, 1000) + `{"digest":"sha256:` + hex + `"}]}`, artifact.ErrForm},
		{"gone", "app/2/manifest.json", "", artifact.ErrGone},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRegistry()
			if c.content != "" {
				r.put(c.path, c.content)
			}
			_, err := r.resolve(t, c.path)
			require.ErrorIs(t, err, c.want)
		})
	}
	r := newRegistry()
	r.put("app/1/manifest.json", fmt.Sprintf(manifest, ""))
	r.lies["app/1/manifest.json"] = artifact.Digest{1}
	_, err := r.resolve(t, "app/1/manifest.json")
	require.ErrorIs(t, err, artifact.ErrBytes, "a manifest that is not what its digest says")
}

// FuzzManifest: whatever a manifest says, the references that are followed stay in the image.
func FuzzManifest(f *testing.F) {
	f.Add(fmt.Sprintf(manifest, ""))
	f.Add(`{"schemaVersion":2,"manifests":[{"digest":"sha256:` + strings.Repeat("0", 64) + `","platform":{"os":"linux","architecture":"arm64"}}]}`)
	f.Add(`{"schemaVersion":2,"manifests":[{"digest":"sha256:../../../x"}]}`)
	f.Fuzz(func(t *testing.T, content string) {
		r := &recorder{registry: newRegistry()}
		r.put("team/app/1/manifest.json", content)
		m, err := artifact.Resolve(t.Context(), r, artifact.Ref{Instance: "main", Repo: "oci-local", Path: "team/app/1/manifest.json"})
		for _, ref := range r.asked {
			again, bad := artifact.NewRef("main", ref.Repo, ref.Path)
			require.NoError(t, bad)
			require.Equal(t, ref, again)
			require.True(t, strings.HasPrefix(ref.Path, "team/app/"), ref.Path)
		}
		if err == nil {
			require.NotEmpty(t, m.Subjects)
			require.NotEmpty(t, m.Whole().Image.MediaType)
		}
	})
}

// recorder keeps what was asked for.
type recorder struct {
	*registry
	asked []artifact.Ref
}

func (r *recorder) Info(ctx context.Context, ref artifact.Ref) (artifact.Info, error) {
	r.asked = append(r.asked, ref)
	return r.registry.Info(ctx, ref)
}

func (r *recorder) Read(ctx context.Context, ref artifact.Ref, limit int64) ([]byte, error) {
	r.asked = append(r.asked, ref)
	return r.registry.Read(ctx, ref, limit)
}

// A manifest that was pushed by its digest is a part of an index, most likely, and policies ask for its platform.
func TestThePlatformOfAManifestWithoutATag(t *testing.T) {
	t.Parallel()
	config := `{"os":"linux","architecture":"arm","variant":"v7"}`
	sum := artifact.Attachment{Content: []byte(config)}.SHA256().String()
	content := func(media, digest string) string {
		return `{"schemaVersion":2,"mediaType":"` + ociManifest + `","config":{"mediaType":"` + media + `","digest":"` + digest + `"},"layers":[]}`
	}
	const image = "application/vnd.oci.image.config.v1+json"
	for name, c := range map[string]struct{ manifest, config, want string }{
		"told":                        {content(image, "sha256:"+sum), config, "linux/arm/v7"},
		"Docker's":                    {content("application/vnd.docker.container.image.v1+json", "sha256:"+sum), config, "linux/arm/v7"},
		"configuration is not there":  {content(image, "sha256:"+sum), "", ""},
		"configuration is another":    {content(image, "sha256:"+sum), config + " ", ""},
		"no image but a chart":        {content("application/vnd.cncf.helm.config.v1+json", "sha256:"+sum), config, ""},
		"a digest that leads nowhere": {content(image, "sha256:../../x"), config, ""},
	} {
		r, d := newRegistry(), artifact.Attachment{Content: []byte(c.manifest)}.SHA256().String()
		dir := "app/sha256:" + d
		r.put(dir+"/manifest.json", c.manifest)
		if c.config != "" {
			r.put(dir+"/sha256__"+sum, c.config)
		}
		m, err := r.resolve(t, dir+"/manifest.json")
		require.NoError(t, err, name)
		require.Equal(t, c.want, m.Whole().Image.Platform, name)
		r.put("app/"+d+"/manifest.json", c.manifest)
		m, err = r.resolve(t, "app/"+d+"/manifest.json")
		require.NoError(t, err, name)
		require.Empty(t, m.Whole().Image.Platform, "an image with a tag is signed for itself")
	}
}

func TestAttachmentsNameTheirSubject(t *testing.T) {
	t.Parallel()
	r, want := newRegistry(), artifact.Digest{0xab}
	r.put("app/sha256:1/manifest.json", `{"schemaVersion":2,"config":{},"subject":{"digest":"sha256:`+want.String()+`"}}`)
	for _, path := range []string{"app/sha256:1/manifest.json", "app/sha256-" + want.String() + ".sig/manifest.json", "app/sha256-" + want.String() + "/list.manifest.json"} {
		_, err := r.resolve(t, path)
		var attached *artifact.AttachmentError
		require.ErrorAs(t, err, &attached, path)
		require.Equal(t, want, attached.Subject, path)
	}
}

// A manifest without a digest is told as such by whoever is to sign it or let it pass, not as bytes that are wrong.
func TestAChildWithoutADigest(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	r.index("1.0", "linux/amd64", "linux/arm64")
	m, err := r.resolve(t, "team/app/1.0/list.manifest.json")
	require.NoError(t, err)
	r.lies[m.Subjects[1].Ref.Path] = artifact.Digest{}
	again, err := r.resolve(t, "team/app/1.0/list.manifest.json")
	require.NoError(t, err)
	require.True(t, again.Subjects[1].SHA256.IsZero())
	require.Equal(t, m.Subjects[0], again.Subjects[0])
}

// untold is a source whose token may not know package types.
type untold struct{ *registry }

func (untold) Repository(_ context.Context, key string) (artifact.Repository, error) {
	return artifact.Repository{Key: key}, nil
}

// A part of an image is not taken for a file because the token may not know that its repository keeps images.
func TestUnknownPackageType(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	hex := strings.Repeat("a", 64)
	for path, refused := range map[string]bool{
		"app/1/manifest.json": true, "app/1/list.manifest.json": true, "manifest.json": true, "app/1/sha256__" + hex: true,
		"app/1/sha256__" + hex + "0": false, "app/manifest.json/x": false, "app.tgz": false,
	} {
		r.put(path, path)
		ref, err := artifact.NewRef("main", "libs", path)
		require.NoError(t, err)
		m, err := artifact.Resolve(t.Context(), untold{r}, ref)
		if refused {
			require.ErrorIs(t, err, artifact.ErrPackage, path)
			continue
		}
		require.NoError(t, err, path)
		require.Equal(t, artifact.KindFile, m.Kind)
	}
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	manifest := func(layers ...string) string {
		text := `{"schemaVersion":2,"config":{"digest":"sha256:` + a + `"},"layers":[`
		for i, l := range layers {
			if i > 0 {
				text += ","
			}
			text += `{"digest":"` + l + `"}`
		}
		return text + `]}`
	}
	for content, want := range map[string][]string{
		manifest("sha256:"+b, "sha256:"+b, "sha256:"+a):                        {b, a},
		manifest("sha512:"+a+a, b, "sha256:../../x"):                           {a},
		`{"schemaVersion":2,"manifests":[{"digest":"sha256:` + a + `"}]}`:      nil,
		`{"schemaVersion":2,"layers":[{"digest":"sha256:` + a + `"}],"x":"y"}`: {"error"},
		`nothing of the sort`: {"error"},
	} {
		found, index, err := artifact.Blobs([]byte(content))
		require.Equal(t, strings.Contains(content, "manifests"), index)
		var got []string
		for _, d := range found {
			got = append(got, d.String())
		}
		if err != nil {
			got = []string{"error"}
		}
		require.Equal(t, want, got, content)
	}
}

// Indexes within indexes are followed, with one bound for all of them.
func TestResolveIndexInIndex(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	wrap := func(tag string, inner ...artifact.Digest) artifact.Digest {
		var entries []any
		for _, d := range inner {
			entries = append(entries, map[string]any{"mediaType": ociIndex, "digest": "sha256:" + d.String()})
		}
		content, err := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": entries})
		require.NoError(t, err)
		d := r.put("team/app/"+tag+"/list.manifest.json", string(content))
		return r.put("team/app/sha256:"+d.String()+"/list.manifest.json", string(r.files["team/app/"+tag+"/list.manifest.json"]))
	}
	inner := r.index("inner", "linux/amd64", "linux/arm64")
	r.put("team/app/sha256:"+inner[2].String()+"/list.manifest.json", string(r.files["team/app/inner/list.manifest.json"]))
	two := wrap("two", inner[2])
	three := wrap("three", two, inner[2])
	m, err := r.resolve(t, "team/app/three/list.manifest.json")
	require.NoError(t, err)
	var got []artifact.Digest
	for _, s := range m.Subjects {
		got = append(got, s.SHA256)
	}
	require.Equal(t, append(append([]artifact.Digest{}, inner...), two, three), got)
	wrap("four", three)
	_, err = r.resolve(t, "team/app/four/list.manifest.json")
	require.ErrorIs(t, err, artifact.ErrForm)
	delete(r.files, "team/app/sha256:"+inner[0].String()+"/manifest.json")
	_, err = r.resolve(t, "team/app/three/list.manifest.json")
	var missing *artifact.MissingError
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []string{"sha256:" + inner[0].String()}, missing.Manifests)
}
