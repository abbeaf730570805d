package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

const (
	pageSize = 1000
	atOnce   = 8    // requests
	maxRaw   = 4096 // bytes; no key's bare signature has so many

	evidenceDir = ".evidence/" // of a repository, where JFrog keeps evidence about its files
)

// Repository looks at every signature that stands in a repository, and holds those by known keys against the logs. Call it
// after Ledger. What is no signature by one of these keys is none of our business. A signature file is read unless the
// ledger has the very same, as Artifactory reports its digest. progress is told of files that were seen; it may be nil.
func (b *Books) Repository(ctx context.Context, client *artifactory.Client, name string, progress func(files int)) error {
	repo, err := client.Repository(ctx, name)
	if err != nil {
		return fmt.Errorf("looking at the repository %s: %w", name, err)
	}
	q, files := artifactory.ItemQuery{Repo: name, Limit: pageSize}, 0
	for {
		page, err := client.Items(ctx, q)
		if err != nil {
			return err
		}
		if err := b.page(ctx, client, repo, page.Items); err != nil {
			return fmt.Errorf("looking for signatures in %s: %w", name, err)
		}
		if page.Refused > 0 {
			b.unread(name, fmt.Sprintf("%d files with names that are not used here", page.Refused))
		}
		if files += len(page.Items); progress != nil {
			progress(files)
		}
		if !page.More {
			return nil
		}
		q.After = page.Last
	}
}

// spot is a place where a signature may stand.
type spot struct {
	shelf.Spot
	ref    artifact.Ref    // of the artifact, or of the file itself
	digest artifact.Digest // of the content, as the server says; zero: it does not say
	bytes  []artifact.Info // what it may be a signature of
}

// where is the spot for people.
func (s *spot) where() string {
	switch at := s.ref.Repo + "/" + s.ref.Path; {
	case strings.HasPrefix(s.Name, s.ref.Repo+"/"): // evidence, by its own place
		return s.Name
	case s.Name == s.ref.Name():
		return at
	default:
		return at + " (" + s.Name + ")"
	}
}

func (b *Books) page(ctx context.Context, client *artifactory.Client, repo artifact.Repository, items []artifactory.Item) error {
	here := make(map[string]artifact.Info, len(items))
	for _, item := range items {
		here[item.Ref.Path] = item.Info
	}
	names := b.keys.names()
	var spots []spot
	for _, item := range items {
		more, err := b.spots(ctx, client, artifact.KindOf(repo, item.Ref), item, here, names)
		if err != nil {
			return err
		}
		spots = append(spots, more...)
	}
	return b.look(ctx, client, spots)
}

// spots lists where signatures may stand that a file is, or that belong to what it is.
func (b *Books) spots(ctx context.Context, client *artifactory.Client, kind artifact.Kind, item artifactory.Item, here map[string]artifact.Info, names []string) ([]spot, error) {
	at := spot{ref: item.Ref, digest: item.SHA256, Spot: shelf.Spot{Name: item.Ref.Name(), Read: func(ctx context.Context) ([]byte, error) {
		return client.Read(ctx, item.Ref, seal.MaxSize)
	}}}
	if strings.HasPrefix(item.Ref.Path, evidenceDir) { // of whatever
		at.Format = artifactory.EvidenceFormat
		return []spot{at}, nil
	}
	switch kind {
	case artifact.KindFile:
		f, ok := seal.FormatOf(item.Ref.Name())
		if !ok || f.Name == "raw" && item.Size > maxRaw {
			return nil, nil
		}
		at.Format = f.Name
		for _, owner := range seal.Owners(item.Ref.Name(), names) {
			ref := item.Ref.Beside(owner)
			info, ok := here[ref.Path]
			if !ok {
				var err error
				if info, err = client.Info(ctx, ref); err != nil && !nothing(err) {
					return nil, err
				} else if err != nil {
					continue
				}
			}
			at.bytes = append(at.bytes, info)
		}
		return []spot{at}, nil
	case artifact.KindImage:
		image, ok := artifact.ImageAt(item.Ref)
		if !ok {
			return nil, nil
		}
		return shelved(ctx, client, artifact.Subject{Kind: kind, Info: item.Info, Image: image}, names)
	case artifact.KindBundle:
		if !artifact.IsBundleRecord(item.Ref) {
			return nil, nil
		}
		return shelved(ctx, client, artifact.Subject{Kind: kind, Info: item.Info}, names)
	}
	return nil, nil
}

// shelved lists the spots of what has its signatures elsewhere than in files beside it.
func shelved(ctx context.Context, client *artifactory.Client, subject artifact.Subject, names []string) ([]spot, error) {
	likely, rest, err := shelf.Look(ctx, client, subject, shelf.Query{Keys: names, Formats: seal.FormatsOf(subject.Kind)})
	if nothing(err) || errors.Is(err, artifactory.ErrNoEvidence) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var spots []spot
	for _, s := range append(likely, rest...) {
		spots = append(spots, spot{Spot: s, ref: subject.Ref, bytes: []artifact.Info{subject.Info}})
	}
	return spots, nil
}

// nothing reports an error of something that is not there, or not any more.
func nothing(err error) bool {
	return errors.Is(err, artifact.ErrGone) || errors.Is(err, artifactory.ErrNotFile) || errors.Is(err, artifactory.ErrPath)
}
