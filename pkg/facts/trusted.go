package facts

import (
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// Verifier judges what a bundle carries besides its signature: certificate, proof of standing in the log, time-stamp.
// *trust.Verifier is one. It is pure, bounded whatever it is given, and safe for concurrent use.
type Verifier interface {
	// Verify returns what a bundle proves about an artifact's digest under a pinned key; what is there and does not hold is
	// an error that trust.Problem knows.
	Verify(bundle []byte, pub crypto.PublicKey, digest []byte) (trust.Finding, error)
}

// Trusted is who is believed besides the pinned keys. The zero Trusted believes nobody: whatever bundles carry besides
// their signature is not looked at, and every signature that verifies has trust level 2, without a date of its own.
type Trusted struct {
	Verifier Verifier
	Root     artifact.Digest // of the trusted root that the verifier judges by
	// Renew tells who is believed now, which other replicas add to; nil: those above, for ever. It answers soon, and when it
	// cannot learn more, with what was so before.
	Renew func(ctx context.Context) Trusted
}

// Now is who is believed at the moment. Whoever judges takes it once.
func (t Trusted) Now(ctx context.Context) Trusted {
	if t.Renew == nil {
		return t
	}
	return t.Renew(ctx)
}

// Judge adds to a signature that verified with a pinned key what else it proves. What it carries and does not hold is its
// problem, not a lower level. d are digests of the artifact.
func (t Trusted) Judge(e policy.Evidence, k hsm.Public, d seal.Digests, content []byte) (policy.Evidence, error) {
	e.Level = trust.LevelKey
	format, _ := seal.Lookup(e.Format)
	if t.Verifier == nil || !format.Bundle() {
		return e, nil
	}
	var found trust.Finding
	err := fmt.Errorf("%w: no digest of the artifact is known", trust.ErrWrongBytes)
	for _, h := range []crypto.Hash{k.Hash, crypto.SHA256} { // over the bytes, or over a statement that names them by SHA-256
		if d[h] == nil || !errors.Is(err, trust.ErrWrongBytes) {
			continue
		}
		found, err = t.Verifier.Verify(content, k.PublicKey, d[h])
	}
	if problem := trust.Problem(err); problem == reason.Undecided {
		return e, fmt.Errorf("judging what the signature carries: %w", err)
	} else if problem != "" {
		e.Problem, e.Detail, e.Level = problem, err.Error(), 0
		return e, nil
	}
	e.Level, e.Stamped, e.Identity = found.Level, found.At, found.Identity
	return e, nil
}
