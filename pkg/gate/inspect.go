package gate

import (
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

// parallel bounds how many signatures of one artifact are held and judged at once.
const parallel = 8

// inspection is steps 2 and 3 for one subject.
type inspection struct {
	client  *artifactory.Client
	cache   *cache
	trust   []hsm.Public
	trusted Trusted
	version artifact.Digest // of trust and trusted
	demand  policy.Demand
	subject artifact.Subject
	ledger  *ledger.Ledger
	memory  memory
	all     bool // see Request.All
	along   bool // see Inspect
	looked  policy.Looked

	mu        sync.Mutex // guards digests and envelopes; held while the artifact is hashed
	digests   seal.Digests
	envelopes map[artifact.Digest]artifact.Digest // of evidence that verified: what envelopeOf says, by the digest of the file
}

// newInspection tries the keys first that need no bytes but the digest that Artifactory reports.
func (g *Gate) newInspection(ctx context.Context, client *artifactory.Client, demand policy.Demand, subject artifact.Subject) *inspection {
	trust := slices.Clone(g.Trust)
	slices.SortStableFunc(trust, func(a, b hsm.Public) int { return cmp.Compare(a.Hash, b.Hash) }) // SHA-256 is the smallest
	trusted := g.Trusted.Now(ctx)
	return &inspection{
		client: client, cache: g.cache, trust: trust, trusted: trusted, version: trustVersion(trust, trusted), demand: demand, subject: subject, ledger: g.Ledger,
		digests: seal.FromSHA256(subject.SHA256), envelopes: map[artifact.Digest]artifact.Digest{},
	}
}

// run reads and judges the files that may hold a signature, the likeliest first, until the demand is met.
func (in *inspection) run(ctx context.Context) ([]policy.Evidence, error) {
	formats := in.demand.Formats()
	if in.all {
		formats = seal.Formats()
	}
	forbidden := in.demand.Forbidden()
	if len(forbidden) > 0 { // wherever one of theirs may stand
		formats, in.all = seal.Formats(), true
	}
	in.looked = policy.Looked{Keys: slices.Concat(in.demand.Keys(), forbidden), Formats: formats}
	likely, rest, err := shelf.Look(ctx, in.client, in.subject, shelf.Query{Keys: in.looked.Keys, Formats: formats})
	if err != nil {
		return nil, fmt.Errorf("looking for signatures: %w", err)
	}
	var found []policy.Evidence
	for i, some := range [][]shelf.Spot{likely, rest} {
		more, err := in.look(ctx, some)
		unread := errors.Is(err, artifactory.ErrReferrers) || errors.Is(err, artifactory.ErrTooMany)
		if unread && in.all && (in.along || len(in.demand.Judge(found)) == 0) {
			in.looked.Early = true
			break // a list that nobody may read, or that is not read whole, has nothing that could go along, and the answer does not need it
		}
		if err != nil {
			return nil, err
		}
		if err := in.date(ctx, more); err != nil {
			return nil, err
		}
		found = append(found, more...)
		if !in.all && in.demand.Enough(found) {
			in.looked.Early = i == 0 && len(rest) > 0
			break
		}
	}
	return in.washed(ctx, found)
}

// look reads what stands at the spots and says what each of them proves. A missing file proves nothing.
func (in *inspection) look(ctx context.Context, spots []shelf.Spot) ([]policy.Evidence, error) {
	seen := make([]*policy.Evidence, len(spots))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, spot := range spots {
		group.Go(func() error {
			e, _, err := in.spot(ctx, spot)
			if errors.Is(err, artifact.ErrGone) {
				return nil
			}
			seen[i] = &e
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("reading the signature files: %w", err)
	}
	var found []policy.Evidence
	for _, e := range seen {
		if e != nil {
			found = append(found, *e)
		}
	}
	return found, nil
}

// spot reads one signature and judges it.
func (in *inspection) spot(ctx context.Context, spot shelf.Spot) (policy.Evidence, []byte, error) {
	content, err := spot.Read(ctx)
	if errors.Is(err, artifactory.ErrTooLarge) {
		return policy.Evidence{
			File: spot.Name, Format: spot.Format, Problem: reason.SignatureInvalid, Detail: fmt.Sprintf("has more than %d bytes, no signature file has", shelf.MaxSignature),
		}, nil, nil
	}
	if err != nil {
		return policy.Evidence{}, nil, err
	}
	format, _ := seal.Lookup(spot.Format)
	q := question{content: sha256.Sum256(content), format: format.Name, subject: in.subject.SHA256, trust: in.version, hashed: in.hashes()}
	e, known := in.cache.recall(q)
	if !known {
		var final bool
		if e, final, err = in.verify(ctx, format, content); err != nil {
			return policy.Evidence{}, nil, fmt.Errorf("verifying %s: %w", spot.Name, err)
		}
		if final {
			in.cache.keep(q, e)
		}
	}
	e.File, e.SHA256 = spot.Name, q.content
	if e.Problem == "" && spot.Format == artifactory.EvidenceFormat {
		if id, ok := envelopeOf(content); ok {
			in.mu.Lock()
			in.envelopes[e.SHA256] = id
			in.mu.Unlock()
		}
	}
	return e, content, nil
}

// hashes reports whether the artifact is read if it has to be: a key that takes another digest than the one that Artifactory
// reports is tried on a file only where such a key counts.
func (in *inspection) hashes() bool {
	return in.subject.Kind == artifact.KindFile && slices.ContainsFunc(in.trust, func(k hsm.Public) bool { return k.Hash != crypto.SHA256 && in.counts(k) })
}

// verify tries a file against the key that it names, or against every pinned key, and keeps the most telling answer. It is
// final when no key was left out for want of a digest that another demand would have brought.
func (in *inspection) verify(ctx context.Context, format seal.Format, content []byte) (_ policy.Evidence, final bool, _ error) {
	e := policy.Evidence{Format: format.Name, Problem: reason.SignatureWrongKey, Detail: "made with a key that is not pinned here"}
	final = true
	keys, named := in.trust, false
	if spki, ok := format.KeyHint(content); ok {
		named = true
		keys = slices.DeleteFunc(slices.Clone(keys), func(k hsm.Public) bool { return k.SPKI != spki })
	}
	for _, k := range keys {
		digests, err := in.digestsFor(ctx, k)
		if err != nil || ctx.Err() != nil {
			return policy.Evidence{}, false, cmp.Or(err, ctx.Err())
		}
		err = format.Verify(k.PublicKey, digests, content)
		switch {
		case err == nil:
			e, err = in.trusted.Judge(policy.Evidence{Format: format.Name, Key: k.Name}, k, digests, content)
			return e, err == nil, err
		case errors.Is(err, seal.ErrNoDigest):
			final = false
			if named {
				e.Key, e.Detail = k.Name, "made with a key that does not count here"
			}
			continue
		}
		switch problem := seal.Problem(err); problem {
		case reason.Undecided:
			return policy.Evidence{}, false, err
		case reason.SignatureWrongKey:
		default:
			e.Problem, e.Detail = problem, err.Error()
			if named {
				e.Key = k.Name
			}
		}
		if errors.Is(err, seal.ErrMalformed) {
			break
		}
	}
	return e, final, nil
}

// digestsFor returns the digests that a key's signatures are over. Those of anything but a file are over a statement that
// names the bytes by the SHA-256 that Artifactory reports. For a key that signs another than the one Artifactory
// reports, the artifact is read, once, but only when the key counts.
func (in *inspection) digestsFor(ctx context.Context, k hsm.Public) (seal.Digests, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.digests[k.Hash] != nil || in.subject.Kind != artifact.KindFile || !in.counts(k) {
		return in.digests, nil
	}
	further := make(map[crypto.Hash]hash.Hash)
	for _, k := range in.trust {
		if in.digests[k.Hash] == nil && further[k.Hash] == nil {
			further[k.Hash] = k.Hash.New()
		}
	}
	if err := in.client.Pull(ctx, in.subject.Info, slices.Collect(maps.Values(further))...); err != nil {
		return nil, fmt.Errorf("hashing the artifact: %w", err)
	}
	digests := maps.Clone(in.digests) // readers hold the old one
	for h, sum := range further {
		digests[h] = sum.Sum(nil)
	}
	in.digests = digests
	return digests, nil
}

// counts reports whether the demand asks for the key.
func (in *inspection) counts(k hsm.Public) bool { return slices.Contains(in.demand.Keys(), k.Name) }

// companion judges a signature file that is to be promoted itself. It may go where its artifact may, if it is a signature
// of that artifact by a key that counts there.
func (in *inspection) companion(ctx context.Context, asked artifact.Ref) ([]reason.Reason, error) {
	format, _ := seal.FormatOf(asked.Name())
	e, content, err := in.spot(ctx, shelf.Beside(in.client, in.subject.Ref, asked.Name(), format.Name))
	if err != nil {
		return nil, err
	}
	one := []policy.Evidence{e}
	if err := in.date(ctx, one); err != nil {
		return nil, err
	}
	if why := in.demand.Accompanies(one[0]); e.Problem == "" && why != "" {
		one[0].Problem, one[0].Detail = why, "by "+e.Key+", which does not count here"
	}
	if _, err := in.trace(ctx, one); err != nil {
		return nil, err
	}
	if e = one[0]; e.Problem != "" {
		return []reason.Reason{{
			Code: e.Problem, Message: fmt.Sprintf("%s is not a signature file that may go along with %s", asked.Name(), in.subject.Ref.Name()),
			Found: e.Detail, Expected: "a signature of " + in.subject.Ref.String() + " by a key that counts", Rule: in.demand.Rule(),
			Fix: "delete the file, then: hallmark sign " + in.subject.Ref.String(), Who: "the caller",
		}}, nil
	}
	return nil, stands(ctx, in.client, asked, artifact.Attachment{Content: content}.SHA256())
}
