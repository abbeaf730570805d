package seal_test

import (
	"context"
	"crypto"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// canned answers at once, so that what is measured is the file around the signature.
type canned struct {
	*sealtest.Key
	signature []byte
}

func (c canned) Sign(context.Context, []byte) ([]byte, error) { return c.signature, nil }

var _ seal.Signer = canned{}

// BenchmarkSealAll is the cost of both files without the signature itself.
func BenchmarkSealAll(b *testing.B) {
	key, d := sealtest.NewKey(b, "P-256", "bench"), digestsOf([]byte("artifact"))
	sig, err := key.Sign(b.Context(), d[crypto.SHA256])
	require.NoError(b, err)
	formats, signer := all(b), canned{key, sig}
	b.ReportAllocs()
	for b.Loop() {
		_, err := seal.SealAll(b.Context(), signer, d, formats, seal.Context{Summary: sealtest.Summary()})
		require.NoError(b, err)
	}
}

// BenchmarkVerify is the cost of one check, the signature's own arithmetic included.
func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []string{"P-256", "RSA-3072"} {
		key, d := sealtest.NewKey(b, algorithm, "bench"), digestsOf([]byte("artifact"))
		sealed, err := seal.SealAll(b.Context(), key, d, all(b), seal.Context{Summary: sealtest.Summary()})
		require.NoError(b, err)
		for _, f := range all(b) {
			b.Run(algorithm+"/"+f.Name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					require.NoError(b, f.Verify(key.Public(), d, sealed[f.Name]))
				}
			})
		}
	}
}
