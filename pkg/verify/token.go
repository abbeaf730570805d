package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"
)

// maxTokenCertificates bounds those in one time-stamp.
const maxTokenCertificates = 16

var (
	oidExtendedUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidStampInfo     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSignedBy      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
)

// hashOIDs are the hashes that time-stamps may use, algorithms those that they may be signed with.
var (
	hashOIDs = map[string]crypto.Hash{
		"2.16.840.1.101.3.4.2.1": crypto.SHA256, "2.16.840.1.101.3.4.2.2": crypto.SHA384, "2.16.840.1.101.3.4.2.3": crypto.SHA512,
	}
	algorithms = map[string]algorithm{
		"1.2.840.10045.4.3.2": {"ECDSA", crypto.SHA256}, "1.2.840.10045.4.3.3": {"ECDSA", crypto.SHA384}, "1.2.840.10045.4.3.4": {"ECDSA", crypto.SHA512},
		"1.2.840.113549.1.1.11": {"RSA", crypto.SHA256}, "1.2.840.113549.1.1.12": {"RSA", crypto.SHA384}, "1.2.840.113549.1.1.13": {"RSA", crypto.SHA512},
		"1.2.840.113549.1.1.1": {"RSA", 0}, // with the hash that the content goes by
		"1.3.101.112":          {"Ed25519", 0},
	}
)

type algorithm struct {
	key  string
	hash crypto.Hash
}

// token is an RFC 3161 time-stamp, taken apart. Nothing in it is believed before verify.
type token struct {
	at           time.Time
	imprintHash  crypto.Hash
	imprint      []byte
	certificates []*x509.Certificate

	content    []byte // that the time and the imprint were read from
	attributes []byte // that are signed, as a SET
	hash       crypto.Hash
	algorithm  algorithm
	signature  []byte
	issuer     []byte // of the signer's certificate, with
	serial     *big.Int
	signedBy   []byte // SHA-256 of the signer's certificate; nil when it is not said
}

// signer is the certificate that the token says it was signed with: one of its own, or the given one.
func (t token) signer(known *x509.Certificate) *x509.Certificate {
	for _, c := range append([]*x509.Certificate{known}, t.certificates...) {
		if c != nil && bytes.Equal(c.RawIssuer, t.issuer) && c.SerialNumber.Cmp(t.serial) == 0 {
			return c
		}
	}
	return nil
}

// verify checks the signature, which is over attributes of which one is the hash of the content.
func (t token) verify(signer *x509.Certificate) error {
	if t.signedBy != nil {
		if sum := sha256.Sum256(signer.Raw); !bytes.Equal(sum[:], t.signedBy) {
			return errors.New("it names another certificate than the one it is signed with")
		}
	}
	sum := func(h crypto.Hash, text []byte) []byte {
		d := h.New()
		d.Write(text) // a hash never returns an error
		return d.Sum(nil)
	}
	said, err := attribute(t.attributes, oidMessageDigest)
	var digest cryptobyte.String
	if err != nil || !said.ReadASN1(&digest, der.OCTET_STRING) || !said.Empty() || !bytes.Equal(digest, sum(t.hash, t.content)) {
		return errors.New("its signature is over another content")
	}
	hash := t.algorithm.hash
	if hash == 0 {
		hash = t.hash
	}
	ok := false
	switch public := signer.PublicKey.(type) {
	case *ecdsa.PublicKey:
		ok = t.algorithm.key == "ECDSA" && ecdsa.VerifyASN1(public, sum(hash, t.attributes), t.signature)
	case *rsa.PublicKey:
		ok = t.algorithm.key == "RSA" && rsa.VerifyPKCS1v15(public, hash, sum(hash, t.attributes), t.signature) == nil
	case ed25519.PublicKey:
		ok = t.algorithm.key == "Ed25519" && ed25519.Verify(public, t.attributes, t.signature)
	}
	if !ok {
		return errors.New("its signature does not verify")
	}
	return nil
}
