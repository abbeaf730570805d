package trust

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
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

// holds tells whether a certificate is for a key.
func holds(cert *x509.Certificate, pub crypto.PublicKey) bool {
	k, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(pub)
}
