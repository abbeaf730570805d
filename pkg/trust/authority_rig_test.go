package trust_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// caKey is a key in memory that counts its uses.
type caKey struct {
	key  crypto.Signer
	hash crypto.Hash
	uses *atomic.Int64
	lie  *atomic.Bool // sign something else
}

func (k caKey) Public() crypto.PublicKey { return k.key.Public() }
func (k caKey) Hash() crypto.Hash        { return k.hash }

func (k caKey) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.uses.Add(1)
	if k.lie.Load() {
		digest = make([]byte, len(digest))
	}
	return k.key.Sign(rand.Reader, digest, k.hash)
}

func ecKey(tb testing.TB, curve elliptic.Curve) caKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(tb, err)
	hash := crypto.SHA256
	if curve == elliptic.P384() {
		hash = crypto.SHA384
	}
	return caKey{key, hash, &atomic.Int64{}, &atomic.Bool{}}
}

// rsaKey reads one of the RSA-3072 keys of these tests, because making one takes its time.
func rsaKey(tb testing.TB, number int) caKey {
	tb.Helper()
	data, err := os.ReadFile(fmt.Sprintf("testdata/rsa-%d.pem", number))
	require.NoError(tb, err)
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(tb, err)
	return caKey{key.(crypto.Signer), crypto.SHA256, &atomic.Int64{}, &atomic.Bool{}}
}

// noon is when things happen in these tests.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const issuerURL = "https://hallmark.example"

// caRig is a root with an issuing and a time-stamping authority below it.
type caRig struct {
	root, issuing, stamp, sct caKey
	chain, stampChain         []*x509.Certificate // leaf-most first
	now                       time.Time
}

func newCARig(t testing.TB, root, issuing, stamp, sct caKey) *caRig {
	t.Helper()
	r := &caRig{root: root, issuing: issuing, stamp: stamp, sct: sct, now: noon}
	top := readCert(t, first(trust.NewRoot(t.Context(), root, order("Example Root"))))
	parent := trust.Parent{Key: root, Chain: []*x509.Certificate{top}}
	r.chain = []*x509.Certificate{readCert(t, first(trust.NewIssuing(t.Context(), parent, issuing.Public(), order("Example Issuing")))), top}
	r.stampChain = []*x509.Certificate{readCert(t, first(trust.NewTimestamping(t.Context(), parent, stamp.Public(), order("Example Time")))), top}
	return r
}

func ordinaryCA(t testing.TB) *caRig {
	t.Helper()
	return newCARig(t, ecKey(t, elliptic.P384()), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256()))
}

func order(name string) trust.Order {
	return trust.Order{Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}, Country: []string{"DE"}}, Now: noon}
}

// config is the rig's issuing authority, with a clock that the test moves.
func (r *caRig) config() trust.AuthorityConfig {
	return trust.AuthorityConfig{Key: r.issuing, Chain: r.chain, SCT: r.sct, Issuer: issuerURL, Now: func() time.Time { return r.now }}
}

func (r *caRig) authority(t *testing.T) *trust.Authority {
	t.Helper()
	a, err := trust.NewAuthority(r.config())
	require.NoError(t, err)
	return a
}

func (r *caRig) leaf(t *testing.T, key caKey) *x509.Certificate {
	t.Helper()
	return readCert(t, first(r.authority(t).Issue(t.Context(), trust.Request{Public: key.Public(), Identity: issuerURL + "/keys/release-2026", Announce: unlogged})))
}

type derOrError struct {
	der []byte
	err error
}

func first(der []byte, err error) derOrError { return derOrError{der, err} }

func readCert(t testing.TB, d derOrError) *x509.Certificate {
	t.Helper()
	require.NoError(t, d.err)
	c, err := x509.ParseCertificate(d.der)
	require.NoError(t, err)
	return c
}

// caOpenSSL runs openssl in a directory with these files.
func caOpenSSL(t *testing.T, files map[string][]byte, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// unlogged is for certificates that no log has to know.
func unlogged(context.Context, []byte) error { return nil }
