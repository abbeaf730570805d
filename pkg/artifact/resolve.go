package artifact

import (
	"context"
	"errors"
	"fmt"
)

// What a reference can be that is not signed.
var (
	// ErrAttachment means a signature or another thing that belongs to an image and not to itself; see AttachmentError.
	ErrAttachment = errors.New("belongs to an image as a signature or attachment")
	// ErrPart means a file that is nothing alone: its digest stands in something that is signed.
	ErrPart = errors.New("is a part of an image")
	// ErrBytes means that the bytes that were read are not those that Artifactory reports.
	ErrBytes = errors.New("bytes are not those that Artifactory reports")
	// ErrPackage means a file that is named as Artifactory names the parts of images, in a repository whose package type
	// the token may not know: whether it is a file of its own cannot be told. What it takes is PackageNeeds.
	ErrPackage = errors.New("the package type of the repository is unknown")
	// ErrForm means content that is not what its name says.
	ErrForm = errors.New("cannot be read")
)

// PackageNeeds says what lets the token know the package types of repositories.
const PackageNeeds = "a token that sees the repository in the list GET api/repositories, which takes the right Read on it and a proxy that lets the list through"

// Meaning is what a reference means.
type Meaning struct {
	Kind     Kind
	Ref      Ref        // where it is
	Repo     Repository // that holds it
	Subjects []Subject  // what is signed here; the last stands for the whole. None for what only has parts
}

// Whole is the subject that stands for all of them; zero when there is none.
func (m Meaning) Whole() Subject {
	if len(m.Subjects) == 0 {
		return Subject{}
	}
	return m.Subjects[len(m.Subjects)-1]
}

// kinds is the table of artifact kinds; the first that claims a reference resolves it. A kind without resolve is not
// signed itself, one without expand has no parts.
var kinds = []kind{
	{KindBuild, isBuild, nil, expandBuild},
	{KindBundle, isBundle, resolveBundle, expandBundle},
	{KindImage, isImage, resolveImage, nil},
	{KindFile, isFile, resolveFile, nil},
}

type kind struct {
	kind    Kind
	claims  func(Repository, Ref) bool
	resolve func(context.Context, Source, Ref) ([]Subject, error)
	expand  func(context.Context, Source, Ref, Occasion) (Expansion, error)
}

// KindOf answers what sort of thing a reference in a repository is, by its name alone. Where the package type is unknown,
// what Resolve refuses with ErrPackage is a file here.
func KindOf(repo Repository, ref Ref) Kind {
	for _, k := range kinds {
		if k.claims(repo, ref) {
			return k.kind
		}
	}
	return ""
}

// Bears reports whether a repository can hold anything that is signed itself. One of records of builds cannot: what is
// signed of a build lies elsewhere.
func Bears(repo Repository) bool {
	for _, k := range kinds {
		if k.claims(repo, Ref{Repo: repo.Key}) {
			return k.resolve != nil
		}
	}
	return false
}

// Resolve answers what a reference means, with facts read afresh from the source. A reference in a virtual or
// remote repository means the file that it shows, where that is stored. A missing item is ErrGone.
func Resolve(ctx context.Context, src Source, ref Ref) (Meaning, error) {
	repo, err := src.Repository(ctx, ref.Repo)
	if err == nil && (repo.Class == Virtual || repo.Class == Remote) {
		if ref, err = src.Locate(ctx, ref); err == nil {
			repo, err = src.Repository(ctx, ref.Repo)
		}
	}
	if err != nil {
		return Meaning{}, fmt.Errorf("resolving %s: %w", ref, err)
	}
	for _, k := range kinds {
		if !k.claims(repo, ref) {
			continue
		}
		if k.kind == KindFile && repo.Package == "" && looksLikeImage(ref) {
			return Meaning{}, fmt.Errorf("resolving %s: %w: %s", ref, ErrPackage, repo.Key)
		}
		m := Meaning{Kind: k.kind, Ref: ref, Repo: repo}
		if k.resolve != nil {
			if m.Subjects, err = k.resolve(ctx, src, ref); err != nil {
				return Meaning{}, fmt.Errorf("resolving %s: %w", ref, err)
			}
		}
		return m, nil
	}
	return Meaning{}, fmt.Errorf("no artifact kind claims %s", ref)
}
