package verify_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// FuzzSignature feeds content that nobody vouches for to every format. Whatever it is: no panic, an error that names one
// cause, no acceptance for other bytes or under another key, and the same answer as pkg/seal's.
func FuzzSignature(f *testing.F) {
	pub, other := goldenKey(f), sealtest.NewKey(f, "P-384", "somebody else").Public()
	right, wrong := sealtest.Digests(f, goldenContent), sealtest.Digests(f, "else")
	for _, name := range seal.Formats() {
		format, _ := seal.Lookup(name)
		f.Add(golden(f, format))
	}
	for _, c := range sealtest.Cases(f) {
		if len(c.Content) < 10_000 {
			f.Add(c.Content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, name := range seal.Formats() {
			_ = requireAgreed(t, name, pub, right, content)
			require.Error(t, requireAgreed(t, name, pub, wrong, content))
			require.Error(t, requireAgreed(t, name, other, right, content))
		}
	})
}
