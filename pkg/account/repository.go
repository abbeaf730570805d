package account

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

const (
	pageSize = 1000
	// maxUnknown is how many signatures that no ledger knows are held until the log has been searched for them.
	maxUnknown = 10_000
	atOnce     = 8 // requests
)

// Standing is a signature by one of the log's keys that stands in a repository and that the ledger does not have.
type Standing struct {
	Where     string
	Signature artifact.Digest // SHA-256 of the raw signature
	SPKI      artifact.Digest
}

// Repository lists what stands in a repository, and returns the signatures by keys of the log that the ledger has never
// had: Unlogged says which of them stand in no log. What is no signature by one of these keys is none of our business.
// Signature files are read when the ledger does not know them by the digest that Artifactory reports. progress is told of
// files that were seen; it may be nil.
func (b *Books) Repository(ctx context.Context, client *artifactory.Client, name string, progress func(files int)) ([]Standing, error) {
	repo, err := client.Repository(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("looking at the repository %s: %w", name, err)
	}
	var found []Standing
	q, files := artifactory.ItemQuery{Repo: name, Limit: pageSize}, 0
	for {
		page, err := client.Items(ctx, q)
		if err != nil {
			return nil, err
		}
		more, err := b.page(ctx, client, repo, page.Items)
		if err != nil {
			return nil, fmt.Errorf("looking for signatures in %s: %w", name, err)
		}
		if found = append(found, more...); len(found) > maxUnknown {
			return nil, fmt.Errorf("looking for signatures in %s: more than %d are unknown to the ledger: is it the right one?", name, maxUnknown)
		}
		if files += len(page.Items); progress != nil {
			progress(files)
		}
		if !page.More {
			return found, nil
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

func (b *Books) page(ctx context.Context, client *artifactory.Client, repo artifact.Repository, items []artifactory.Item) ([]Standing, error) {
	here := make(map[string]artifact.Info, len(items))
	for _, item := range items {
		here[item.Ref.Path] = item.Info
	}
	var spots []spot
	for _, item := range items {
		more, err := b.spots(ctx, client, artifact.KindOf(repo, item.Ref), item, here)
		if err != nil {
			return nil, err
		}
		spots = append(spots, more...)
	}
	var digests []artifact.Digest
	for _, s := range spots {
		if !s.digest.IsZero() {
			digests = append(digests, s.digest)
		}
	}
	known, err := b.view.Origins(ctx, artifact.Ref{}, digests)
	if err != nil {
		return nil, err
	}
	made := make([]*Standing, len(spots))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, s := range spots {
		if _, ok := known[s.digest]; ok && !s.digest.IsZero() {
			continue
		}
		group.Go(func() (err error) {
			made[i], err = b.read(ctx, client, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var found []Standing
	for _, m := range made {
		if m != nil {
			found = append(found, *m)
		}
	}
	return found, nil
}

// spots lists where signatures may stand that a file is, or that belong to what it is.
func (b *Books) spots(ctx context.Context, client *artifactory.Client, kind artifact.Kind, item artifactory.Item, here map[string]artifact.Info) ([]spot, error) {
	switch kind {
	case artifact.KindFile:
		f, ok := seal.FormatOf(item.Ref.Name())
		if !ok {
			return nil, nil
		}
		s := spot{Spot: shelf.Beside(client, item.Ref, item.Ref.Name(), f.Name), ref: item.Ref, digest: item.SHA256}
		for _, owner := range seal.Owners(item.Ref.Name(), b.names) {
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
			s.bytes = append(s.bytes, info)
		}
		return []spot{s}, nil
	case artifact.KindImage:
		at, ok := artifact.ImageAt(item.Ref)
		if !ok {
			return nil, nil
		}
		return b.shelved(ctx, client, artifact.Subject{Kind: kind, Info: item.Info, Image: at})
	case artifact.KindBundle:
		if !artifact.IsBundleRecord(item.Ref) {
			return nil, nil
		}
		return b.shelved(ctx, client, artifact.Subject{Kind: kind, Info: item.Info})
	}
	return nil, nil
}

// shelved lists the spots of what has its signatures elsewhere than in files beside it.
func (b *Books) shelved(ctx context.Context, client *artifactory.Client, subject artifact.Subject) ([]spot, error) {
	likely, rest, err := shelf.Look(ctx, client, subject, shelf.Query{Keys: b.names, Formats: seal.FormatsOf(subject.Kind)})
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

// read reports the signature at a spot when a key of the log made it.
func (b *Books) read(ctx context.Context, client *artifactory.Client, s spot) (*Standing, error) {
	f, ok := seal.Lookup(s.Format)
	if !ok {
		return nil, nil
	}
	content, err := s.Read(ctx)
	if nothing(err) || errors.Is(err, artifactory.ErrTooLarge) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	in, err := f.Inside(content)
	if err != nil {
		return nil, nil //nolint:nilerr // what is no signature is nobody's
	}
	if s.digest.IsZero() {
		digest := artifact.Attachment{Content: content}.SHA256()
		known, err := b.view.Origins(ctx, artifact.Ref{}, []artifact.Digest{digest})
		if _, ok := known[digest]; ok || err != nil {
			return nil, err
		}
	}
	spki, err := b.madeBy(ctx, client, in, s)
	if err != nil || spki.IsZero() {
		return nil, err
	}
	return &Standing{Where: s.ref.Repo + "/" + s.ref.Path + " (" + s.Name + ")", Signature: sha256.Sum256(in.Signature), SPKI: spki}, nil
}

// madeBy is the key that made a signature; zero when none of the log's did. The bytes of an artifact are read only for a
// signature that does not tell what it is over, and a key that hashes otherwise than Artifactory.
func (b *Books) madeBy(ctx context.Context, client *artifactory.Client, in seal.Inside, s spot) (artifact.Digest, error) {
	for spki, pub := range b.keys {
		if in.MadeBy(pub, nil) {
			return spki, nil
		}
		h, err := seal.HashFor(pub)
		if err != nil {
			continue
		}
		for _, info := range s.bytes {
			d := seal.FromSHA256(info.SHA256)
			if h != crypto.SHA256 && s.Format == "raw" {
				sum := h.New()
				if err := client.Pull(ctx, info, []hash.Hash{sum}...); err != nil {
					return artifact.Digest{}, err
				}
				d = seal.Digests{h: sum.Sum(nil)}
			}
			if in.MadeBy(pub, d) {
				return spki, nil
			}
		}
	}
	return artifact.Digest{}, nil
}

// Unlogged searches the log for signatures, and reports those that it does not hold.
func (b *Books) Unlogged(ctx context.Context, log *audit.Reader, head audit.Head, standing []Standing) error {
	if len(standing) == 0 {
		return nil
	}
	wanted := make(map[artifact.Digest]bool, len(standing))
	for _, s := range standing {
		wanted[s.Signature] = true
	}
	err := log.Back(ctx, head, func(entries []audit.Entry) (bool, error) {
		for _, e := range entries {
			if r, ok := e.Leaf.(audit.Rekord); ok {
				delete(wanted, sha256.Sum256(r.Signature))
			}
		}
		return len(wanted) > 0, nil
	})
	if err != nil {
		return err
	}
	for _, s := range standing {
		if wanted[s.Signature] {
			b.Add(audit.Finding{Alarm: true, Reason: reason.Reason{
				Code: reason.SignatureUnlogged, Message: "a signature by a key of the service stands in a repository, and neither log nor ledger know of it",
				Found: s.Where + ", by the key sha256:" + s.SPKI.String(), Expected: "an entry in the log, made before the signature left the service",
				Fix: "somebody else uses the key, or used it: distrust it until it is known who", Who: "security officers",
			}})
		}
	}
	return nil
}
