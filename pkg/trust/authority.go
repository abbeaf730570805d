package trust

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// What can be wrong with certificates. Errors of Authority.Issue wrap ErrCertificateUnavailable and one of the others:
// nothing may be signed without a certificate where certificates are asked for.
var (
	ErrCertificateUnavailable = errors.New("no certificate to be had")
	ErrProfile                = errors.New("certificate is not of its profile")
	ErrLint                   = errors.New("certificate breaks rules")
	ErrChain                  = errors.New("certificate chain does not hold")
	ErrExpired                = errors.New("certificate has expired")
	ErrNotYetValid            = errors.New("certificate is not valid yet")
	ErrClock                  = errors.New("the clock went back")
)

// AuthorityConfig is an issuing authority. Key and Chain are required.
type AuthorityConfig struct {
	Key       Signer
	Chain     []*x509.Certificate // issuing certificate first, root last
	SCT       Signer              // promises the log in each leaf (P-256 or RSA); nil: no promise, which stock verifiers refuse
	Issuer    string              // URL of the service; identities lie below it
	Validity  time.Duration       // of a leaf; 0: 24 h. Never beyond the chain's own.
	Profile   Profile
	Subject   pkix.Name // of leaves; with ProfileCABF organisation, country and common name are required
	Addresses Addresses // with ProfileCABF
	After     time.Time // known to have been: nothing is issued before it, but for a minute
	Now       func() time.Time
}

// Authority issues certificates of signing keys. It is safe for concurrent use.
type Authority struct {
	config AuthorityConfig
	maker  *maker
	mu     sync.Mutex
	seen   time.Time            // the latest time at which something was issued
	doubt  time.Duration        // since when the clock is behind that; 0: it is not
	uptime func() time.Duration // time that went by, whatever the clock says
}

// NewAuthority checks that the chain holds now, is the key's, and may issue certificates for code signing.
func NewAuthority(c AuthorityConfig) (*Authority, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Validity == 0 {
		c.Validity = defaultLeafLife
	}
	if c.Validity < 10*time.Minute {
		return nil, fmt.Errorf("certificate authority: validity %s is too short for a signature to be time-stamped in; use 24h", c.Validity)
	}
	if err := CheckIssuer(c.Issuer); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if err := CheckChain(c.Chain, KindIssuing, c.Key.Public(), c.Now()); err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	if c.SCT != nil {
		if err := checkSCTKey(c.SCT); err != nil {
			return nil, fmt.Errorf("certificate authority: %w", err)
		}
	}
	m, err := newMaker(c.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	c.Chain = slices.Clone(c.Chain)
	start := time.Now()
	return &Authority{config: c, maker: m, uptime: func() time.Duration { return time.Since(start) }}, nil
}

// Issuer is the URL that leaves name as their issuer.
func (a *Authority) Issuer() string { return a.config.Issuer }

// Chain is the authority's own: issuing certificate first, root last. The caller owns the slice.
func (a *Authority) Chain() []*x509.Certificate { return slices.Clone(a.config.Chain) }

// tick is now, unless the clock went back by more than a leaf is backdated: what was issued before would lie in the
// future, and nobody knows which of the two times is the right one. When it stays there for settle, it is believed again:
// then it was the earlier time that was wrong.
func (a *Authority) tick() (time.Time, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, up := a.config.Now(), a.uptime()
	if err := passed(now, a.config.After); err != nil {
		return now, err
	}
	if !now.Before(a.seen.Add(-backdateLeaf)) {
		a.doubt = 0
		return now, nil
	}
	if a.doubt == 0 {
		a.doubt = up
	}
	if left := settle - (up - a.doubt); left > 0 {
		return now, fmt.Errorf("%w: a certificate was issued at %s, and now it is %s; set the clock right, it is believed when it stays where it is for another %s", ErrClock, moment(a.seen), moment(now), left.Round(time.Second))
	}
	a.seen, a.doubt = now, 0
	return now, nil
}

// identity reads a leaf's identity, which is matched byte by byte later: only what comes out as it went in is taken.
func (a *Authority) identity(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: identity: %w", ErrProfile, err)
	case !strings.HasPrefix(s, strings.TrimSuffix(a.config.Issuer, "/")+"/"):
		return nil, fmt.Errorf("%w: identity %q does not lie below the issuer %s", ErrProfile, s, a.config.Issuer)
	case u.String() != s || len(s) > 1024 || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%w: identity %q is not a plain URI", ErrProfile, s)
	}
	return u, nil
}

// CheckIssuer reports why a URL cannot be the issuer that certificates name.
func CheckIssuer(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.String() != s || strings.HasSuffix(s, "/") {
		return fmt.Errorf("issuer %q must be the service's URL, such as https://hallmark.example, without a slash at the end", s)
	}
	return nil
}

// HostOf is the host of an issuer, without a port.
func HostOf(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// KeyIdentity is who a key is in certificates when no signing configuration granted its use.
func KeyIdentity(issuer, key string) string { return issuer + "/keys/" + url.PathEscape(key) }

// ConfigurationIdentity is who signs when a signing configuration granted it.
func ConfigurationIdentity(issuer, name string) string {
	return issuer + "/configurations/" + url.PathEscape(name)
}

// within trims a life to that of every certificate above, all of which must be valid now.
func within(from, to, now time.Time, above []*x509.Certificate) (time.Time, time.Time, error) {
	for _, c := range above {
		if err := validAt(c, now); err != nil {
			return from, to, err
		}
		if from.Before(c.NotBefore) {
			from = c.NotBefore
		}
		if to.After(c.NotAfter) {
			to = c.NotAfter
		}
	}
	return from, to, nil
}

// validAt says in words when a certificate's time is not now.
func validAt(c *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return fmt.Errorf("%w: %s begins at %s, and now it is %s; is the clock right?", ErrNotYetValid, nameOf(c), moment(c.NotBefore), moment(now))
	case now.After(c.NotAfter):
		return fmt.Errorf("%w: %s ended at %s, and now it is %s; renew it (hallmark ca issue), or set the clock right", ErrExpired, nameOf(c), moment(c.NotAfter), moment(now))
	}
	return nil
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// nameOf is a certificate as messages call it.
func nameOf(c *x509.Certificate) string {
	if s := c.Subject.String(); s != "" {
		return fmt.Sprintf("the certificate of %q", s)
	}
	for _, u := range c.URIs {
		return fmt.Sprintf("the certificate of %q", u)
	}
	return fmt.Sprintf("the certificate with serial number %x", c.SerialNumber)
}
