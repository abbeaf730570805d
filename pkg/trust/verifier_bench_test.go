package trust_test

import (
	"crypto/elliptic"
	"testing"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// BenchmarkVerify is the judgement of one bundle.
func BenchmarkVerify(b *testing.B) {
	r, key := newRealm(b, "sign.acme.example"), newKey(b, elliptic.P256())
	for _, format := range []string{"sigstore", "cosign", "sigstore-key"} {
		content, digest := r.seal(b, key, format, nil), digestFor(key, format)
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				if _, err := r.verifier.Verify(content, key.Public(), digest); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStamp is a time-stamp of the built-in authority with a key in memory, checked.
func BenchmarkStamp(b *testing.B) {
	realm := newStampRealm(b, newKey(b, elliptic.P256()))
	s, err := trust.NewStamper(realm.key, realm.chain, trust.StampOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := s.Stamp(b.Context(), []byte("signature")); err != nil {
			b.Fatal(err)
		}
	}
}
