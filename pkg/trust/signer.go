package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"

	"github.com/sigstore/sigstore/pkg/signature"
)

// bound is a Signer as the standard library takes it, for the one call that ctx belongs to.
type bound struct {
	ctx context.Context
	key Signer
}

func (b bound) Public() crypto.PublicKey { return b.key.Public() }

func (b bound) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != b.key.Hash() {
		return nil, fmt.Errorf("signing: asked for a digest of %s, the key signs %s", opts.HashFunc(), b.key.Hash())
	}
	return b.key.Sign(b.ctx, digest)
}

// SignedBy tells whether a Signer with this public key signed the text, by the hash that goes with its algorithm.
func SignedBy(pub crypto.PublicKey, text, made []byte) bool {
	v, err := signature.LoadDefaultVerifier(pub)
	return err == nil && v.VerifySignature(bytes.NewReader(made), bytes.NewReader(text)) == nil
}

// holds tells whether a certificate is for a key.
func holds(cert *x509.Certificate, pub crypto.PublicKey) bool {
	k, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(pub)
}
