package artifact

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// KindImage is an image of a Docker or OCI registry. Its subjects are manifests, whose digest is that of their bytes: of
// an index first the manifests that it lists, then the index. Layers are covered by their manifest's digest.
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
)

// registries are the package types that are served as registries.
var registries = []string{"docker", "oci", "helmoci"}

// signatureTag is how signatures, attestations and lists of referrers are tagged beside an image by tools that know no
// referrers.
var signatureTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$`)

// IsSignatureTag reports whether a tag names no image but what belongs to one.
func IsSignatureTag(tag string) bool { return signatureTag.MatchString(tag) }

func isImage(repo Repository, _ Ref) bool { return slices.Contains(registries, repo.Package) }

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
	name, version := imagePlace(ref)
	if name == "" {
		return nil, ErrPart
	}
	if IsSignatureTag(version) {
		return nil, ErrAttachment
	}
	whole, m, err := readManifest(ctx, src, ref)
	if err != nil {
		return nil, err
	}
	if m.Subject != nil {
		return nil, ErrAttachment
	}
	whole.Image = Image{Name: name, Tag: version, MediaType: m.MediaType}
	if strings.HasPrefix(version, digestPrefix) {
		whole.Image.Tag = ""
	}
	var subjects []Subject
	missing := &MissingError{Index: ref}
	for _, d := range m.Manifests {
		child, err := resolveChild(ctx, src, whole, d)
		switch {
		case errors.Is(err, ErrGone):
			missing.Manifests = append(missing.Manifests, d.Digest)
		case err != nil:
			return nil, err
		default:
			subjects = append(subjects, child)
		}
	}
	if len(missing.Manifests) > 0 {
		return nil, missing
	}
	return append(subjects, whole), nil
}

// resolveChild finds a manifest of an index under its digest. One that is an index itself is not looked into: it was
// pushed, and so announced, for itself.
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
	if digestPrefix+info.SHA256.String() != d.Digest {
		return Subject{}, fmt.Errorf("%w: %s holds %s", ErrBytes, ref, info.SHA256)
	}
	return Subject{Kind: KindImage, Info: info, Image: Image{Name: whole.Image.Name, MediaType: d.MediaType, Platform: d.Platform.String()}}, nil
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
