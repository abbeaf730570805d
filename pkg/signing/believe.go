package signing

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// errUnproven means that a bundle of our own lacks what makes it believable.
var errUnproven = errors.New("the bundle does not prove what it should")

// believe judges the bundles of a key as one does who has the trusted root and pins nothing: certificate, log entry and
// time-stamp have to hold before the bundle is kept or published. What is made now has to have them all; a bundle that is
// kept without them, because its key signs no more, is as good as it was.
func (r *run) believe(ctx context.Context, w *work, p *part) error {
	for _, f := range p.files {
		err := r.proof(ctx, f.format, p.key, w.digests, f.content)
		if errors.Is(err, errUnproven) && !slices.ContainsFunc(p.missing, func(m seal.Format) bool { return m.Name == f.format.Name }) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%s, by the trusted root: %w", f.format.Name, err)
		}
	}
	return nil
}

// proof says what a signature file lacks in the eyes of those who have the trusted root: errUnproven when something is not
// there, an error of trust when something is there and does not hold. It is nil without a trusted root, and for formats that
// carry nothing but a signature. Where the digest that the key signs is not at hand, the one counts that the file names.
func (s *Service) proof(ctx context.Context, f seal.Format, k hsm.Public, d seal.Digests, content []byte) error {
	verifier := s.Trusted.Now(ctx).Verifier
	if verifier == nil || !f.Bundle() {
		return nil
	}
	over := d[k.Hash]
	if in, err := f.Inside(content); err == nil && over == nil && len(in) == 1 {
		over = in[0].Over()
	}
	found, err := verifier.Verify(content, k.PublicKey, over)
	if k.Hash != crypto.SHA256 && (over == nil || errors.Is(err, trust.ErrWrongBytes)) { // a statement names its subject by SHA-256, whatever the key signs
		found, err = verifier.Verify(content, k.PublicKey, d[crypto.SHA256])
	}
	if err != nil {
		return err
	}
	return proven(f, found)
}

// proven holds a bundle to what its format promises.
func proven(f seal.Format, found trust.Finding) error {
	switch {
	case found.Level < trust.LevelRoot && !strings.HasSuffix(f.Name, "-key"):
		return fmt.Errorf("%w: it has no certificate", errUnproven)
	case found.LogOrigin == "":
		return fmt.Errorf("%w: it is in no log", errUnproven)
	case found.At.IsZero():
		return fmt.Errorf("%w: it has no time-stamp", errUnproven)
	}
	return nil
}

// lacks reports whether a signature file would prove more if it were made now: it was made before there was a notary, or
// what it carries does not hold by the trusted root of today. What is wrong with the signature itself is another matter.
func (s *Service) lacks(ctx context.Context, f seal.Format, k hsm.Public, d seal.Digests, content []byte) bool {
	err := s.proof(ctx, f, k, d, content)
	switch trust.Problem(err) {
	case reason.LogUnknown, reason.LogProofInvalid, reason.CertificateUntrusted, reason.CertificateExpired, reason.TimestampInvalid:
		return true
	}
	return errors.Is(err, errUnproven)
}

// serving leaves those of the ledger's signatures that serve an order: they are in force, count still, and lack nothing. Of
// the key that the order names they may lack something when that is distrusted: it will make no others.
func (s *Service) serving(ctx context.Context, order policy.Order, kept []ledger.Signature, distrusted distrusts) []ledger.Signature {
	return slices.DeleteFunc(distrusted.trusted(kept), func(sig ledger.Signature) bool {
		if sig.Former {
			return true
		}
		i := slices.IndexFunc(s.Keys.Keys(), func(k hsm.Public) bool { return k.SPKI == sig.KeySPKI })
		format, ok := seal.Lookup(sig.Format)
		if i < 0 || !ok {
			return false
		}
		k := s.Keys.Keys()[i]
		if _, no := distrusted[k.SPKI]; no && k.Name == order.Key {
			return false
		}
		return s.lacks(ctx, format, k, seal.FromSHA256(sig.Subject), sig.Content)
	})
}
