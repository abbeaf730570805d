package verify

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"
)

var (
	// ErrUntrusted says that the certificate does not chain to the trusted root, or is not one that such signatures are made with.
	ErrUntrusted = errors.New("certificate is not trusted")
	// ErrExpired says that the time-stamp lies outside the life of the certificate or of those above it.
	ErrExpired = errors.New("certificate was not valid then")
)

// oidIssuer marks who vouched for the identity in the certificate, as a UTF-8 string.
var oidIssuer = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 8}

// certified is a certificate that chains to the trusted root at a time.
type certified struct {
	leaf, issuing, root *x509.Certificate
	identity, issuer    string
	promised            int // by how many logs of certificates
}

// certify chains a certificate to one of the root's issuers at a time, and checks that a log of certificates promised to
// hold it.
func (r *Root) certify(leaf *x509.Certificate, at time.Time) (certified, error) {
	switch {
	case leaf.IsCA:
		return certified{}, fmt.Errorf("%w: it is an authority's own", ErrUntrusted)
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return certified{}, fmt.Errorf("%w: it is not for signing code", ErrUntrusted)
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return certified{}, fmt.Errorf("%w: its key may not make signatures", ErrUntrusted)
	}
	c := certified{leaf: leaf}
	var err error
	if c.identity, c.issuer, err = identityOf(leaf); err != nil {
		return certified{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	chain, err := r.chain(leaf, at)
	if err != nil {
		return certified{}, err
	}
	c.issuing, c.root = chain[1], chain[len(chain)-1]
	if c.promised, err = r.promised(leaf, c.issuing); err != nil {
		return certified{}, fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	return c, nil
}

// chain is the way from a certificate to a root at a time. An authority whose certificate was renewed with the same key is listed
// twice: one of the two is enough. That it was the wrong time tells more than any other refusal.
func (r *Root) chain(leaf *x509.Certificate, at time.Time) ([]*x509.Certificate, error) {
	failed := fmt.Errorf("%w: the trusted root lists no issuer of certificates", ErrUntrusted)
	for _, a := range r.issuers {
		chains, err := leaf.Verify(x509.VerifyOptions{
			CurrentTime: at, Roots: a.roots, Intermediates: a.middle, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		})
		switch life := a.life(leaf); {
		case err == nil && len(chains[0]) > 1 && a.holds(at):
			return chains[0], nil
		case errors.Is(failed, ErrExpired):
		case err == nil:
			failed = fmt.Errorf("%w: its authority, %s, counts from %s, signed at %s", ErrUntrusted, a.name, a.window, moment(at))
		case leaf.CheckSignatureFrom(a.chain[0]) == nil && !life.holds(at):
			failed = fmt.Errorf("%w: it was valid from %s by %s, signed at %s", ErrExpired, life, a.name, moment(at))
		default:
			failed = fmt.Errorf("%w: %.200s", ErrUntrusted, err.Error())
		}
	}
	return nil, failed
}

// life is the time in which the certificate and all above it hold together.
func (a *authority) life(leaf *x509.Certificate) (w window) {
	for _, c := range append([]*x509.Certificate{leaf}, a.chain...) {
		if w.from.IsZero() || c.NotBefore.After(w.from) {
			w.from = c.NotBefore
		}
		if w.until.IsZero() || c.NotAfter.Before(w.until) {
			w.until = c.NotAfter
		}
	}
	return w
}

// identityOf returns whom the certificate is for, its one name, and who vouched for that.
func identityOf(leaf *x509.Certificate) (identity, issuer string, err error) {
	if n := len(leaf.URIs) + len(leaf.EmailAddresses) + len(leaf.DNSNames) + len(leaf.IPAddresses); n != 1 || len(leaf.URIs) != 1 {
		return "", "", fmt.Errorf("it is for %d names, expected one, a URI", n)
	}
	for _, e := range leaf.Extensions {
		if !e.Id.Equal(oidIssuer) {
			continue
		}
		if issuer != "" {
			return "", "", errors.New("it names its issuer twice")
		}
		if rest, err := asn1.UnmarshalWithParams(e.Value, &issuer, "utf8"); err != nil || len(rest) != 0 || issuer == "" {
			return "", "", errors.New("its extension for the issuer cannot be read")
		}
	}
	return leaf.URIs[0].String(), issuer, nil
}
