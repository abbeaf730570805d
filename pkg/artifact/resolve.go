package artifact

import (
	"context"
	"errors"
	"fmt"
)

// What a reference can be that is not signed.
var (
	// ErrAttachment means a signature or another thing that belongs to an image and not to itself.
	ErrAttachment = errors.New("belongs to an image as a signature or attachment")
	// ErrPart means a file that is nothing alone: its digest stands in something that is signed.
	ErrPart = errors.New("is a part of an image")
	// ErrBytes means that the bytes that were read are not those that Artifactory reports.
	ErrBytes = errors.New("bytes are not those that Artifactory reports")
	// ErrForm means content that is not what its name says.
	ErrForm = errors.New("cannot be read")
)

// Meaning is what a reference means.
type Meaning struct {
	Kind     Kind
	Repo     Repository // that holds the bytes
	Subjects []Subject  // what is signed here; the last stands for the whole
}

// Whole is the subject that stands for all of them.
func (m Meaning) Whole() Subject { return m.Subjects[len(m.Subjects)-1] }

// kinds is the table of artifact kinds; the first that claims a reference resolves it.
var kinds = []struct {
	kind    Kind
	claims  func(Repository, Ref) bool
	resolve func(context.Context, Source, Ref) ([]Subject, error)
}{
	{KindImage, isImage, resolveImage},
	{KindFile, isFile, resolveFile},
}

// KindOf answers what sort of thing a reference in a repository is, by its name alone.
func KindOf(repo Repository, ref Ref) Kind {
	for _, k := range kinds {
		if k.claims(repo, ref) {
			return k.kind
		}
	}
	return ""
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
		subjects, err := k.resolve(ctx, src, ref)
		if err != nil {
			return Meaning{}, fmt.Errorf("resolving %s: %w", ref, err)
		}
		return Meaning{Kind: k.kind, Repo: repo, Subjects: subjects}, nil
	}
	return Meaning{}, fmt.Errorf("no artifact kind claims %s", ref)
}
