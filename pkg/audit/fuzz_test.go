package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// FuzzParseLeaf feeds leaves that nobody vouches for. Whatever is accepted has one form only.
func FuzzParseLeaf(f *testing.F) {
	for _, leaf := range goldenLeaves(f) {
		b, err := leaf.Marshal()
		require.NoError(f, err)
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		leaf, err := audit.ParseLeaf(b)
		if err != nil {
			require.ErrorIs(t, err, audit.ErrLeaf)
			require.Nil(t, leaf)
			return
		}
		if r, ok := leaf.(audit.Rekord); ok && r.Verify() != nil {
			_, err := leaf.Marshal()
			require.Error(t, err, "what does not verify is not logged")
			return
		}
		again, err := leaf.Marshal()
		require.NoError(t, err)
		require.Equal(t, string(b), string(again))
	})
}
