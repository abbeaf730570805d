package trust

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
	"github.com/sigstore/timestamp-authority/v2/pkg/verification"
)

// ErrTimestamp says that a time-stamp is not one of the signature, or by no authority that is believed.
var ErrTimestamp = errors.New("time-stamp does not hold")

// errSigner says that another authority made a time-stamp.
var errSigner = errors.New("signed by another certificate")

// Bounds of a time-stamp that is looked at. Those of public authorities have about 6 kB and three certificates.
const (
	maxToken        = 32 << 10
	maxTokenCerts   = 8
	maxTokenRSABits = 8192
)

var (
	oidTSTInfo              = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidExtKeyUsage          = asn1.ObjectIdentifier{2, 5, 29, 37}
)

// stampChain is the certificates of one time-stamping authority, its own first and the root last.
type stampChain []*x509.Certificate

// valid tells what is wrong with the chain itself, whatever the time is.
func (c stampChain) valid() error {
	if len(c) < 2 {
		return fmt.Errorf("the chain has %d certificates; it needs the authority's own first, then each issuer up to the root", len(c))
	}
	for i, cert := range c[:len(c)-1] {
		if err := cert.CheckSignatureFrom(c[i+1]); err != nil {
			return fmt.Errorf("certificate %d of the chain (%s) is not issued by the next (%s): %w", i+1, cert.Subject, c[i+1].Subject, err)
		}
	}
	root := c[len(c)-1]
	if err := root.CheckSignatureFrom(root); err != nil {
		return fmt.Errorf("the last certificate of the chain (%s) is not a root: %w", root.Subject, err)
	}
	return stampUsage(c[0])
}

// stampUsage holds RFC 3161 section 2.3: no CA, and the usage is critical and time-stamping alone.
func stampUsage(cert *x509.Certificate) error {
	critical := false
	for _, e := range cert.Extensions {
		critical = critical || e.Id.Equal(oidExtKeyUsage) && e.Critical
	}
	alone := len(cert.ExtKeyUsage) == 1 && len(cert.UnknownExtKeyUsage) == 0 && cert.ExtKeyUsage[0] == x509.ExtKeyUsageTimeStamping
	switch {
	case cert.IsCA:
		return fmt.Errorf("the first certificate of the chain (%s) is a CA's, not a time-stamping authority's", cert.Subject)
	case !critical || !alone:
		return fmt.Errorf("the certificate of the time-stamping authority (%s) must have the extended key usage timeStamping, critical and alone", cert.Subject)
	}
	return nil
}

// check returns what a TimeStampResp states once it is certain that this authority states it of the signature. The chain
// is judged at the time that the token states, so that it holds when certificates have expired. A nil nonce is any.
func (c stampChain) check(response, signature []byte, nonce *big.Int) (*timestamp.Timestamp, error) {
	if err := inspect(response, c[0]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	ts, err := verification.VerifyTimestampResponse(response, bytes.NewReader(signature), verification.VerifyOpts{
		TSACertificate: c[0], Intermediates: c[1 : len(c)-1], Roots: c[len(c)-1:], Nonce: nonce,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	return ts, nil
}

// inspect refuses, before anything is calculated, what is too large or too strange to be worth it, and what the library
// does not look at: that the CMS message is a time-stamp and nothing else that the same key signed, that its one signer
// used SHA-2, and that the signature covers the signer's certificate (RFC 5816).
func inspect(response []byte, signer *x509.Certificate) error {
	if len(response) > maxToken {
		return fmt.Errorf("%d bytes, over %d", len(response), maxToken)
	}
	if err := shallow(response); err != nil {
		return err
	}
	var outer struct {
		Status asn1.RawValue
		Token  asn1.RawValue `asn1:"optional"`
	}
	if rest, err := asn1.Unmarshal(response, &outer); err != nil || len(rest) > 0 {
		return errors.New("not a TimeStampResp")
	}
	var status int
	if _, err := asn1.Unmarshal(outer.Status.Bytes, &status); err != nil {
		return errors.New("a TimeStampResp without a status")
	}
	if status != int(timestamp.Granted) {
		return fmt.Errorf("not granted: %s", timestamp.Status(status))
	}
	if len(outer.Token.FullBytes) == 0 {
		return errors.New("granted without a token")
	}
	p7, err := pkcs7.Parse(outer.Token.FullBytes)
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	return inspectMessage(p7, signer)
}

func inspectMessage(p7 *pkcs7.PKCS7, signer *x509.Certificate) error {
	if len(p7.Signers) != 1 {
		return fmt.Errorf("%d signers, expected one", len(p7.Signers))
	}
	if len(p7.Certificates) > maxTokenCerts {
		return fmt.Errorf("%d certificates, over %d", len(p7.Certificates), maxTokenCerts)
	}
	for _, cert := range p7.Certificates {
		if k, ok := cert.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() > maxTokenRSABits {
			return fmt.Errorf("a certificate with an RSA key of %d bits, over %d", k.N.BitLen(), maxTokenRSABits)
		}
	}
	switch alg := p7.Signers[0].DigestAlgorithm.Algorithm; {
	case alg.Equal(pkcs7.OIDDigestAlgorithmSHA256), alg.Equal(pkcs7.OIDDigestAlgorithmSHA384), alg.Equal(pkcs7.OIDDigestAlgorithmSHA512):
	default:
		return fmt.Errorf("signed with the digest %s, which is not SHA-2", alg)
	}
	var content asn1.ObjectIdentifier
	if err := p7.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &content); err != nil {
		return fmt.Errorf("reading the content type: %w", err)
	}
	if !content.Equal(oidTSTInfo) {
		return fmt.Errorf("the content type is %s, not a time-stamp", content)
	}
	return namesSigner(p7, signer)
}

// namesSigner holds the signed attribute that names the signer's certificate against that certificate.
func namesSigner(p7 *pkcs7.PKCS7, signer *x509.Certificate) error {
	var attr struct {
		Certs []struct {
			Hash   asn1.RawValue // an AlgorithmIdentifier, or, when it is SHA-256, left out: then this is the hash itself
			Second asn1.RawValue `asn1:"optional"`
			Third  asn1.RawValue `asn1:"optional"`
		}
		Policies asn1.RawValue `asn1:"optional"`
	}
	if err := p7.UnmarshalSignedAttribute(oidSigningCertificateV2, &attr); err != nil || len(attr.Certs) == 0 {
		return errors.New("the signature does not cover the signer's certificate (signingCertificateV2)")
	}
	first, alg, sum := attr.Certs[0], crypto.SHA256, attr.Certs[0].Hash
	if first.Hash.Tag == asn1.TagSequence {
		var id struct {
			Algorithm asn1.ObjectIdentifier
			Parameter asn1.RawValue `asn1:"optional"`
		}
		if _, err := asn1.Unmarshal(first.Hash.FullBytes, &id); err != nil {
			return errors.New("signingCertificateV2 cannot be read")
		}
		switch {
		case id.Algorithm.Equal(pkcs7.OIDDigestAlgorithmSHA256):
		case id.Algorithm.Equal(pkcs7.OIDDigestAlgorithmSHA384):
			alg = crypto.SHA384
		case id.Algorithm.Equal(pkcs7.OIDDigestAlgorithmSHA512):
			alg = crypto.SHA512
		default:
			return fmt.Errorf("signingCertificateV2 uses the digest %s", id.Algorithm)
		}
		sum = first.Second
	}
	h := alg.New()
	h.Write(signer.Raw)
	if !bytes.Equal(h.Sum(nil), sum.Bytes) {
		return fmt.Errorf("%w than that of %s", errSigner, signer.Subject)
	}
	return nil
}

// window is the times between which a token was asked for and came, and how far off it may be.
type window struct {
	from, to  time.Time
	tolerance time.Duration
}

// offError is a token's time that is too far from the clock of this machine.
type offError struct {
	at        time.Time
	by        time.Duration // negative: it is before the token was asked for
	tolerance time.Duration
}

func (e *offError) Error() string {
	where := "after it came"
	if e.by < 0 {
		where = "before it was asked for"
	}
	return fmt.Sprintf("it states %s, %s %s by the clock of this machine; up to %s is tolerated",
		e.at.UTC().Format(time.RFC3339), e.by.Abs().Round(time.Second), where, e.tolerance)
}

func (w window) holds(at time.Time) error {
	// Tokens are cut to whole seconds, downwards.
	if at.Before(w.from.Add(-w.tolerance - time.Second)) {
		return fmt.Errorf("%w: %w", ErrTimestamp, &offError{at: at, by: at.Sub(w.from), tolerance: w.tolerance})
	}
	if at.After(w.to.Add(w.tolerance)) {
		return fmt.Errorf("%w: %w", ErrTimestamp, &offError{at: at, by: at.Sub(w.to), tolerance: w.tolerance})
	}
	return nil
}

// obtained checks a token that was just made for a signature: all that verifiers check, and what only the asker knows.
func (c stampChain) obtained(response, signature []byte, nonce *big.Int, w window) (*timestamp.Timestamp, error) {
	ts, err := c.check(response, signature, nonce)
	if err != nil {
		return nil, err
	}
	imprint := sha256.Sum256(signature)
	if ts.HashAlgorithm != crypto.SHA256 || !bytes.Equal(ts.HashedMessage, imprint[:]) {
		return nil, fmt.Errorf("%w: the imprint is not the SHA-256 that was sent", ErrTimestamp)
	}
	if len(ts.Policy) == 0 {
		return nil, fmt.Errorf("%w: no policy", ErrTimestamp)
	}
	if ts.Accuracy < 0 || ts.Accuracy > maxAccuracy {
		return nil, fmt.Errorf("%w: an accuracy of %s, over %s", ErrTimestamp, ts.Accuracy, maxAccuracy)
	}
	if err := w.holds(ts.Time); err != nil {
		return nil, err
	}
	return ts, nil
}

// maxAccuracy bounds how inexact a token may call itself.
const maxAccuracy = time.Minute
