package trust

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// checkCertificate holds the leaf against the trusted root at every time that a time-stamp states, and notes whose it is.
func (v *Verifier) checkCertificate(leaf *x509.Certificate, times []time.Time, f *Finding) error {
	switch {
	case leaf.IsCA:
		return fmt.Errorf("%w: it is a CA's", ErrCertificate)
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return fmt.Errorf("%w: it is not for signing code", ErrCertificate)
	case len(leaf.URIs) != 1 || len(leaf.EmailAddresses)+len(leaf.DNSNames)+len(leaf.IPAddresses) > 0:
		return fmt.Errorf("%w: its subject must be one URI and nothing else", ErrCertificate)
	}
	var chains [][]*x509.Certificate
	for _, at := range times {
		if at.Before(leaf.NotBefore) || at.After(leaf.NotAfter) {
			return fmt.Errorf("%w: stamped at %s; it lives from %s to %s", ErrStampedOutside,
				at.Format(time.RFC3339), leaf.NotBefore.UTC().Format(time.RFC3339), leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		var err error
		if chains, err = v.chains(leaf, at); err != nil {
			return err
		}
	}
	if err := verify.VerifySignedCertificateTimestamp(chains, 1, v.root); err != nil {
		return fmt.Errorf("%w: its promise to be logged (SCT) is missing, or by no key that the trusted root lists: %w", ErrCertificate, err)
	}
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	f.Identity, f.Issuer, f.NotAfter = summary.SubjectAlternativeName, summary.Issuer, leaf.NotAfter.UTC()
	return nil
}

// chains are the ways from the leaf to a root at a time. That it was the wrong time tells more than any other refusal.
func (v *Verifier) chains(leaf *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	refused := fmt.Errorf("%w: the trusted root lists no CA", ErrCertificate)
	for _, ca := range v.root.FulcioCertificateAuthorities() {
		chains, err := ca.Verify(leaf, at)
		if err == nil {
			return chains, nil
		}
		if errors.Is(refused, ErrStampedOutside) {
			continue
		}
		kind := ErrCertificate
		if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			kind = ErrStampedOutside
		}
		refused = fmt.Errorf("%w: at %s: %w", kind, at.Format(time.RFC3339), err)
	}
	return nil, refused
}

func nameOfLeaf(leaf *x509.Certificate) string {
	if len(leaf.URIs) > 0 {
		return leaf.URIs[0].String()
	}
	return leaf.Subject.String()
}

// pinOf is a key's SPKI as configuration writes it.
func pinOf(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "of an unknown type"
	}
	sum := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(sum[:])
}
