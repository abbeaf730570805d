package trust_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// Whatever order somebody put them in, certificates come out as a chain.
func TestReadChain(t *testing.T) {
	t.Parallel()
	r, other := ordinaryCA(t), ordinaryCA(t)
	leaf := r.leaf(t, ecKey(t, elliptic.P256()))
	want := []*x509.Certificate{leaf, r.chain[0], r.chain[1]}
	for _, shuffled := range [][]*x509.Certificate{want, {want[2], want[1], want[0]}, {want[1], want[0], want[2]}} {
		got, err := trust.ReadChain(append([]byte("subject=CN = somebody\n"), trust.PEMChain(shuffled...)...))
		require.NoError(t, err)
		require.Len(t, got, 3)
		for i := range want {
			require.True(t, want[i].Equal(got[i]), "at %d", i)
		}
	}
	got, err := trust.ReadChain(r.chain[1].Raw)
	require.NoError(t, err)
	require.Len(t, got, 1)

	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"nothing":       {nil, "neither PEM nor DER"},
		"noise":         {[]byte("hello"), "neither PEM nor DER"},
		"a key":         {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}), "only certificates belong here"},
		"broken":        {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0}}), "certificate 1"},
		"twice":         {trust.PEMChain(leaf, leaf), "is there twice"},
		"a gap":         {trust.PEMChain(leaf, r.chain[1]), "2 chains"},
		"two roots":     {trust.PEMChain(r.chain[1], other.chain[1]), "2 chains"},
		"something too": {trust.PEMChain(leaf, r.chain[0], r.chain[1], other.chain[1]), "2 chains"},
		"much":          {bytes.Repeat([]byte("x"), 300<<10), "are no chain"},
	} {
		_, err := trust.ReadChain(c.data)
		require.ErrorIs(t, err, trust.ErrChain, name)
		require.ErrorContains(t, err, c.says, name)
	}
}

func FuzzReadChain(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	if data, err := os.ReadFile(filepath.Join("testdata", "profiles.golden")); err == nil {
		f.Add(data)
	}
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = trust.ReadChain(data) })
}

// An external authority signs our request, and what it sends back is judged before it is believed. OpenSSL is the
// authority here.
func TestExternalAuthority(t *testing.T) {
	t.Parallel()
	key := ecKey(t, elliptic.P256())
	subject := pkix.Name{CommonName: "Hallmark Issuing", Organization: []string{"Example"}}
	request, err := trust.NewCSR(t.Context(), key, trust.CSR{Kind: trust.KindIssuing, Subject: subject})
	require.NoError(t, err)
	require.EqualValues(t, 1, key.uses.Load())
	out, err := caOpenSSL(t, map[string][]byte{"csr": request}, "req", "-in", "csr", "-verify", "-noout", "-text")
	require.NoError(t, err, out)
	for _, s := range []string{"verify OK", "CN = Hallmark Issuing", "CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "Code Signing"} {
		require.Contains(t, out, s)
	}

	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	extensions := func(lines string) { require.NoError(t, os.WriteFile(at("ext"), []byte(lines), 0o600)) }
	sign := func(days string) []*x509.Certificate {
		t.Helper()
		out, err := caOpenSSL(t, nil, "x509", "-req", "-in", at("csr"), "-CA", at("root.pem"), "-CAkey", at("root.key"), "-set_serial", "4711", "-days", days, "-extfile", at("ext"), "-out", at("made.pem"))
		require.NoError(t, err, out)
		made, err := os.ReadFile(at("made.pem"))
		require.NoError(t, err)
		top, err := os.ReadFile(at("root.pem"))
		require.NoError(t, err)
		chain, err := trust.ReadChain(append(made, top...))
		require.NoError(t, err)
		return chain
	}
	out, err = caOpenSSL(t, nil, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-keyout", at("root.key"), "-out", at("root.pem"), "-days", "3650",
		"-subj", "/CN=Corporate Root", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	require.NoError(t, err, out)
	require.NoError(t, os.WriteFile(at("csr"), request, 0o600))
	now := time.Now().Add(10 * time.Minute) // OpenSSL begins the life of a certificate when it makes it

	extensions("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nextendedKeyUsage=codeSigning\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
	chain := sign("365")
	require.NoError(t, trust.CheckChain(chain, trust.KindIssuing, key.Public(), now))
	require.ErrorIs(t, trust.CheckChain(chain, trust.KindIssuing, ecKey(t, elliptic.P256()).Public(), now), trust.ErrChain)
	require.ErrorIs(t, trust.CheckChain(chain, trust.KindIssuing, key.Public(), now.AddDate(2, 0, 0)), trust.ErrExpired)
	require.ErrorIs(t, trust.CheckChain(chain, trust.KindIssuing, key.Public(), now.AddDate(-1, 0, 0)), trust.ErrNotYetValid)
	require.ErrorContains(t, trust.CheckChain(chain[:1], trust.KindIssuing, key.Public(), now), "append that certificate")
	a, err := trust.NewAuthority(trust.AuthorityConfig{Key: key, Chain: chain, SCT: ecKey(t, elliptic.P256()), Issuer: issuerURL, Now: func() time.Time { return now }})
	require.NoError(t, err)
	_, err = a.Issue(t.Context(), trust.Request{Public: ecKey(t, elliptic.P256()).Public(), Identity: issuerURL + "/keys/k", Announce: unlogged})
	require.NoError(t, err)

	extensions("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nextendedKeyUsage=serverAuth\n")
	require.ErrorIs(t, trust.CheckChain(sign("365"), trust.KindIssuing, key.Public(), now), trust.ErrChain, "uses nest")
	extensions("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n")
	leaf := sign("365")
	require.ErrorContains(t, trust.CheckChain(leaf, trust.KindIssuing, key.Public(), now), "not that of a certificate authority")
	require.NoError(t, trust.CheckChain(leaf, trust.KindLeaf, key.Public(), now))
	extensions("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=timeStamping\n")
	require.ErrorContains(t, trust.CheckChain(sign("365"), trust.KindTimestamping, key.Public(), now), "must be critical")
	extensions("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping,codeSigning\n")
	require.ErrorContains(t, trust.CheckChain(sign("365"), trust.KindTimestamping, key.Public(), now), "timeStamping alone")
	extensions("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=critical,timeStamping\n")
	require.NoError(t, trust.CheckChain(sign("365"), trust.KindTimestamping, key.Public(), now))
}

func TestRequests(t *testing.T) {
	t.Parallel()
	key := rsaKey(t, 1)
	request, err := trust.NewCSR(t.Context(), key, trust.CSR{Kind: trust.KindTimestamping, Subject: pkix.Name{CommonName: "Time"}})
	require.NoError(t, err)
	out, err := caOpenSSL(t, map[string][]byte{"csr": request}, "req", "-in", "csr", "-verify", "-noout", "-text")
	require.NoError(t, err, out)
	require.Regexp(t, `X509v3 Extended Key Usage: critical\s+Time Stamping`, out)
	request, err = trust.NewCSR(t.Context(), key, trust.CSR{Kind: trust.KindLeaf, Identity: issuerURL + "/keys/a"})
	require.NoError(t, err)
	out, err = caOpenSSL(t, map[string][]byte{"csr": request}, "req", "-in", "csr", "-verify", "-noout", "-text")
	require.NoError(t, err, out)
	require.Contains(t, out, "URI:"+issuerURL+"/keys/a")

	for says, c := range map[string]trust.CSR{
		"nobody else signs": {Kind: trust.KindRoot, Subject: pkix.Name{CommonName: "x"}},
		"it names nobody":   {Kind: trust.KindIssuing},
		"not a plain URI":   {Kind: trust.KindLeaf, Identity: "keys/a"},
	} {
		_, err := trust.NewCSR(t.Context(), key, c)
		require.ErrorContains(t, err, says)
	}
	key.lie.Store(true)
	_, err = trust.NewCSR(t.Context(), key, trust.CSR{Kind: trust.KindIssuing, Subject: pkix.Name{CommonName: "x"}})
	require.Error(t, err, "a request that does not verify is not handed out")
}
