package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Algorithm names a key type and its size.
type Algorithm string

// The algorithms that sign. ECDSA signatures are ASN.1 DER (RFC 3279 section 2.2.3), RSA ones PKCS#1 v1.5 (RFC 8017
// section 8.2).
const (
	P256    Algorithm = "P-256"
	P384    Algorithm = "P-384"
	RSA3072 Algorithm = "RSA-3072"
	RSA4096 Algorithm = "RSA-4096"
)

// ErrAlgorithm is returned for a key that is none of P-256, P-384, RSA-3072 and RSA-4096.
var ErrAlgorithm = errors.New("unsupported algorithm")

// algorithms is the whitelist: the one digest that each algorithm signs, and how a key of it is made.
var algorithms = []struct {
	name  Algorithm
	hash  crypto.Hash
	curve elliptic.Curve // ECDSA
	bits  int            // RSA
}{
	{name: P256, hash: crypto.SHA256, curve: elliptic.P256()},
	{name: P384, hash: crypto.SHA384, curve: elliptic.P384()},
	{name: RSA3072, hash: crypto.SHA256, bits: 3072},
	{name: RSA4096, hash: crypto.SHA256, bits: 4096},
}

// Algorithms lists what can sign, the default first.
func Algorithms() []Algorithm {
	names := make([]Algorithm, 0, len(algorithms))
	for _, a := range algorithms {
		names = append(names, a.name)
	}
	return names
}

// Public is the public half of a signing key: what a verifier needs, without a token.
type Public struct {
	Name      string
	Use       Use             // as configured; UseArtifact for a key that was not configured
	Lane      string          // of an artifact key
	SPKI      artifact.Digest // SHA-256 over the DER SubjectPublicKeyInfo
	PublicKey crypto.PublicKey
	Algorithm Algorithm
	Hash      crypto.Hash // the digest that the key signs
	Software  bool        // the private key is a file, not an object on a token
	From      time.Time   // when its time begins; zero: it always was
	Retired   time.Time   // when its time is over; zero: never
}

// NewPublic describes a public key. ErrAlgorithm when it is outside the table.
func NewPublic(name, lane string, pub crypto.PublicKey) (Public, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return Public{}, fmt.Errorf("%w: %T", ErrAlgorithm, pub)
	}
	// Parsed again: a point that is not on its curve, or a modulus that is no modulus, ends here.
	if pub, err = x509.ParsePKIXPublicKey(der); err != nil {
		return Public{}, fmt.Errorf("reading public key: %w", err)
	}
	p := Public{Name: name, Use: UseArtifact, Lane: lane, SPKI: sha256.Sum256(der), PublicKey: pub}
	for _, a := range algorithms {
		switch k := pub.(type) {
		case *ecdsa.PublicKey:
			if k.Curve != a.curve {
				continue
			}
		case *rsa.PublicKey:
			if k.N.BitLen() != a.bits {
				continue
			}
			if k.E < 65537 || k.E&1 == 0 {
				return Public{}, fmt.Errorf("%w: RSA with the public exponent %d", ErrAlgorithm, k.E)
			}
		default:
			continue
		}
		p.Algorithm, p.Hash = a.name, a.hash
		return p, nil
	}
	return Public{}, fmt.Errorf("%w: %s; use one of %v", ErrAlgorithm, describe(pub), Algorithms())
}

// LoadPublic reads a PEM "PUBLIC KEY" block, so that signatures can be judged where there is no token.
func LoadPublic(name, lane string, pemBytes []byte) (Public, error) {
	block, _ := pem.Decode(pemBytes)
	if block == nil {
		return Public{}, errors.New("reading public key: no PEM block found")
	}
	if block.Type != "PUBLIC KEY" {
		return Public{}, fmt.Errorf("reading public key: the PEM block is %q, not \"PUBLIC KEY\"", block.Type)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Public{}, fmt.Errorf("reading public key: %w", err)
	}
	return NewPublic(name, lane, pub)
}

// PEM is the public key as a "PUBLIC KEY" block, as openssl and cosign read it.
func (p Public) PEM() ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(p.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encoding public key %s: %w", p.Name, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// Pin is the SPKI as configuration writes it: sha256:<hex>.
func (p Public) Pin() string { return spkiPrefix + p.SPKI.String() }

// errSignature is the answer of Verify to a signature that does not hold.
var errSignature = errors.New("signature does not verify")

// Verify checks a signature over a digest made with Hash, in software.
func (p Public) Verify(digest, signature []byte) error {
	if len(digest) != p.Hash.Size() {
		return fmt.Errorf("%w: %d bytes, %s signs %d", ErrDigest, len(digest), p.Algorithm, p.Hash.Size())
	}
	switch k := p.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, digest, signature) {
			return errSignature
		}
		return nil
	case *rsa.PublicKey:
		if rsa.VerifyPKCS1v15(k, p.Hash, digest, signature) != nil {
			return errSignature
		}
		return nil
	}
	return fmt.Errorf("%w: %T", ErrAlgorithm, p.PublicKey)
}

func describe(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA with %d bits", k.N.BitLen())
	}
	return fmt.Sprintf("%T", pub)
}
