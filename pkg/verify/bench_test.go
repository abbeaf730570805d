package verify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// BenchmarkSignature is the cost of one check; pkg/seal's BenchmarkVerify is that of the other verifier.
func BenchmarkSignature(b *testing.B) {
	for _, algorithm := range sealtest.Algorithms {
		key, d := sealtest.NewKey(b, algorithm, "bench"), sealtest.Digests(b, "artifact")
		for _, name := range seal.Formats() {
			content := sealtest.Seal(b, name, key, d, nil)
			b.Run(algorithm+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					require.NoError(b, verify.Signature(name, key.Public(), verify.Digests(d), content))
				}
			})
		}
	}
}
