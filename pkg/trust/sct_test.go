package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a promise signs and how it stands in a certificate, octet by octet.
func TestSCTEncoding(t *testing.T) {
	t.Parallel()
	s := signedTimestamp{at: 0x0102030405060708, hash: tlsSHA256, alg: tlsECDSA, signature: []byte{0xaa, 0xbb}}
	for i := range s.logID {
		s.logID[i] = byte(i)
	}
	input, err := s.input(&x509.Certificate{RawSubjectPublicKeyInfo: []byte("key of the issuer")}, []byte("what it says"))
	require.NoError(t, err)
	key := sha256.Sum256([]byte("key of the issuer"))
	require.Equal(t, "0000"+"0102030405060708"+"0001"+hex.EncodeToString(key[:])+"00000c"+hex.EncodeToString([]byte("what it says"))+"0000", hex.EncodeToString(input))

	e, err := sctExtension(s)
	require.NoError(t, err)
	require.Equal(t, "1.3.6.1.4.1.11129.2.4.2", e.Id.String())
	require.False(t, e.Critical)
	id := hex.EncodeToString(s.logID[:])
	require.Equal(t, "0435"+"0033"+"0031"+"00"+id+"0102030405060708"+"0000"+"0403"+"0002"+"aabb", hex.EncodeToString(e.Value))
	all, err := parseSCTs(e.Value)
	require.NoError(t, err)
	require.Len(t, all, 1)
	all[0].extensions = nil
	require.Equal(t, s, all[0])
}

func FuzzParseSCTs(f *testing.F) {
	e, err := sctExtension(signedTimestamp{hash: tlsSHA256, alg: tlsECDSA, signature: []byte{1}})
	require.NoError(f, err)
	f.Add(e.Value)
	f.Add([]byte{4, 2, 0, 0})
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = parseSCTs(data)
		_, _ = withoutSCTs(data)
	})
}
