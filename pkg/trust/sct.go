package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

// The log's promise in a certificate: a signed certificate timestamp (RFC 6962 section 3) over what the certificate was
// before the promise was put in. Stock verifiers want one; who issues certificates here logs them too, so it is kept.

// ErrSCT says that a certificate's promise is missing, or does not hold.
var ErrSCT = errors.New("signed certificate timestamp does not hold")

// Constants of RFC 6962 and RFC 5246, section 7.4.1.4.1.
const (
	sctV1           = 0
	sctPrecert      = 1
	tlsSHA256       = 4
	tlsRSA          = 1
	tlsECDSA        = 3
	sctCertificates = 0 // SignatureType certificate_timestamp
)

// signedTimestamp is one promise.
type signedTimestamp struct {
	logID      [sha256.Size]byte
	at         uint64 // milliseconds since 1970
	extensions []byte
	hash, alg  byte
	signature  []byte
}

// checkSCTKey takes the keys that every verifier of promises takes.
func checkSCTKey(key Signer) error {
	if k, ok := key.Public().(*ecdsa.PublicKey); ok && k.Curve != elliptic.P256() {
		return fmt.Errorf("%w: an SCT key is P-256 or RSA, not %s", ErrProfile, k.Curve.Params().Name)
	}
	if key.Hash() != crypto.SHA256 {
		return fmt.Errorf("%w: an SCT key signs SHA-256, not %s", ErrProfile, key.Hash())
	}
	return nil
}

// signSCT promises that a certificate with this TBS, issued by issuer, will be logged.
func signSCT(ctx context.Context, key Signer, issuer *x509.Certificate, tbs []byte, at time.Time) (pkix.Extension, error) {
	id, err := logIDOf(key.Public())
	if err != nil {
		return pkix.Extension{}, err
	}
	s := signedTimestamp{logID: id, at: uint64(at.UnixMilli()), hash: tlsSHA256, alg: tlsECDSA}
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		s.alg = tlsRSA
	}
	input, err := s.input(issuer, tbs)
	if err != nil {
		return pkix.Extension{}, err
	}
	digest := sha256.Sum256(input)
	if s.signature, err = key.Sign(ctx, digest[:]); err != nil {
		return pkix.Extension{}, fmt.Errorf("signing the log's promise: %w", err)
	}
	return sctExtension(s)
}

// logIDOf names a log by its key.
func logIDOf(pub crypto.PublicKey) (id [sha256.Size]byte, err error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return id, fmt.Errorf("%w: key of the log: %w", ErrSCT, err)
	}
	return sha256.Sum256(der), nil
}

// input is what a promise signs (RFC 6962 section 3.2).
func (s signedTimestamp) input(issuer *x509.Certificate, tbs []byte) ([]byte, error) {
	issuerKey := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	var b cryptobyte.Builder
	b.AddUint8(sctV1)
	b.AddUint8(sctCertificates)
	b.AddUint64(s.at)
	b.AddUint16(sctPrecert)
	b.AddBytes(issuerKey[:])
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(tbs) })
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.extensions) })
	out, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSCT, err)
	}
	return out, nil
}

// sctExtension is a list of one promise as an extension of a certificate (RFC 6962 section 3.3).
func sctExtension(s signedTimestamp) (pkix.Extension, error) {
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(list *cryptobyte.Builder) {
		list.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			b.AddUint8(sctV1)
			b.AddBytes(s.logID[:])
			b.AddUint64(s.at)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.extensions) })
			b.AddUint8(s.hash)
			b.AddUint8(s.alg)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.signature) })
		})
	})
	list, err := b.Bytes()
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("%w: %w", ErrSCT, err)
	}
	value, err := asn1.Marshal(list)
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("%w: %w", ErrSCT, err)
	}
	return pkix.Extension{Id: oidSCTs, Value: value}, nil
}
