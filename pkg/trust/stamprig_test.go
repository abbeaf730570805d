package trust_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// memoryKey is a Signer in memory.
type memoryKey struct {
	crypto.Signer
	hash crypto.Hash
	uses atomic.Int64
	fail atomic.Pointer[error]
}

func newKey(t testing.TB, curve elliptic.Curve) *memoryKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	hash := crypto.SHA256
	if curve == elliptic.P384() {
		hash = crypto.SHA384
	}
	return &memoryKey{Signer: key, hash: hash}
}

func newRSAKey(t testing.TB) *memoryKey {
	t.Helper()
	k := rsaKey(t, 1)
	return &memoryKey{Signer: k.key, hash: k.hash}
}

func (k *memoryKey) Hash() crypto.Hash { return k.hash }

func (k *memoryKey) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := k.fail.Load(); err != nil {
		return nil, *err
	}
	k.uses.Add(1)
	return k.Signer.Sign(rand.Reader, digest, k.hash)
}

// sign is a signature over content with the key's own hash.
func (k *memoryKey) sign(t testing.TB, content []byte) []byte {
	t.Helper()
	h := k.hash.New()
	h.Write(content)
	sig, err := k.Sign(t.Context(), h.Sum(nil))
	require.NoError(t, err)
	return sig
}

// issuer is a CA in memory.
type issuer struct {
	key  *memoryKey
	cert *x509.Certificate
	up   []*x509.Certificate // above cert, the root last
}

func newIssuer(t testing.TB, name string, changes ...func(*x509.Certificate)) *issuer {
	t.Helper()
	key := newKey(t, elliptic.P256())
	tmpl := template(name)
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-4*time.Hour), time.Now().AddDate(20, 0, 0)
	for _, change := range changes {
		change(tmpl)
	}
	return &issuer{key: key, cert: create(t, tmpl, tmpl, key.Public(), key)}
}

// below is a CA under this one.
func (i *issuer) below(t testing.TB, name string, change func(*x509.Certificate)) *issuer {
	t.Helper()
	key := newKey(t, elliptic.P256())
	tmpl := template(name)
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.MaxPathLenZero = true, true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	tmpl.NotAfter = time.Now().AddDate(10, 0, 0)
	if change != nil {
		change(tmpl)
	}
	return &issuer{key: key, cert: i.certify(t, tmpl, key.Public()), up: append([]*x509.Certificate{i.cert}, i.up...)}
}

func (i *issuer) certify(t testing.TB, tmpl *x509.Certificate, pub crypto.PublicKey) *x509.Certificate {
	t.Helper()
	return create(t, tmpl, i.cert, pub, i.key)
}

// chain is the issuer's own certificate and those above.
func (i *issuer) chain() []*x509.Certificate {
	return append([]*x509.Certificate{i.cert}, i.up...)
}

var serial atomic.Int64

func template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(1000 + serial.Add(1)), Subject: pkix.Name{CommonName: name, Organization: []string{"Test"}},
		NotBefore: time.Now().Add(-3 * time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
}

func create(t testing.TB, tmpl, parent *x509.Certificate, pub crypto.PublicKey, by *memoryKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, by.Signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// stampEKU is the extension of RFC 3161 section 2.3.
func stampEKU(t testing.TB, critical bool, usages ...asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(usages)
	require.NoError(t, err)
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: der}
}

var (
	usageTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	usageCodeSigning  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
)

// stampCert is the template of a time-stamping certificate.
func stampCert(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	tmpl := template(name)
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtraExtensions = []pkix.Extension{stampEKU(t, true, usageTimeStamping)}
	return tmpl
}

// stampRealm is a time-stamping key under a CA under a root.
type stampRealm struct {
	root  *issuer
	ca    *issuer
	key   *memoryKey
	chain []*x509.Certificate
}

func newStampRealm(t testing.TB, key *memoryKey) *stampRealm {
	t.Helper()
	root := newIssuer(t, "stamp root")
	ca := root.below(t, "stamp CA", nil)
	leaf := ca.certify(t, stampCert(t, "stamp"), key.Public())
	return &stampRealm{root: root, ca: ca, key: key, chain: append([]*x509.Certificate{leaf}, ca.chain()...)}
}

// write puts content into a file of the test's own.
func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func certificatesPEM(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func publicPEM(t testing.TB, pub crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
