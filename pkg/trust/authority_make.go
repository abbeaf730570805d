package trust

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"io"
	"sync"
)

// maker signs certificates with one key. Everything is drafted with a throw-away key of the same type first: the draft is
// linted, and its very bytes are what the key of the authority then signs, once.
type maker struct {
	key       Signer
	algorithm x509.SignatureAlgorithm
	draft     crypto.Signer
}

func newMaker(key Signer) (*maker, error) {
	m := &maker{key: key}
	var err error
	switch pub := key.Public().(type) {
	case *ecdsa.PublicKey:
		switch {
		case pub.Curve == elliptic.P256() && key.Hash() == crypto.SHA256:
			m.algorithm = x509.ECDSAWithSHA256
		case pub.Curve == elliptic.P384() && key.Hash() == crypto.SHA384:
			m.algorithm = x509.ECDSAWithSHA384
		default:
			return nil, fmt.Errorf("%w: no certificates are signed with ECDSA %s and %s", ErrProfile, pub.Curve.Params().Name, key.Hash())
		}
		m.draft, err = ecdsa.GenerateKey(pub.Curve, rand.Reader)
	case *rsa.PublicKey:
		if key.Hash() != crypto.SHA256 {
			return nil, fmt.Errorf("%w: no certificates are signed with RSA and %s", ErrProfile, key.Hash())
		}
		m.algorithm = x509.SHA256WithRSA
		m.draft, err = draftRSA()
	default:
		return nil, fmt.Errorf("%w: no certificates are signed with %T", ErrProfile, pub)
	}
	if err != nil {
		return nil, fmt.Errorf("making a throw-away key: %w", err)
	}
	return m, nil
}

// draftRSA is the throw-away RSA key of this process, because making one takes its time. Its size shows nowhere.
var draftRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// signedCertificate is the outer form of a certificate, with its parts as they are.
type signedCertificate struct {
	TBS       asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

// draftOf is the certificate as it is to be, signed with the throw-away key. parent nil: it signs itself.
func (m *maker) draftOf(t, parent *x509.Certificate, pub crypto.PublicKey) (*x509.Certificate, error) {
	if parent == nil {
		parent = t
	}
	stand := *parent
	stand.PublicKey = m.draft.Public()
	t.SignatureAlgorithm = m.algorithm
	der, err := x509.CreateCertificate(rand.Reader, t, &stand, pub, m.draft)
	if err != nil {
		return nil, fmt.Errorf("%w: drafting: %w", ErrProfile, err)
	}
	draft, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the draft: %w", ErrProfile, err)
	}
	return draft, nil
}

// sign replaces the throw-away signature of a draft, which must have been linted, and verifies the result.
func (m *maker) sign(ctx context.Context, draft *x509.Certificate) (*x509.Certificate, error) {
	h := m.key.Hash().New()
	h.Write(draft.RawTBSCertificate)
	signature, err := m.key.Sign(ctx, h.Sum(nil))
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	var outer signedCertificate
	if _, err := asn1.Unmarshal(draft.Raw, &outer); err != nil {
		return nil, fmt.Errorf("%w: reading the draft: %w", ErrProfile, err)
	}
	outer.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err := asn1.Marshal(outer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProfile, err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: reading what was signed: %w", ErrProfile, err)
	}
	by := &x509.Certificate{PublicKey: m.key.Public(), PublicKeyAlgorithm: keyAlgorithm(m.key.Public())}
	if err := by.CheckSignature(made.SignatureAlgorithm, made.RawTBSCertificate, made.Signature); err != nil {
		return nil, fmt.Errorf("%w: the certificate does not verify with the key that signed it: %w", ErrProfile, err)
	}
	return made, nil
}

func keyAlgorithm(pub crypto.PublicKey) x509.PublicKeyAlgorithm {
	if _, ok := pub.(*rsa.PublicKey); ok {
		return x509.RSA
	}
	return x509.ECDSA
}

// asCryptoSigner lets the standard library sign one thing with a Signer, while a call lasts.
type asCryptoSigner struct {
	ctx context.Context
	key Signer
}

func (s asCryptoSigner) Public() crypto.PublicKey { return s.key.Public() }

func (s asCryptoSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != s.key.Hash() {
		return nil, fmt.Errorf("the key signs %s, not %s", s.key.Hash(), opts.HashFunc())
	}
	return s.key.Sign(s.ctx, digest)
}
