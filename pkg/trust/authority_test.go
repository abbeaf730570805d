package trust_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// ctLog is trusted material of sigstore-go with one log.
type ctLog struct {
	root.BaseTrustedMaterial
	key   crypto.PublicKey
	start time.Time
}

func (c *ctLog) CTLogs() map[string]*root.TransparencyLog {
	der, _ := x509.MarshalPKIXPublicKey(c.key)
	id := crypto.SHA256.New()
	id.Write(der)
	return map[string]*root.TransparencyLog{hex.EncodeToString(id.Sum(nil)): {PublicKey: c.key, ValidityPeriodStart: c.start, HashFunc: crypto.SHA256, SignatureHashFunc: crypto.SHA256}}
}

// Whatever the keys are: OpenSSL accepts the chain, sigstore-go the promise of the log, and each key of an authority
// signed once per certificate.
func TestChainsHold(t *testing.T) {
	t.Parallel()
	p256, p384 := elliptic.P256(), elliptic.P384()
	for name, r := range map[string]*caRig{
		"P-256 below P-384":  ordinaryCA(t),
		"P-384":              newCARig(t, ecKey(t, p384), ecKey(t, p384), ecKey(t, p384), ecKey(t, p256)),
		"RSA-3072, and logs": newCARig(t, rsaKey(t, 1), rsaKey(t, 2), rsaKey(t, 3), rsaKey(t, 4)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.EqualValues(t, 3, r.root.uses.Load(), "itself, issuing, time-stamping")
			require.Zero(t, r.issuing.uses.Load()+r.stamp.uses.Load())
			for _, key := range []caKey{ecKey(t, p256), ecKey(t, p384), rsaKey(t, 4)} {
				before, promised := r.issuing.uses.Load(), r.sct.uses.Load()
				leaf := r.leaf(t, key)
				require.EqualValues(t, before+1, r.issuing.uses.Load())
				require.EqualValues(t, promised+1, r.sct.uses.Load())
				require.True(t, key.key.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(leaf.PublicKey))

				files := map[string][]byte{"root.pem": trust.PEMChain(r.chain[1]), "issuing.pem": trust.PEMChain(r.chain[0]), "leaf.pem": trust.PEMChain(leaf), "time.pem": trust.PEMChain(r.stampChain[0])}
				at := strconv.FormatInt(noon.Unix(), 10)
				out, err := caOpenSSL(t, files, "verify", "-x509_strict", "-attime", at, "-CAfile", "root.pem", "-untrusted", "issuing.pem", "-show_chain", "leaf.pem")
				require.NoError(t, err, out)
				require.Contains(t, out, "depth=2: C = DE, O = Example, CN = Example Root")
				out, err = caOpenSSL(t, files, "verify", "-x509_strict", "-attime", at, "-CAfile", "root.pem", "-purpose", "timestampsign", "time.pem")
				require.NoError(t, err, out)
				out, err = caOpenSSL(t, files, "verify", "-x509_strict", "-attime", at, "-CAfile", "root.pem", "-untrusted", "issuing.pem", "-purpose", "timestampsign", "leaf.pem")
				require.Error(t, err, "a leaf makes no time-stamps: %s", out)

				chain := [][]*x509.Certificate{{leaf, r.chain[0], r.chain[1]}}
				require.NoError(t, verify.VerifySignedCertificateTimestamp(chain, 1, &ctLog{key: r.sct.Public(), start: noon.Add(-time.Hour)}))
				require.Error(t, verify.VerifySignedCertificateTimestamp(chain, 1, &ctLog{key: r.issuing.Public(), start: noon.Add(-time.Hour)}))
				summary, err := certificate.SummarizeCertificate(leaf)
				require.NoError(t, err)
				require.Equal(t, issuerURL+"/keys/release-2026", summary.SubjectAlternativeName)
				require.Equal(t, issuerURL, summary.Issuer)
				_, err = verify.VerifyLeafCertificate(noon, leaf, &fulcioMaterial{authority: &root.FulcioCertificateAuthority{Root: r.chain[1], Intermediates: r.chain[:1], ValidityPeriodStart: r.chain[1].NotBefore}})
				require.NoError(t, err)
			}
		})
	}
}

// fulcioMaterial is trusted material of sigstore-go with one certificate authority.
type fulcioMaterial struct {
	root.BaseTrustedMaterial
	authority root.CertificateAuthority
}

func (f *fulcioMaterial) FulcioCertificateAuthorities() []root.CertificateAuthority {
	return []root.CertificateAuthority{f.authority}
}

// The profiles, extension by extension, as golden files: what changes here changes for every verifier.
func TestProfiles(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	var b strings.Builder
	for _, c := range []struct {
		name string
		cert *x509.Certificate
	}{{"root", r.chain[1]}, {"issuing", r.chain[0]}, {"timestamping", r.stampChain[0]}, {"leaf", r.leaf(t, ecKey(t, elliptic.P256()))}} {
		fmt.Fprintf(&b, "%s\n  version %d, %s, issuer %q, subject %q\n  from %s to %s\n", c.name, c.cert.Version, c.cert.SignatureAlgorithm, c.cert.Issuer, c.cert.Subject,
			c.cert.NotBefore.Format(time.RFC3339), c.cert.NotAfter.Format(time.RFC3339))
		require.GreaterOrEqual(t, c.cert.SerialNumber.BitLen(), 64)
		require.LessOrEqual(t, c.cert.SerialNumber.BitLen(), 159)
		for _, e := range c.cert.Extensions {
			value := hex.EncodeToString(e.Value)
			switch e.Id.String() {
			case "2.5.29.14", "2.5.29.35":
				value = fmt.Sprintf("(an identifier, %d bytes)", len(e.Value))
			case "1.3.6.1.4.1.11129.2.4.2":
				value = "(a promise)"
			}
			fmt.Fprintf(&b, "  %-24s critical=%-5v %s\n", e.Id, e.Critical, value)
		}
	}
	const golden = "testdata/profiles.golden"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// OpenSSL reads in the certificates what a person would look for.
func TestOpenSSLReadsThem(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	for name, c := range map[string]struct {
		cert *x509.Certificate
		says []string
		not  []string
	}{
		"issuing": {r.chain[0], []string{"CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "Code Signing"}, []string{"Digital Signature"}},
		"time":    {r.stampChain[0], []string{"X509v3 Extended Key Usage: critical\n                Time Stamping", "Digital Signature"}, []string{"CA:TRUE", "Code Signing"}},
		"leaf": {r.leaf(t, ecKey(t, elliptic.P256())), []string{
			"X509v3 Subject Alternative Name: critical\n                URI:https://hallmark.example/keys/release-2026", "Code Signing", "CT Precertificate SCTs",
			"X509v3 Key Usage: critical\n                Digital Signature", "1.3.6.1.4.1.57264.1.8", "ecdsa-with-SHA256", "Nov 22 11:59:00 2026 GMT", "Nov 23 12:00:00 2026 GMT",
		}, []string{"CA:TRUE"}},
	} {
		out, err := caOpenSSL(t, map[string][]byte{"c.pem": trust.PEMChain(c.cert)}, "x509", "-in", "c.pem", "-noout", "-text")
		require.NoError(t, err, out)
		for _, s := range c.says {
			require.Contains(t, out, s, name)
		}
		for _, s := range c.not {
			require.NotContains(t, out, s, name)
		}
	}
}

// A leaf lives no longer than what stands above it, and is never issued out of its time.
func TestTimesOfLeaves(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	a := r.authority(t)
	issue := func() (*x509.Certificate, error) {
		der, err := a.Issue(t.Context(), trust.Request{Public: r.stamp.Public(), Identity: issuerURL + "/keys/k", Announce: unlogged})
		if err != nil {
			return nil, err
		}
		return x509.ParseCertificate(der)
	}
	leaf, err := issue()
	require.NoError(t, err)
	require.Equal(t, noon.Add(-time.Minute), leaf.NotBefore)
	require.Equal(t, noon.Add(24*time.Hour), leaf.NotAfter)

	r.now = r.chain[0].NotAfter.Add(-time.Hour)
	leaf, err = issue()
	require.NoError(t, err)
	require.Equal(t, r.chain[0].NotAfter, leaf.NotAfter)

	before := r.issuing.uses.Load() + r.sct.uses.Load()
	r.now = r.chain[0].NotAfter.Add(time.Second)
	_, err = issue()
	require.ErrorIs(t, err, trust.ErrCertificateUnavailable)
	require.ErrorIs(t, err, trust.ErrExpired)
	require.ErrorContains(t, err, `CN=Example Issuing,O=Example,C=DE" ended at `+r.chain[0].NotAfter.Format(time.RFC3339))

	up := time.Hour
	a.SetUptime(func() time.Duration { return up })
	r.now = noon // the clock is set back
	_, err = issue()
	require.ErrorIs(t, err, trust.ErrCertificateUnavailable)
	require.ErrorIs(t, err, trust.ErrClock)
	require.Equal(t, before, r.issuing.uses.Load()+r.sct.uses.Load(), "no key was used")
	r.now = r.chain[0].NotAfter.Add(-time.Minute) // it was an error, and is mended
	_, err = issue()
	require.NoError(t, err)
	r.now, up = noon, up+time.Hour
	_, err = issue()
	require.ErrorContains(t, err, "for another 1m0s", "the doubt begins anew")
	up += time.Minute // it stays where it is
	_, err = issue()
	require.NoError(t, err)
	r.now, up = noon.Add(-time.Hour), up+time.Hour
	_, err = issue()
	require.ErrorIs(t, err, trust.ErrClock)
	a = r.authority(t) // after a restart
	_, err = issue()
	require.NoError(t, err)
	r.now = noon
	_, err = issue()
	require.NoError(t, err)
	r.now = noon.Add(-30 * time.Second) // as NTP may do
	_, err = issue()
	require.NoError(t, err)

	r.now = r.chain[0].NotBefore.Add(-time.Second)
	_, err = trust.NewAuthority(r.config())
	require.ErrorIs(t, err, trust.ErrNotYetValid)
	require.ErrorContains(t, err, "is the clock right?")
	r.now = r.chain[0].NotAfter.Add(time.Second)
	_, err = trust.NewAuthority(r.config())
	require.ErrorIs(t, err, trust.ErrExpired)
}

// What should not become a certificate does not, and no key is used for it.
func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	a := r.authority(t)
	good := issuerURL + "/keys/release-2026"
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		req  trust.Request
		want error
		says string
	}{
		"another's identity":    {trust.Request{Public: r.stamp.Public(), Identity: "https://evil.example/keys/a"}, trust.ErrProfile, "does not lie below"},
		"a longer host":         {trust.Request{Public: r.stamp.Public(), Identity: issuerURL + ".evil.example/keys/a"}, trust.ErrProfile, "does not lie below"},
		"no identity":           {trust.Request{Public: r.stamp.Public()}, trust.ErrProfile, "does not lie below"},
		"a query":               {trust.Request{Public: r.stamp.Public(), Identity: good + "?a=b"}, trust.ErrProfile, "plain URI"},
		"a fragment":            {trust.Request{Public: r.stamp.Public(), Identity: good + "#a"}, trust.ErrProfile, "plain URI"},
		"a line break":          {trust.Request{Public: r.stamp.Public(), Identity: good + "\n"}, trust.ErrProfile, "identity"},
		"not escaped":           {trust.Request{Public: r.stamp.Public(), Identity: good + " ü"}, trust.ErrProfile, "plain URI"},
		"long":                  {trust.Request{Public: r.stamp.Public(), Identity: good + strings.Repeat("a", 1024)}, trust.ErrProfile, "plain URI"},
		"a weak key":            {trust.Request{Public: weak.Public(), Identity: good}, trust.ErrLint, "2048 bits, fewer than 3072"},
		"a key of another kind": {trust.Request{Public: "key", Identity: good}, trust.ErrProfile, "public key"},
		"P-224":                 {trust.Request{Public: ecKey(t, elliptic.P224()).Public(), Identity: good}, trust.ErrLint, "P-224"},
	} {
		c.req.Announce = func(context.Context, []byte) error {
			t.Errorf("%s: it was announced", name)
			return nil
		}
		_, err := a.Issue(t.Context(), c.req)
		require.ErrorIs(t, err, trust.ErrCertificateUnavailable, name)
		require.ErrorIs(t, err, c.want, name)
		require.ErrorContains(t, err, c.says, name)
	}
	require.Zero(t, r.issuing.uses.Load()+r.sct.uses.Load(), "what breaks a rule reaches no key")

	r.issuing.lie.Store(true)
	_, err = a.Issue(t.Context(), trust.Request{Public: r.stamp.Public(), Identity: good, Announce: unlogged})
	require.ErrorContains(t, err, "does not verify with the key that signed it")
	r.issuing.lie.Store(false)
	r.sct.lie.Store(true)
	_, err = a.Issue(t.Context(), trust.Request{Public: r.stamp.Public(), Identity: good, Announce: unlogged})
	require.ErrorIs(t, err, trust.ErrSCT)
}

// What the keys are going to sign is announced before either of them does, and neither does when nobody hears it.
func TestAnnouncedBeforeItIsSigned(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	a := r.authority(t)
	r.issuing.uses.Store(0)
	var told []byte
	deaf := errors.New("the log is full")
	req := trust.Request{Public: r.stamp.Public(), Identity: issuerURL + "/keys/k", Announce: func(_ context.Context, tbs []byte) error {
		require.Zero(t, r.issuing.uses.Load()+r.sct.uses.Load())
		told = tbs
		return deaf
	}}
	_, err := a.Issue(t.Context(), req)
	require.ErrorIs(t, err, deaf)
	require.ErrorIs(t, err, trust.ErrCertificateUnavailable)
	require.Zero(t, r.issuing.uses.Load()+r.sct.uses.Load())

	deaf = nil
	leaf := readCert(t, first(a.Issue(t.Context(), req)))
	require.Equal(t, []int64{1, 1}, []int64{r.issuing.uses.Load(), r.sct.uses.Load()})
	draft, err := audit.Draft{TBS: told}.Parse()
	require.NoError(t, err)
	require.Equal(t, leaf.SerialNumber, draft.SerialNumber)
	require.Equal(t, leaf.URIs, draft.URIs)
	require.Len(t, draft.Extensions, len(leaf.Extensions)-1, "all but the promise")

	req.Announce = nil
	_, err = a.Issue(t.Context(), req)
	require.ErrorContains(t, err, "nobody is told")

	require.NoError(t, a.Rehearse())
	r.now = r.chain[0].NotAfter.Add(time.Second)
	require.ErrorIs(t, a.Rehearse(), trust.ErrExpired)
	require.Equal(t, []int64{1, 1}, []int64{r.issuing.uses.Load(), r.sct.uses.Load()}, "a rehearsal uses no key")
}

// Nothing is issued before a time that is known to have been, however long the clock stays there; a minute is no matter.
func TestNothingIsIssuedInThePast(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	c := r.config()
	c.After = noon.Add(time.Hour)
	a, err := trust.NewAuthority(c)
	require.NoError(t, err)
	r.issuing.uses.Store(0)
	req := trust.Request{Public: r.stamp.Public(), Identity: issuerURL + "/keys/k", Announce: unlogged}
	for range 2 {
		_, err = a.Issue(t.Context(), req)
		require.ErrorIs(t, err, trust.ErrClock)
		require.ErrorContains(t, err, "2026-11-22T13:00:00Z")
		r.now = noon.Add(58 * time.Minute)
	}
	require.Zero(t, r.issuing.uses.Load()+r.sct.uses.Load())
	r.now = noon.Add(59 * time.Minute)
	_, err = a.Issue(t.Context(), req)
	require.NoError(t, err)
}

func TestNewAuthorityRefuses(t *testing.T) {
	t.Parallel()
	r, other := ordinaryCA(t), ordinaryCA(t)
	for name, c := range map[string]struct {
		spoil func(*trust.AuthorityConfig)
		says  string
	}{
		"no chain":            {func(c *trust.AuthorityConfig) { c.Chain = nil }, "it is empty"},
		"no root":             {func(c *trust.AuthorityConfig) { c.Chain = c.Chain[:1] }, "does not end in a root"},
		"another root":        {func(c *trust.AuthorityConfig) { c.Chain = []*x509.Certificate{c.Chain[0], other.chain[1]} }, "was not signed by"},
		"another key":         {func(c *trust.AuthorityConfig) { c.Key = other.issuing }, "is not of the key"},
		"the root's key":      {func(c *trust.AuthorityConfig) { c.Key, c.Chain = r.root, c.Chain[:0:0] }, "it is empty"},
		"a time-stamping key": {func(c *trust.AuthorityConfig) { c.Key, c.Chain = r.stamp, r.stampChain }, "not that of a certificate authority"},
		"SCT key P-384":       {func(c *trust.AuthorityConfig) { c.SCT = ecKey(t, elliptic.P384()) }, "an SCT key is P-256 or RSA"},
		"a slash at the end":  {func(c *trust.AuthorityConfig) { c.Issuer += "/" }, "without a slash"},
		"issuer is no URL":    {func(c *trust.AuthorityConfig) { c.Issuer = "hallmark" }, "issuer"},
		"a life of a minute":  {func(c *trust.AuthorityConfig) { c.Validity = time.Minute }, "too short"},
		"a key with SHA-384": {func(c *trust.AuthorityConfig) {
			c.Key = caKey{r.issuing.key, crypto.SHA384, r.issuing.uses, r.issuing.lie}
		}, "no certificates are signed with"},
		"leaf in place of one": {func(c *trust.AuthorityConfig) {
			k := ecKey(t, elliptic.P256())
			c.Key = k
			c.Chain = append([]*x509.Certificate{r.leaf(t, k)}, c.Chain...)
		}, "not that of a certificate authority"},
	} {
		config := r.config()
		c.spoil(&config)
		_, err := trust.NewAuthority(config)
		require.ErrorContains(t, err, c.says, name)
	}
}

// Identities are matched byte by byte: names of keys and configurations come out as one path segment.
func TestIdentities(t *testing.T) {
	t.Parallel()
	a := ordinaryCA(t).authority(t)
	for _, name := range []string{"release-2026", "a b", "ü/../x", "?#%", "."} {
		for _, id := range []string{trust.KeyIdentity(issuerURL, name), trust.ConfigurationIdentity(issuerURL, name)} {
			der, err := a.Issue(t.Context(), trust.Request{Public: ecKey(t, elliptic.P256()).Public(), Identity: id, Announce: unlogged})
			require.NoError(t, err, id)
			c, err := x509.ParseCertificate(der)
			require.NoError(t, err)
			require.Equal(t, id, c.URIs[0].String())
			last, err := url.PathUnescape(id[strings.LastIndex(id, "/")+1:])
			require.NoError(t, err)
			require.Equal(t, name, last)
		}
	}
}

// Many at once: every certificate has a number of its own.
func TestIssueAtOnce(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	a := r.authority(t)
	var mu sync.Mutex
	serials := map[string]bool{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			der, err := a.Issue(t.Context(), trust.Request{Public: r.stamp.Public(), Identity: issuerURL + "/keys/k", Announce: unlogged})
			if err != nil {
				t.Error(err)
				return
			}
			c, err := x509.ParseCertificate(der)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			serials[c.SerialNumber.String()] = true
		})
	}
	wg.Wait()
	require.Len(t, serials, 16)
}

// Without an SCT key leaves make no promise, and are well-formed all the same.
func TestLeafWithoutPromise(t *testing.T) {
	t.Parallel()
	r := ordinaryCA(t)
	config := r.config()
	config.SCT = nil
	a, err := trust.NewAuthority(config)
	require.NoError(t, err)
	leaf := readCert(t, first(a.Issue(t.Context(), trust.Request{Public: r.stamp.Public(), Identity: issuerURL + "/keys/k", Announce: unlogged})))
	_, err = trust.VerifySCT(leaf, r.chain[0], r.sct.Public())
	require.ErrorIs(t, err, trust.ErrSCT)
	require.IsType(t, &ecdsa.PublicKey{}, leaf.PublicKey)
	block, rest := pem.Decode(trust.PEMChain(leaf))
	require.Equal(t, leaf.Raw, block.Bytes)
	require.Empty(t, rest)
}
