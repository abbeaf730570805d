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
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// maxInside is how many signatures in one file are looked at.
const maxInside = 100

// maxSeen is how many alarms are known not to be told twice.
const maxSeen = 10_000

// standing is what was found at a spot.
type standing struct {
	content artifact.Digest
	by      []made
	unread  string // why it cannot be said whose it is
}

// made is a signature by a known key.
type made struct{ signature, spki artifact.Digest }

// look reads spots, some at a time, and judges what stands there in order.
func (b *Books) look(ctx context.Context, client *artifactory.Client, spots []spot) error {
	sortAll(&b.files)
	found := make([]standing, len(spots))
	group, reading := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, s := range spots {
		if !s.digest.IsZero() && b.kept(s.digest, s.Format) {
			continue
		}
		group.Go(func() (err error) {
			found[i], err = b.read(reading, client, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, s := range spots {
		where := s.where()
		if found[i].unread != "" {
			b.unread(where, found[i].unread)
		}
		for _, m := range found[i].by {
			if err := b.judge(ctx, where, found[i].content, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// kept reports a file that the ledger has, and whose signature was judged there.
func (b *Books) kept(content artifact.Digest, format string) bool {
	name := fileOf(content, format)
	return len(find(&b.files, name[:])) > 0
}

// read reports the signatures at a spot that known keys made.
func (b *Books) read(ctx context.Context, client *artifactory.Client, s spot) (found standing, err error) {
	f, ok := seal.Lookup(s.Format)
	if !ok {
		return standing{unread: "the format " + s.Format + " is unknown"}, nil
	}
	content, err := s.Read(ctx)
	switch {
	case nothing(err):
		return standing{}, nil
	case errors.Is(err, artifactory.ErrTooLarge), errors.Is(err, artifactory.ErrTooMany), errors.Is(err, artifactory.ErrReferrers):
		return standing{unread: err.Error()}, nil
	case err != nil:
		return standing{}, err
	case len(content) == 0 && s.digest.IsZero():
		return standing{unread: "it could not be read whole"}, nil
	}
	found.content = artifact.Attachment{Content: content}.SHA256()
	if b.kept(found.content, s.Format) {
		return standing{}, nil
	}
	in, err := f.Inside(content)
	if err != nil {
		return standing{}, nil //nolint:nilerr // what is no signature is nobody's
	}
	if len(in) > maxInside {
		return standing{unread: fmt.Sprintf("there are %d signatures in it", len(in))}, nil
	}
	digests, err := b.digests(ctx, client, s)
	if err != nil {
		return standing{}, err
	}
	for _, one := range in {
		if spki := b.madeBy(one, digests); !spki.IsZero() {
			found.by = append(found.by, made{sha256.Sum256(one.Signature), spki})
		}
	}
	return found, nil
}

// digests are those of what a file may be a signature of. Bytes are read only for a signature that does not tell what it is
// over, and keys that hash otherwise than Artifactory.
func (b *Books) digests(ctx context.Context, client *artifactory.Client, s spot) ([]seal.Digests, error) {
	var all []seal.Digests
	for _, info := range s.bytes {
		d, sums := seal.FromSHA256(info.SHA256), map[crypto.Hash]hash.Hash{}
		for _, pub := range b.keys.public {
			if h, err := seal.HashFor(pub); err == nil && h != crypto.SHA256 && s.Format == "raw" {
				sums[h] = h.New()
			}
		}
		if len(sums) > 0 {
			var into []hash.Hash
			for _, sum := range sums {
				into = append(into, sum)
			}
			if err := client.Pull(ctx, info, into...); nothing(err) {
				continue
			} else if err != nil {
				return nil, err
			}
			for h, sum := range sums {
				d[h] = sum.Sum(nil)
			}
		}
		all = append(all, d)
	}
	return append(all, nil), nil // what the file says itself
}

// madeBy is the known key that made a signature; zero when none did.
func (b *Books) madeBy(in seal.Inside, digests []seal.Digests) artifact.Digest {
	for spki, pub := range b.keys.public {
		for _, d := range digests {
			if in.MadeBy(pub, d) {
				return spki
			}
		}
	}
	return artifact.Digest{}
}

// judge holds a signature that stands in a repository against what the logs hold.
func (b *Books) judge(ctx context.Context, where string, content artifact.Digest, m made) error {
	id := useOf(m.signature, m.spki, artifact.Digest{})
	given := false
	for _, e := range find(&b.uses, id[:16]) {
		if e.state == completed {
			return nil
		}
		given = true
	}
	if len(find(&b.told, id[:16])) > 0 { // the alarm about these is another
		return nil
	}
	at, ok, err := b.view.MadeAt(ctx, content)
	if err != nil {
		return err
	}
	if ok && b.underWay(at) {
		b.recent++
		return nil
	}
	if at := where + string(id[:16]); b.seen[at] { // evidence is found where it lies, and by its bundle
		return nil
	} else if len(b.seen) < maxSeen {
		b.seen[at] = true
	}
	r := reason.Reason{
		Code: reason.SignatureUnlogged, Message: "a signature by a key of the service stands in a repository, and no log holds it", Found: where + ", by the key " + b.keys.text(m.spki),
		Expected: "an entry in the log, made before the signature left the service", Fix: "somebody else uses the key, or used it: distrust it until it is known who",
	}
	switch {
	case given:
		r.Code, r.Message = reason.SignatureUnpublished, "a signature stands in a repository that was given up before it was published"
		r.Expected, r.Fix = "signatures that an outcome in the log names", "find out who took it out of the service; distrust the key until then"
	case !b.keys.opened[m.spki]:
		r.Code, r.Message = reason.SignatureKeyUnlogged, "a signature by a key that no process has opened stands in a repository, and no log holds it"
	}
	b.alarm(r)
	return nil
}

// unread is an alarm: whoever places what cannot be read shall not hide a signature there.
func (b *Books) unread(where, why string) {
	b.alarm(reason.Reason{
		Code: reason.SignatureUnread, Message: "it cannot be said whose signature stands in a repository", Found: where + ": " + why, Expected: "a file as signatures have it",
		Fix: "look who put it there; move away what is no signature", Who: "operators, then " + security,
	})
}
