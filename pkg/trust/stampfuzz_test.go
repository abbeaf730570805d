package trust_test

import (
	"bytes"
	"crypto/elliptic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// Whatever a time-stamp is, reading it ends soon and without a panic, and only the one that was made is believed: its bytes
// but for those that say nothing.
func FuzzToken(f *testing.F) {
	token, chain := goldenToken(f)
	require.NoError(f, trust.CheckToken(chain, token, goldenSignature))
	f.Add(token)
	f.Add(token[:len(token)-1])
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Add(bytes.Repeat([]byte{0x30, 0x80}, 20_000))
	f.Fuzz(func(t *testing.T, token []byte) {
		err := trust.CheckToken(chain, token, goldenSignature)
		if err != nil {
			require.ErrorIs(t, err, trust.ErrTimestamp)
		}
		require.ErrorIs(t, trust.CheckToken(chain, token, []byte("another")), trust.ErrTimestamp)
	})
}

func TestTokenBounds(t *testing.T) {
	t.Parallel()
	realm := newStampRealm(t, newKey(t, elliptic.P256()))
	nested := func(depth int) []byte {
		var der []byte
		for range depth {
			der = append([]byte{0x30, 0x82, byte(len(der) >> 8), byte(len(der))}, der...)
		}
		return der
	}
	for name, c := range map[string]struct {
		token []byte
		says  string
	}{
		"empty":             {nil, "not a TimeStampResp"},
		"too large":         {make([]byte, 32<<10+1), "over 32768"},
		"nested":            {nested(100), "nested more than 32 deep"},
		"indefinite length": {bytes.Repeat([]byte{0x30, 0x80}, 10_000), "indefinite"},
		"cut off":           {[]byte{0x30, 0x05, 0x02}, "5 bytes are announced"},
		"long tag":          {[]byte{0x3f, 0x81, 0x00}, "tag of several bytes"},
		"rejection":         {[]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x02}, "not granted"},
		"granted with mods": {[]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x01}, "not granted"},
		"negative status":   {[]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0xff}, "not granted"},
		"no token":          {[]byte{0x30, 0x05, 0x30, 0x03, 0x02, 0x01, 0x00}, "granted without a token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := trust.CheckToken(realm.chain, c.token, []byte("signature"))
			require.ErrorIs(t, err, trust.ErrTimestamp)
			require.ErrorContains(t, err, c.says)
		})
	}
}
