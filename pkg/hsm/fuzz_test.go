package hsm_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// FuzzDecodeEC: whatever a token calls a point either is one on the curve, or is refused.
func FuzzDecodeEC(f *testing.F) {
	params, err := hex.DecodeString("06082a8648ce3d030107") // P-256
	require.NoError(f, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	bare, err := key.PublicKey.Bytes()
	require.NoError(f, err)
	wrapped, err := asn1.Marshal(bare)
	require.NoError(f, err)
	for _, point := range [][]byte{bare, wrapped} {
		got, err := hsm.DecodeEC(params, point)
		require.NoError(f, err)
		require.True(f, key.PublicKey.Equal(got))
	}
	f.Add(params, wrapped)
	f.Add(params, bare)
	f.Add(params, []byte{})
	f.Fuzz(func(t *testing.T, params, point []byte) {
		key, err := hsm.DecodeEC(params, point)
		if err != nil {
			return
		}
		pub, ok := key.(*ecdsa.PublicKey)
		require.True(t, ok)
		_, err = pub.Bytes() // fails for a point that is not on the curve
		require.NoError(t, err)
	})
}

// FuzzLoadPublic: what is read can be written and read again.
func FuzzLoadPublic(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(f, err)
	pub, err := hsm.NewPublic("k", "release", &key.PublicKey)
	require.NoError(f, err)
	pem, err := pub.PEM()
	require.NoError(f, err)
	f.Add(pem)
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pub, err := hsm.LoadPublic("k", "release", data)
		if err != nil {
			return
		}
		pem, err := pub.PEM()
		require.NoError(t, err)
		again, err := hsm.LoadPublic("k", "release", pem)
		require.NoError(t, err)
		require.Equal(t, pub.SPKI, again.SPKI)
		require.Error(t, pub.Verify(make([]byte, pub.Hash.Size()), data))
	})
}
