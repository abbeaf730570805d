package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// key is a pinned public key.
type key struct {
	public crypto.PublicKey
	hash   crypto.Hash // that it signs with
	der    []byte      // its SubjectPublicKeyInfo
	spki   [32]byte    // SHA-256 of that
	bare   bool        // bundles have to name it itself, not by a certificate
}

func pinned(pub crypto.PublicKey) (key, error) {
	k := key{public: pub}
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P256():
			k.hash = crypto.SHA256
		case elliptic.P384():
			k.hash = crypto.SHA384
		}
	case *rsa.PublicKey:
		if bits := pub.Size() * 8; bits == 3072 || bits == 4096 {
			k.hash = crypto.SHA256
		}
	}
	if k.hash == 0 {
		return key{}, fmt.Errorf("%w: %T; use P-256, P-384, RSA-3072 or RSA-4096", ErrUnsupportedKey, pub)
	}
	der, err := x509.MarshalPKIXPublicKey(pub) // which refuses a point that is not on the curve
	if err != nil {
		return key{}, fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	k.der, k.spki = der, sha256.Sum256(der)
	return k, nil
}

// verify takes an ECDSA signature in strict DER (RFC 3279) and an RSA signature in PKCS#1 v1.5 (RFC 8017), nothing else.
func (k key) verify(digest, signature []byte) error {
	switch pub := k.public.(type) {
	case *ecdsa.PublicKey:
		if ecdsa.VerifyASN1(pub, digest, signature) {
			return nil
		}
		return fmt.Errorf("%w: no ECDSA signature in DER by this key over these bytes", ErrInvalid)
	case *rsa.PublicKey:
		if err := rsa.VerifyPKCS1v15(pub, k.hash, digest, signature); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return nil
	}
	return fmt.Errorf("%w: %T", ErrUnsupportedKey, k.public)
}

// digest hashes a text with the key's own hash.
func (k key) digest(text []byte) []byte {
	h := k.hash.New()
	h.Write(text) // a hash never returns an error
	return h.Sum(nil)
}

// hashName is the key's hash as openssl names it.
func (k key) hashName() string {
	if k.hash == crypto.SHA384 {
		return "sha384"
	}
	return "sha256"
}

// Fingerprint tells of a public key which hash it signs with, as openssl names it, and the SHA-256 of its
// SubjectPublicKeyInfo.
func Fingerprint(pub crypto.PublicKey) (hash string, spki artifact.Digest, err error) {
	k, err := pinned(pub)
	if err != nil {
		return "", spki, err
	}
	return k.hashName(), k.spki, nil
}
