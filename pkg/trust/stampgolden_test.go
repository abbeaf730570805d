package trust_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

var update = flag.Bool("update", false, "write the golden files anew")

var goldenSignature = []byte("golden signature")

func goldenToken(t testing.TB) (token []byte, chain []*x509.Certificate) {
	t.Helper()
	token, err := os.ReadFile(filepath.Join("testdata", "stamp", "token.tsr"))
	require.NoError(t, err)
	rest, err := os.ReadFile(filepath.Join("testdata", "stamp", "chain.pem"))
	require.NoError(t, err)
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		chain = append(chain, cert)
	}
	return token, chain
}

// A time-stamp of 2026 verifies for ever, long after the certificate that it was made with has expired.
func TestGoldenToken(t *testing.T) {
	t.Parallel()
	if *update {
		brief := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(time.Minute) }
		root := newIssuer(t, "golden root", brief)
		ca, key, tmpl := root.below(t, "golden CA", brief), newKey(t, elliptic.P256()), stampCert(t, "golden stamp")
		brief(tmpl)
		chain := append([]*x509.Certificate{ca.certify(t, tmpl, key.Public())}, ca.chain()...)
		s, err := trust.NewStamper(key, chain, trust.StampOptions{})
		require.NoError(t, err)
		token, _, err := s.Stamp(t.Context(), goldenSignature)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Join("testdata", "stamp"), 0o750))
		require.NoError(t, os.WriteFile(filepath.Join("testdata", "stamp", "token.tsr"), token, 0o600))
		require.NoError(t, os.WriteFile(filepath.Join("testdata", "stamp", "chain.pem"), certificatesPEM(chain...), 0o600))
	}
	token, chain := goldenToken(t)
	require.NoError(t, trust.CheckToken(chain, token, goldenSignature))
	require.ErrorIs(t, trust.CheckToken(chain, token, []byte("another signature")), trust.ErrTimestamp)
	require.ErrorIs(t, trust.CheckToken(newStampRealm(t, newKey(t, elliptic.P256())).chain, token, goldenSignature), trust.ErrTimestamp)
	require.ErrorContains(t, trust.CheckFresh(chain, token, goldenSignature), "before it was asked for", "nobody may pass an old one off as new")
}
