package hsmtest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/hsm/hsmtest"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

// Two tokens in one process, open at the same time, do not disturb each other.
func TestTokensAreIndependent(t *testing.T) {
	t.Parallel()
	var rings []*hsm.Keyring
	for range 2 {
		tok := hsmtest.NewToken(t)
		key := tok.Generate(t, "release", "release", hsm.P256)
		ring, err := hsm.Open(t.Context(), []hsm.Config{tok.Config()}, []hsm.KeyConfig{key}, hsm.Options{})
		require.NoError(t, err)
		t.Cleanup(ring.Close)
		rings = append(rings, ring)
	}
	require.NotEqual(t, rings[0].Keys()[0].SPKI, rings[1].Keys()[0].SPKI)
	rings[0].Close()
	require.NoError(t, rings[1].Ready(t.Context()))
}

func TestShimCountsAndFails(t *testing.T) {
	t.Parallel()
	tok := hsmtest.NewToken(t)
	shim := tok.Shim(t)
	key := tok.Generate(t, "release", "release", hsm.P256)
	before := shim.Calls(t, "C_Login")
	require.Positive(t, before)
	shim.Fail(t, "C_Login", 0xA0, hsmtest.Forever)
	_, err := hsm.Open(t.Context(), []hsm.Config{tok.Config()}, []hsm.KeyConfig{key}, hsm.Options{})
	require.ErrorIs(t, err, hsm.ErrPIN)
	require.Equal(t, before+1, shim.Calls(t, "C_Login"))
}
