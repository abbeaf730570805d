package artifact

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// KindImage is an image of a Docker or OCI registry. Its subjects are manifests, whose digest is that of their bytes: of
// an index first the manifests that it lists, those of an index among them before it, then the index. Layers are covered by their manifest's digest.
const KindImage Kind = "image"

// Image is what is known of an image manifest besides its bytes.
type Image struct {
	Name      string // below the repository, without tag or digest
	Tag       string // "" when the manifest stands under its digest alone
	MediaType string // of the manifest
	Platform  string // os/architecture[/variant] as the index tells; "" for an index or a lone manifest
}

// Artifactory keeps an image as a folder per tag, or per digest, with the manifest in it.
const (
	manifestFile = "manifest.json"
	indexFile    = "list.manifest.json"
	digestPrefix = "sha256:"
	// digestTagPrefix is digestPrefix where a tag is made of a digest.
	digestTagPrefix = "sha256-"
)

// registries are the package types that are served as registries.
var registries = []string{"docker", "oci", "helmoci"}

// signatureTag is how signatures, attestations and lists of referrers are tagged beside an image by tools that know no
// referrers.
var signatureTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$`)

// IsSignatureTag reports whether a tag names no image but what belongs to one.
func IsSignatureTag(tag string) bool { return signatureTag.MatchString(tag) }

// AttachmentError is ErrAttachment that says to which manifest, by digest, the thing belongs.
type AttachmentError struct{ Subject Digest }

func (e *AttachmentError) Error() string { return ErrAttachment.Error() }
func (e *AttachmentError) Unwrap() error { return ErrAttachment }

// ImageAt is what the place of a manifest's file tells of its image; false for any other file of an image.
func ImageAt(ref Ref) (Image, bool) {
	name, version := imagePlace(ref)
	i := Image{Name: name, Tag: version}
	if strings.HasPrefix(version, digestPrefix) {
		i.Tag = ""
	}
	return i, name != ""
}

func isImage(repo Repository, _ Ref) bool { return slices.Contains(registries, repo.Package) }

// layerName is how Artifactory names layers and configurations of images.
var layerName = regexp.MustCompile(`^sha256__[0-9a-f]{64}$`)

// looksLikeImage reports whether a file is named as the parts of images are.
func looksLikeImage(ref Ref) bool {
	n := ref.Name()
	return n == manifestFile || n == indexFile || layerName.MatchString(n)
}

// MissingError says that an index lists manifests that the repository does not hold.
type MissingError struct {
	Index     Ref
	Manifests []string
}

func (e *MissingError) Error() string {
	const most = 3
	said := strings.Join(e.Manifests[:min(most, len(e.Manifests))], ", ")
	if n := len(e.Manifests) - most; n > 0 {
		said += fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("%s lists manifests that are not there: %s", e.Index, said)
}

// resolveImage reads the manifest, because only its content tells an index from an image and an image from a signature.
func resolveImage(ctx context.Context, src Source, ref Ref) ([]Subject, error) {
	image, ok := ImageAt(ref)
	if !ok {
		return nil, ErrPart
	}
	if IsSignatureTag(image.Tag) {
		d, _ := ParseDigest(image.Tag[len(digestTagPrefix) : len(digestTagPrefix)+2*len(Digest{})])
		return nil, &AttachmentError{Subject: d}
	}
	whole, m, err := readManifest(ctx, src, ref)
	if errors.Is(err, ErrGone) && ref.Name() == manifestFile { // not every event tells which of the two a tag has
		ref = ref.Beside(indexFile)
		whole, m, err = readManifest(ctx, src, ref)
	}
	if err != nil {
		return nil, err
	}
	if m.Subject != nil {
		d, _ := ParseDigest(strings.TrimPrefix(m.Subject.Digest, digestPrefix))
		return nil, &AttachmentError{Subject: d}
	}
	whole.Image = image
	whole.Image.MediaType = m.MediaType
	if image.Tag == "" { // a part of an index, most likely: policies ask for its platform, and only its configuration knows
		if whole.Image.Platform, err = configuredPlatform(ctx, src, ref, m.Config); err != nil {
			return nil, err
		}
	}
	w := indexWalk{src: src, seen: map[string]bool{}, missing: &MissingError{Index: ref}}
	if err := w.children(ctx, whole, m.Manifests, 1); err != nil {
		return nil, err
	}
	if len(w.missing.Manifests) > 0 {
		return nil, w.missing
	}
	return append(w.subjects, whole), nil
}

// indexWalk collects what an index lists, and what the indexes in it list, each manifest once and behind its own parts.
type indexWalk struct {
	src      Source
	seen     map[string]bool
	subjects []Subject
	missing  *MissingError
}

func (w *indexWalk) children(ctx context.Context, whole Subject, list []descriptor, depth int) error {
	if depth > maxDepth && len(list) > 0 {
		return fmt.Errorf("%w: indexes within indexes, more than %d deep", ErrForm, maxDepth)
	}
	for _, d := range list {
		if w.seen[d.Digest] {
			continue
		}
		if w.seen[d.Digest] = true; len(w.seen) > maxChildren {
			return fmt.Errorf("%w: the index and those in it list more than %d manifests", ErrForm, maxChildren)
		}
		child, err := resolveChild(ctx, w.src, whole, d)
		if errors.Is(err, ErrGone) {
			w.missing.Manifests = append(w.missing.Manifests, d.Digest)
			continue
		}
		if err == nil && isIndexType(d.MediaType) {
			err = w.inner(ctx, child, depth)
		}
		if err != nil {
			return err
		}
		w.subjects = append(w.subjects, child)
	}
	return nil
}

// inner looks into an index that another one lists.
func (w *indexWalk) inner(ctx context.Context, child Subject, depth int) error {
	_, m, err := readManifest(ctx, w.src, child.Ref)
	if err != nil {
		return err
	}
	if !isIndexType(m.MediaType) {
		return fmt.Errorf("%w: %s is listed as an index and is none", ErrForm, child.Ref)
	}
	return w.children(ctx, child, m.Manifests, depth+1)
}

// resolveChild finds a manifest of an index under its digest. One without a digest is a subject without a digest, which nobody signs or lets pass.
func resolveChild(ctx context.Context, src Source, whole Subject, d descriptor) (Subject, error) {
	file := manifestFile
	if isIndexType(d.MediaType) {
		file = indexFile
	}
	ref := whole.Ref
	ref.Path = whole.Image.Name + "/" + d.Digest + "/" + file
	info, err := src.Info(ctx, ref)
	if err != nil {
		return Subject{}, err
	}
	if !info.SHA256.IsZero() && digestPrefix+info.SHA256.String() != d.Digest {
		return Subject{}, fmt.Errorf("%w: %s holds %s", ErrBytes, ref, info.SHA256)
	}
	return Subject{Kind: KindImage, Info: info, Image: Image{Name: whole.Image.Name, MediaType: d.MediaType, Platform: d.Platform.String()}}, nil
}

// configuredPlatform is what an image's configuration says, for the files that lie beside its manifest. What is not there,
// or is the configuration of something else than an image, says nothing.
func configuredPlatform(ctx context.Context, src Source, ref Ref, config *descriptor) (string, error) {
	if config == nil || config.MediaType != ociConfig && config.MediaType != dockerConfig {
		return "", nil
	}
	sum := strings.TrimPrefix(config.Digest, digestPrefix)
	if _, err := ParseDigest(sum); err != nil {
		return "", nil //nolint:nilerr // it cannot be found, as if it were not there
	}
	content, err := src.Read(ctx, ref.Beside("sha256__"+sum), maxManifest)
	if errors.Is(err, ErrGone) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var p platform
	if d, _ := ParseDigest(sum); sha256.Sum256(content) != d || json.Unmarshal(content, &p) != nil {
		return "", nil
	}
	return p.String(), nil
}

func readManifest(ctx context.Context, src Source, ref Ref) (Subject, manifest, error) {
	info, err := src.Info(ctx, ref)
	if err != nil {
		return Subject{}, manifest{}, err
	}
	content, err := src.Read(ctx, ref, maxManifest)
	if err != nil {
		return Subject{}, manifest{}, err
	}
	if !info.SHA256.IsZero() && sha256.Sum256(content) != info.SHA256 {
		return Subject{}, manifest{}, fmt.Errorf("%w: %s reports %s", ErrBytes, ref, info.SHA256)
	}
	m, err := parseManifest(content)
	if err != nil {
		return Subject{}, manifest{}, fmt.Errorf("%s: %w", ref, err)
	}
	return Subject{Kind: KindImage, Info: info}, m, nil
}

// imagePlace splits the path of a manifest file into the image's name and its tag or digest; nothing for other files.
func imagePlace(ref Ref) (name, version string) {
	segments := strings.Split(ref.Path, "/")
	n := len(segments)
	if n < 3 || segments[n-1] != manifestFile && segments[n-1] != indexFile {
		return "", ""
	}
	return strings.Join(segments[:n-2], "/"), segments[n-2]
}
