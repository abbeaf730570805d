package sealtest

import (
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// BareRS turns an ECDSA signature in DER into the r‖s of PKCS#11.
func BareRS(t testing.TB, der []byte, size int) []byte {
	t.Helper()
	n := numbers(t, der)
	return append(n.R.FillBytes(make([]byte, size)), n.S.FillBytes(make([]byte, size))...)
}

type pair struct{ R, S *big.Int }

func numbers(t testing.TB, der []byte) (n pair) {
	t.Helper()
	_, err := asn1.Unmarshal(der, &n)
	require.NoError(t, err)
	return n
}

// negated is the other signature that everybody can make of one by a P-256 key. Nothing rests on there being one only.
func negated(t testing.TB, der []byte) []byte {
	n := numbers(t, der)
	n.S.Sub(elliptic.P256().Params().N, n.S)
	out, err := asn1.Marshal(n)
	require.NoError(t, err)
	return out
}

// withThird is DER that a lenient reader takes for a signature, with more in it.
func withThird(t testing.TB, der []byte) []byte {
	n := numbers(t, der)
	out, err := asn1.Marshal(struct{ R, S, T *big.Int }{n.R, n.S, big.NewInt(1)})
	require.NoError(t, err)
	return out
}
