package notary

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// identity is the name of a key in its certificates: where the signing configuration stands that granted its use, or the key
// itself. Verifiers compare it letter by letter.
func (n *Notary) identity(configuration, key string) string {
	if configuration != "" {
		return trust.ConfigurationIdentity(n.Authority.Issuer(), configuration)
	}
	return trust.KeyIdentity(n.Authority.Issuer(), key)
}

// issue makes a certificate and logs it: its draft before a key signs anything of it, itself before it is used. One that is
// not in the log is a foreign one.
func (n *Notary) issue(ctx context.Context, key hsm.Public, identity string) (*x509.Certificate, error) {
	cert, err := n.issued(ctx, key, identity)
	if err != nil {
		return nil, fmt.Errorf("issuing a certificate of key %s: %w", key.Name, err)
	}
	n.Log.InfoContext(ctx, "a certificate was issued", slog.String("key", key.Name), slog.String("identity", identity), slog.Time("until", cert.NotAfter))
	return cert, nil
}

func (n *Notary) issued(ctx context.Context, key hsm.Public, identity string) (cert *x509.Certificate, err error) {
	defer n.metrics.time("certificate")(&err)
	if n.Identity != nil {
		if err := n.Identity(ctx, trust.ExportedIdentity{URI: identity, Lane: key.Lane}); err != nil {
			return nil, fmt.Errorf("%w: %w", trust.ErrCertificateUnavailable, err)
		}
	}
	announce := func(ctx context.Context, tbs []byte) error {
		_, err := n.add(ctx, "draft", audit.Draft{TBS: tbs})
		return err
	}
	der, err := n.Authority.Issue(ctx, trust.Request{Public: key.PublicKey, Identity: identity, Announce: announce})
	if err != nil {
		return nil, err
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("%w: %w", trust.ErrCertificateUnavailable, err)
	}
	if _, err := n.add(ctx, "certificate", audit.Certificate{DER: der}); err != nil {
		return nil, err
	}
	return cert, nil
}

// certificates are those in use: one for each key under each identity, renewed at half of its life.
type certificates struct {
	issue func(ctx context.Context, key hsm.Public, identity string) (*x509.Certificate, error)
	now   func() time.Time

	mu   sync.Mutex
	held map[holding]*certificate
}

type holding struct {
	spki     artifact.Digest
	identity string
}

type certificate struct {
	mu   sync.Mutex // held while one is issued
	cert *x509.Certificate
}

func newCertificates(issue func(context.Context, hsm.Public, string) (*x509.Certificate, error)) *certificates {
	return &certificates{issue: issue, now: time.Now, held: map[holding]*certificate{}}
}

// get returns a certificate with some life left. When none can be issued, the one at hand serves until its last tenth.
func (c *certificates) get(ctx context.Context, key hsm.Public, identity string) ([]byte, error) {
	c.mu.Lock()
	at := holding{key.SPKI, identity}
	h := c.held[at]
	if h == nil {
		h = &certificate{}
		c.held[at] = h
	}
	c.mu.Unlock()

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lives(c.now(), 2) {
		return h.cert.Raw, nil
	}
	cert, err := c.issue(ctx, key, identity)
	switch {
	case err == nil:
		h.cert = cert
	case !h.lives(c.now(), 10):
		return nil, err
	}
	return h.cert.Raw, nil
}

// lives reports whether the certificate is valid, and not in the last one of so many parts of its life.
func (h *certificate) lives(now time.Time, parts int) bool {
	if h.cert == nil || now.Before(h.cert.NotBefore) {
		return false
	}
	life := h.cert.NotAfter.Sub(h.cert.NotBefore)
	return now.Before(h.cert.NotAfter.Add(-life / time.Duration(parts)))
}

func digestOf(b []byte) artifact.Digest { return sha256.Sum256(b) }
