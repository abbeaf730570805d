package signing

import (
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// maker is the key whose signatures an order is about: the one that it names, unless another that took turns with it made
// all of them in its time. Such signatures stay good, so the same bytes are not signed again when a key takes over.
func (s *Service) maker(order policy.Order, kept []ledger.Signature) (hsm.Public, error) {
	key, ok := s.Keys.Key(order.Key)
	if !ok {
		return hsm.Public{}, fmt.Errorf("%w: %s", hsm.ErrUnknownKey, order.Key)
	}
	if made(key, order.Formats[:min(1, len(order.Formats))], kept) {
		return key, nil // its turn came already
	}
	for _, name := range order.Others {
		if other, ok := s.Keys.Key(name); ok && made(other, order.Formats, kept) {
			return other, nil
		}
	}
	return key, nil
}

// made reports whether the ledger has a key's signatures in all of some formats, made in its time.
func made(k hsm.Public, formats []string, kept []ledger.Signature) bool {
	return !slices.ContainsFunc(formats, func(f string) bool {
		return !slices.ContainsFunc(kept, func(s ledger.Signature) bool {
			return s.KeySPKI == k.SPKI && s.Format == f && !s.MadeAt.Before(k.From) && (k.Retired.IsZero() || s.MadeAt.Before(k.Retired))
		})
	})
}
