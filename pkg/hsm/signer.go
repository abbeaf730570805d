package hsm

import (
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Signer is the use of one key under a grant. It is safe for concurrent use.
type Signer struct {
	ring   *Keyring
	public Public
}

// Public is the pinned public key.
func (s *Signer) Public() crypto.PublicKey { return s.public.PublicKey }

// Hash is the one digest that Sign accepts.
func (s *Signer) Hash() crypto.Hash { return s.public.Hash }

// Name is the key's name in the configuration.
func (s *Signer) Name() string { return s.public.Name }

// SPKI is the SHA-256 over the key's DER SubjectPublicKeyInfo.
func (s *Signer) SPKI() artifact.Digest { return s.public.SPKI }

// Sign signs a digest made with Hash: ECDSA as ASN.1 DER, RSA as PKCS#1 v1.5. What it returns has been verified in
// software with the pinned public key. It returns soon after ctx ends, and after PoolWait and SignTimeout of the token at
// the latest, even when the module hangs. ErrDigest, ErrBusy, ErrTimeout, ErrDown, ErrSelfCheck, or the token's own
// error (a pkcs11.Error); all but ErrDigest and ErrSelfCheck may pass.
func (s *Signer) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if len(digest) != s.public.Hash.Size() {
		return nil, fmt.Errorf("signing with key %s: %w: %d bytes, %s signs %d", s.public.Name, ErrDigest, len(digest), s.public.Algorithm, s.public.Hash.Size())
	}
	start := time.Now()
	sig, err := s.ring.signers[s.public.Name](ctx, s.public.Name, digest)
	if err != nil {
		return nil, fmt.Errorf("signing with key %s: %w", s.public.Name, err)
	}
	if err := s.public.Verify(digest, sig); err != nil {
		s.ring.selfCheckFailed(ctx, s.public)
		return nil, fmt.Errorf("signing with key %s: %w", s.public.Name, ErrSelfCheck)
	}
	s.ring.metrics.seconds[s.public.Name].Observe(time.Since(start).Seconds())
	return sig, nil
}

// selfCheckFailed counts what must never happen and has the token's keys found and compared anew: a handle that came to
// mean another object is the one cause that this cures.
func (r *Keyring) selfCheckFailed(ctx context.Context, p Public) {
	r.metrics.selfCheck.Inc()
	r.metrics.failed(ErrSelfCheck)
	r.log.ErrorContext(ctx, "a signature from the token did not verify and was dropped", slog.String("key", p.Name), slog.String("spki", p.Pin()))
	for _, t := range r.tokens {
		for _, k := range t.keys {
			if k.Name == p.Name {
				t.module.renew(t, ErrSelfCheck)
			}
		}
	}
}
