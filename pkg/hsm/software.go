package hsm

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
)

// loadSoftware reads a PEM private key (PKCS#8, SEC 1 or PKCS#1, unencrypted) in place of a token's.
func loadSoftware(k KeyConfig, allowed bool, tr *trail) (*held, error) {
	if !allowed {
		return nil, tr.fail(stepKey, fmt.Errorf("%w: it is a software key and those are not allowed", ErrKeyUnfit),
			"move the key to a token; for a trial only, start with --insecure-software-keys")
	}
	data, err := os.ReadFile(k.Software)
	if err != nil {
		return nil, tr.fail(stepKey, fmt.Errorf("%w: %w", ErrKeyMissing, err), "set software to a PEM file that this user can read")
	}
	signer, err := parsePrivate(data)
	if err != nil {
		return nil, tr.fail(stepKey, fmt.Errorf("%w: %s: %w", ErrKeyUnfit, k.Software, err), "write an unencrypted PKCS#8 private key: openssl genpkey")
	}
	pub, err := NewPublic(k.Name, k.Lane, signer.Public())
	if err != nil {
		return nil, tr.fail(stepKey, err, "use one of %v", Algorithms())
	}
	pub.Use, pub.Software, pub.From, pub.Retired = k.UseOrDefault(), true, k.From.Time, k.Retired.Time
	tr.pass(stepKey, "SOFTWARE KEY %s, %s", k.Software, pub.Algorithm)
	if k.SPKI != "" {
		if err := checkPin(k, pub, tr); err != nil {
			return nil, err
		}
	}
	if err := probe(pub, signer); err != nil {
		return nil, tr.fail(stepProbe, err, "replace the key file")
	}
	tr.pass(stepProbe, "%s over a random digest", pub.Algorithm)
	return &held{signer: signer, public: pub}, nil
}

// parsePrivate never puts key material into an error.
func parsePrivate(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if s, ok := k.(crypto.Signer); ok {
			return s, nil
		}
		return nil, errors.New("PKCS#8 key of a kind that does not sign")
	}
	if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	return nil, fmt.Errorf("PEM block %q holds no private key that can be read", block.Type)
}

// signSoftware makes one signature in this process.
func (h *held) signSoftware(ctx context.Context, _ string, digest []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return h.signer.Sign(rand.Reader, digest, h.public.Hash)
}
