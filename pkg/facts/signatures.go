package facts

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

// takeSignatures takes the signatures that stand with the artifact, each verified with the pinned keys over the digest that
// Artifactory reports. When one was made is known of those that are time-stamped, or that the ledger keeps. One that cannot be read for good is
// there with that as its problem, and so proves nothing.
func (g *gathering) takeSignatures(ctx context.Context) error {
	if g.subject.SHA256.IsZero() {
		return nil
	}
	v := verifier{gathering: g, trusted: g.Trusted.Now(ctx), digests: seal.FromSHA256(g.subject.SHA256), keys: slices.Clone(g.Trust)}
	slices.SortStableFunc(v.keys, func(a, b hsm.Public) int { return cmp.Compare(a.Hash, b.Hash) }) // first those that need no other digest
	q := shelf.Query{Formats: seal.FormatsOf(g.subject.Kind)}
	for _, k := range v.keys {
		q.Keys = append(q.Keys, k.Name)
	}
	likely, rest, err := shelf.Look(ctx, g.client, g.subject, q)
	if err == nil {
		v.kept, err = g.Ledger.Signatures(ctx, g.subject.SHA256)
	}
	if err == nil {
		v.distrusted, err = g.Ledger.Distrusted(ctx)
	}
	for _, spot := range append(likely, rest...) {
		if err != nil {
			break
		}
		err = v.take(ctx, spot)
	}
	if errors.Is(err, artifactory.ErrNoEvidence) { // nowhere to keep any
		err = nil
	}
	if err != nil {
		return g.fail(policy.NeedSignatures, g.read()+", the referrers API of its images included", err)
	}
	return nil
}

// verifier judges the signatures of one artifact.
type verifier struct {
	*gathering
	trusted Trusted
	keys    []hsm.Public
	kept    []ledger.Signature
	digests seal.Digests

	distrusted map[artifact.Digest]ledger.Distrust
}

// take reads and judges what stands at one spot.
func (v *verifier) take(ctx context.Context, spot shelf.Spot) error {
	e := policy.Evidence{File: spot.Name, Format: spot.Format}
	content, err := spot.Read(ctx)
	switch {
	case errors.Is(err, artifact.ErrGone), errors.Is(err, artifactory.ErrNotFile), errors.Is(err, artifactory.ErrPath):
		return nil
	case errors.Is(err, artifactory.ErrTooLarge):
		e.Problem, e.Detail = reason.SignatureInvalid, fmt.Sprintf("has more than %d bytes, no signature file has", shelf.MaxSignature)
	case errors.Is(err, artifactory.ErrTooMany):
		e.Problem, e.Detail = reason.SignaturesTooMany, err.Error()
	case errors.Is(err, artifactory.ErrReferrers):
		e.Problem, e.Detail = reason.Undecided, err.Error()
	case err != nil:
		return fmt.Errorf("reading %s: %w", spot.Name, err)
	default:
		e.SHA256 = sha256.Sum256(content)
		if err := v.judge(ctx, &e, content); err != nil {
			return err
		}
	}
	v.facts.Signatures = append(v.facts.Signatures, e)
	return nil
}

// judge finds the key that made a signature, or the most telling answer to why none did.
func (v *verifier) judge(ctx context.Context, e *policy.Evidence, content []byte) error {
	format, ok := seal.Lookup(e.Format)
	if !ok {
		return fmt.Errorf("the format %q is unknown", e.Format)
	}
	e.Problem, e.Detail = reason.SignatureWrongKey, "made with a key that is not pinned here"
	keys := v.keys
	if spki, ok := format.KeyHint(content); ok {
		keys = slices.DeleteFunc(slices.Clone(keys), func(k hsm.Public) bool { return k.SPKI != spki })
	}
	for _, k := range keys {
		if err := v.hash(ctx, k); err != nil {
			return err
		}
		err := format.Verify(k.PublicKey, v.digests, content)
		switch problem := seal.Problem(err); problem {
		case "":
			e.Key, e.Problem, e.Detail = k.Name, "", ""
			judged, err := v.trusted.Judge(*e, k, v.digests, content)
			if err != nil {
				return fmt.Errorf("verifying %s: %w", e.File, err)
			}
			if *e = judged; e.Problem == "" {
				*e = e.Dated(v.made(k, e.Format, content))
			}
			e.Distrusted = v.distrusted[k.SPKI].From
			return nil
		case reason.SignatureWrongKey:
		case reason.Undecided:
			return fmt.Errorf("verifying %s: %w", e.File, err)
		default:
			e.Problem, e.Detail = problem, err.Error()
		}
	}
	return nil
}

// hash reads the artifact, once, for a key that signs another digest than the one that Artifactory reports. Signatures of
// anything but files are over statements that name the bytes by that one.
func (v *verifier) hash(ctx context.Context, k hsm.Public) error {
	if v.digests[k.Hash] != nil || v.subject.Kind != artifact.KindFile {
		return nil
	}
	further := map[crypto.Hash]hash.Hash{}
	for _, k := range v.keys {
		if v.digests[k.Hash] == nil && further[k.Hash] == nil {
			further[k.Hash] = k.Hash.New()
		}
	}
	if err := v.client.Pull(ctx, v.subject.Info, slices.Collect(maps.Values(further))...); err != nil {
		return fmt.Errorf("hashing the artifact: %w", err)
	}
	for h, sum := range further {
		v.digests[h] = sum.Sum(nil)
	}
	return nil
}

// made is when we made a signature, on the ledger's word about this very content; zero when it has no record of it.
func (v *verifier) made(k hsm.Public, format string, content []byte) time.Time {
	for _, s := range v.kept {
		if s.KeySPKI == k.SPKI && s.Format == format && bytes.Equal(s.Content, content) {
			return s.MadeAt
		}
	}
	return time.Time{}
}
