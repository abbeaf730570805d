// Package verifytest makes all that a verifier is shown and asked to believe, with keys in memory and at a time of the test's
// choice: certificates, promises of logs of certificates, log entries, time-stamps, the trusted root. Every part can be made
// wrong by itself. It owes nothing to the packages that make these things in earnest.
package verifytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"math/big"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Now is the time at which a realm works: after Start, and long before any clock of today would end it.
var (
	Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	Now   = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
)

// Names in a realm.
const (
	Issuer   = "https://hallmark.example"
	Identity = "https://hallmark.example/configurations/release"
	Origin   = "log.hallmark.example"
)

// Realm is one house that signs: a root, an issuer of certificates, a log, a log of certificates and a clock.
type Realm struct {
	testing.TB
	RootCA, IssuingCA, ClockCA, ClockLeaf *CA
	Tlog                                  *Log
	CT                                    *ecdsa.PrivateKey
	Origin                                string
	Renewed                               *CA       // the issuer's certificate of later, with the same key; nil: there is none
	RenewedFirst                          bool      // in the trusted root
	IssuerEnd, ClockEnd, LogEnd           time.Time // until when the trusted root lets them count; zero for ever
}

// CA is a certificate with its key.
type CA struct {
	*x509.Certificate
	Key crypto.Signer
}

// New makes a realm in which everything is right.
func New(t testing.TB) *Realm {
	t.Helper()
	r := &Realm{TB: t, Origin: Origin, CT: NewKey(t)}
	r.RootCA = r.authority("Example root", nil, nil)
	r.IssuingCA = r.authority("Example issuing", r.RootCA, func(c *x509.Certificate) {
		c.MaxPathLenZero = true
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	})
	r.ClockCA = r.authority("Example clock root", nil, nil)
	r.ClockLeaf = r.Clock(nil)
	r.Tlog = &Log{TB: t, Origin: Origin, Key: NewKey(t)}
	r.Tlog.Fill(5)
	return r
}

// NewKey is a new P-256 key.
func NewKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return k
}

func (r *Realm) authority(name string, by *CA, edit func(*x509.Certificate)) *CA {
	r.Helper()
	return r.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: name, Organization: []string{"Example"}}, NotBefore: Start, NotAfter: Start.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, by, edit)
}

// Issue makes a certificate with a key of its own; without an issuer it signs itself.
func (r *Realm) Issue(template *x509.Certificate, by *CA, edit func(*x509.Certificate)) *CA {
	r.Helper()
	if edit != nil {
		edit(template)
	}
	c := &CA{Key: NewKey(r)}
	if by == nil {
		by = &CA{Certificate: template, Key: c.Key}
	}
	c.Certificate = r.sign(template, by, c.Key.Public())
	return c
}

// Renew certifies the issuer's key again, from a time on.
func (r *Realm) Renew(from time.Time) {
	r.Helper()
	old := r.IssuingCA
	r.Renewed = &CA{Key: old.Key, Certificate: r.sign(&x509.Certificate{
		Subject: old.Subject, NotBefore: from, NotAfter: from.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, SubjectKeyId: old.SubjectKeyId,
	}, r.RootCA, old.Key.Public())}
}

func (r *Realm) sign(template *x509.Certificate, by *CA, pub crypto.PublicKey) *x509.Certificate {
	r.Helper()
	var err error
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(r, err)
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, pub, by.Key)
	require.NoError(r, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(r, err)
	return cert
}

// Clock makes a certificate for time-stamps.
func (r *Realm) Clock(edit func(*x509.Certificate)) *CA {
	r.Helper()
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	require.NoError(r, err)
	return r.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Example clock"}, NotBefore: Start, NotAfter: Start.AddDate(5, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}, r.ClockCA, edit)
}

// Leaf is how a certificate of a signing key is made. Its zero value is right.
type Leaf struct {
	Identities []string                // Identity if nil
	Issuer     *string                 // the extension; Issuer if nil
	By         *CA                     // IssuingCA if nil
	Edit       func(*x509.Certificate) // of the template, before the promise
	Promise    *Promise                // nil: a right one; one without a key: none
	Swap       func(*x509.Certificate) // of the template, after the promise
}

// Promise is how a log of certificates promises to hold one.
type Promise struct {
	Key        *ecdsa.PrivateKey
	At         time.Time // Now if zero
	Extensions []byte
}

// Certify makes the certificate of a key.
func (r *Realm) Certify(pub crypto.PublicKey, l Leaf) []byte {
	r.Helper()
	identities, issuer, by, promise := l.Identities, Issuer, l.By, l.Promise
	if identities == nil {
		identities = []string{Identity}
	}
	if l.Issuer != nil {
		issuer = *l.Issuer
	}
	if by == nil {
		by = r.IssuingCA
	}
	if promise == nil {
		promise = &Promise{Key: r.CT}
	}
	template := &x509.Certificate{
		NotBefore: Now.Add(-time.Minute), NotAfter: Now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}, Subject: pkix.Name{CommonName: "release"},
	}
	for _, id := range identities {
		u, err := url.Parse(id)
		require.NoError(r, err)
		template.URIs = append(template.URIs, u)
	}
	value, err := asn1.MarshalWithParams(issuer, "utf8")
	require.NoError(r, err)
	if issuer != "" {
		template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}, Value: value}}
	}
	if l.Edit != nil {
		l.Edit(template)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(r, err)
	template.SerialNumber = serial
	if promise.Key != nil {
		before, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, pub, by.Key)
		require.NoError(r, err)
		parsed, err := x509.ParseCertificate(before)
		require.NoError(r, err)
		template.ExtraExtensions = append(template.ExtraExtensions, promise.extension(r, by.Certificate, parsed.RawTBSCertificate))
	}
	if l.Swap != nil {
		l.Swap(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Certificate, pub, by.Key)
	require.NoError(r, err)
	return der
}

// TrustedRoot is the realm's trusted_root.json.
func (r *Realm) TrustedRoot() []byte {
	r.Helper()
	type object = map[string]any
	certificates := func(chain ...*CA) object {
		var raw []object
		for _, c := range chain {
			raw = append(raw, object{"rawBytes": c.Raw})
		}
		return object{"certificates": raw}
	}
	valid := func(end time.Time) object {
		if end.IsZero() {
			return object{"start": Start}
		}
		return object{"start": Start, "end": end}
	}
	log := func(host string, pub crypto.PublicKey, end time.Time) object {
		der := SPKI(r, pub)
		id := sha256.Sum256(der)
		return object{
			"baseUrl": "https://" + host, "hashAlgorithm": "SHA2_256", "logId": object{"keyId": id[:]},
			"publicKey": object{"rawBytes": der, "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid(end)},
		}
	}
	authority := func(uri string, end time.Time, chain ...*CA) object {
		return object{"subject": object{"organization": "Example", "commonName": chain[0].Subject.CommonName}, "uri": uri, "certChain": certificates(chain...), "validFor": valid(end)}
	}
	issuers := []object{authority("https://ca.hallmark.example", r.IssuerEnd, r.IssuingCA, r.RootCA)}
	if r.Renewed != nil {
		issuers = append(issuers, authority("https://ca.hallmark.example", time.Time{}, r.Renewed, r.RootCA))
	}
	if r.RenewedFirst {
		slices.Reverse(issuers)
	}
	b, err := json.MarshalIndent(object{
		"mediaType":              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs":                  []object{log(r.Origin, r.Tlog.Key.Public(), r.LogEnd)},
		"ctlogs":                 []object{log("ct.hallmark.example", r.CT.Public(), time.Time{})},
		"certificateAuthorities": issuers,
		"timestampAuthorities":   []object{authority("https://time.hallmark.example", r.ClockEnd, r.ClockLeaf, r.ClockCA)},
	}, "", "  ")
	require.NoError(r, err)
	return b
}

// SPKI is a public key in DER.
func SPKI(t testing.TB, pub crypto.PublicKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	require.NoError(t, err)
	return der
}
