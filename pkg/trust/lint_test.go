package trust_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// Certificates that others might make, each of which breaks one rule, are told apart by it.
func TestLintFinds(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	good := r.leaf(t, ecKey(t, elliptic.P256()))
	require.NoError(t, trust.Lint(good, r.chain[0], trust.KindLeaf, trust.ProfilePrivate))
	uri, err := url.Parse(issuerURL + "/keys/a")
	require.NoError(t, err)
	for says, spoil := range map[string]func(*x509.Certificate){
		"the serial number has 5 bits":           func(c *x509.Certificate) { c.SerialNumber = big.NewInt(17) },
		"key usage must be digitalSignature":     func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageContentCommitment },
		"extended key usage must be codeSigning": func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) },
		"must be one URI":                        func(c *x509.Certificate) { c.URIs = append(c.URIs, uri) },
		"the identity must be one URI":           func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)} },
		"the issuer extension is missing":        func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[1:] },
		"does not lie below the issuer": func(c *x509.Certificate) {
			c.URIs = []*url.URL{{Scheme: "https", Host: "evil.example", Path: "/keys/a"}}
		},
		"must be the last extension": func(c *x509.Certificate) {
			c.ExtraExtensions[0], c.ExtraExtensions[1] = c.ExtraExtensions[1], c.ExtraExtensions[0]
		},
		"beyond its issuer":                      func(c *x509.Certificate) { c.NotAfter = r.chain[0].NotAfter.Add(time.Second) },
		"it must not be a certificate authority": func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true },
		"critical extensions that nobody knows": func(c *x509.Certificate) {
			c.ExtraExtensions = append([]pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}, c.ExtraExtensions...)
		},
		"w_subject_dn_trailing_whitespace": func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "somebody "} }, // zlint's
	} {
		c := &x509.Certificate{
			SerialNumber: good.SerialNumber, NotBefore: good.NotBefore, NotAfter: good.NotAfter, KeyUsage: good.KeyUsage, ExtKeyUsage: good.ExtKeyUsage,
			URIs: good.URIs, SubjectKeyId: good.SubjectKeyId, ExtraExtensions: append([]pkix.Extension{}, good.Extensions[len(good.Extensions)-2:]...),
		}
		spoil(c)
		der, err := x509.CreateCertificate(rand.Reader, c, r.chain[0], key.Public(), r.issuing.key)
		require.NoError(t, err)
		made, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		err = trust.Lint(made, r.chain[0], trust.KindLeaf, trust.ProfilePrivate)
		require.ErrorIs(t, err, trust.ErrLint)
		require.ErrorContains(t, err, says)
	}
	for kind, c := range map[trust.Kind]*x509.Certificate{trust.KindIssuing: good, trust.KindRoot: r.chain[0], trust.KindTimestamping: good, trust.KindLeaf: r.stampChain[0], "other": good} {
		require.ErrorIs(t, trust.Lint(c, r.chain[0], kind, trust.ProfilePrivate), trust.ErrLint, kind)
	}
	require.ErrorIs(t, trust.Lint(good, r.chain[0], trust.KindLeaf, "strict"), trust.ErrProfile)
}

// The profile of the code signing requirements asks for more, says which section wants it, and is kept when it is given.
func TestCABFProfile(t *testing.T) {
	t.Parallel()
	at := trust.Addresses{CRL: "http://pki.example/issuing.crl", CAIssuers: "http://pki.example/issuing.cer"}
	cabf := func(name string) trust.Order {
		o := order(name)
		o.Profile, o.Addresses = trust.ProfileCABF, at
		return o
	}
	root, issuing, stamp := rsaKey(t, 1), ecKey(t, elliptic.P384()), rsaKey(t, 2)
	top := readCert(t, first(trust.NewRoot(t.Context(), root, cabf("Root"))))
	parent := trust.Parent{Key: root, Chain: []*x509.Certificate{top}}
	below := readCert(t, first(trust.NewIssuing(t.Context(), parent, issuing.Public(), cabf("Issuing"))))
	require.Equal(t, []string{"2.23.140.1.4.1"}, []string{below.Policies[0].String()})
	clock := readCert(t, first(trust.NewTimestamping(t.Context(), parent, stamp.Public(), cabf("Time"))))
	require.Equal(t, []string{at.CRL}, clock.CRLDistributionPoints)

	bare := order("Issuing")
	bare.Profile, bare.Subject = trust.ProfileCABF, pkix.Name{CommonName: "Issuing"}
	before := root.uses.Load()
	_, err := trust.NewIssuing(t.Context(), parent, issuing.Public(), bare)
	require.ErrorIs(t, err, trust.ErrLint)
	for _, s := range []string{"organisation and country (7.1.4.2)", "the revocation list (7.1.2.2", "the issuer's certificate", "e_cs_crl_distribution_points"} {
		require.ErrorContains(t, err, s)
	}
	require.Equal(t, before, root.uses.Load(), "linted before it is signed")
	long := cabf("Time")
	long.Life = 12 * 365 * 24 * time.Hour
	_, err = trust.NewTimestamping(t.Context(), parent, stamp.Public(), long)
	require.ErrorContains(t, err, "135 months")

	config := trust.AuthorityConfig{
		Key: issuing, Chain: []*x509.Certificate{below, top}, SCT: ecKey(t, elliptic.P256()), Issuer: issuerURL, Profile: trust.ProfileCABF, Addresses: at,
		Subject: order("Example Release").Subject, Now: func() time.Time { return noon }, Validity: 460 * 24 * time.Hour,
	}
	issue := func() error {
		a, err := trust.NewAuthority(config)
		require.NoError(t, err)
		_, err = a.Issue(t.Context(), trust.Request{Public: rsaKey(t, 3).Public(), Identity: issuerURL + "/keys/a", Announce: unlogged})
		return err
	}
	require.ErrorContains(t, issue(), "longer than 460", "a leaf begins a minute before it is issued")
	config.Validity = 459 * 24 * time.Hour
	require.NoError(t, issue())
	config.Subject = pkix.Name{}
	require.ErrorContains(t, issue(), "(7.1.4.2)")
}

// What stands above decides: no authority below an issuing one, no key twice in a chain, none that outlives its root.
func TestAuthoritiesBelow(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	_, err := trust.NewIssuing(t.Context(), trust.Parent{Key: r.issuing, Chain: r.chain}, ecKey(t, elliptic.P256()).Public(), order("Deeper"))
	require.ErrorIs(t, err, trust.ErrChain)
	top := trust.Parent{Key: r.root, Chain: r.chain[1:]}
	_, err = trust.NewIssuing(t.Context(), top, r.root.Public(), order("Self"))
	require.ErrorContains(t, err, "of the same key as")
	_, err = trust.NewIssuing(t.Context(), trust.Parent{Key: r.issuing, Chain: r.chain[1:]}, r.stamp.Public(), order("x"))
	require.ErrorContains(t, err, "is not of the key")
	_, err = trust.NewTimestamping(t.Context(), top, r.stamp.Public(), trust.Order{Now: noon})
	require.ErrorContains(t, err, "a time-stamping authority has a common name")
	_, err = trust.NewRoot(t.Context(), r.root, trust.Order{Now: noon})
	require.ErrorContains(t, err, "a certificate authority has a common name")
	long := order("Long")
	long.Life = 100 * 365 * 24 * time.Hour
	c := readCert(t, first(trust.NewIssuing(t.Context(), top, r.stamp.Public(), long)))
	require.Equal(t, r.chain[1].NotAfter, c.NotAfter)
	late := order("Late")
	late.Now = r.chain[1].NotAfter.Add(time.Hour)
	_, err = trust.NewIssuing(t.Context(), top, r.stamp.Public(), late)
	require.ErrorIs(t, err, trust.ErrExpired)
}

func TestExpiryMetric(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	reg := prometheus.NewRegistry()
	now := r.chain[0].NotAfter.Add(-time.Hour)
	e, err := trust.NewExpiry(reg, func() time.Time { return now })
	require.NoError(t, err)
	e.Watch("issuing", r.chain[1])
	e.Watch("issuing", r.chain[0])
	gauge := func() float64 {
		families, err := reg.Gather()
		require.NoError(t, err)
		require.Len(t, families, 1)
		require.Equal(t, "hallmark_certificate_expiry_seconds", families[0].GetName())
		require.Len(t, families[0].GetMetric(), 1)
		return families[0].GetMetric()[0].GetGauge().GetValue()
	}
	require.InDelta(t, 3600, gauge(), 0.001)
	now = now.Add(2 * time.Hour)
	require.InDelta(t, -3600, gauge(), 0.001)
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	_, err = trust.NewExpiry(nil, nil)
	require.NoError(t, err)
}
