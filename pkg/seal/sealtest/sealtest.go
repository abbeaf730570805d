// Package sealtest gives tests a software key that signs the way an HSM key does, and counts its uses.
package sealtest

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Algorithms are the names that NewKey takes.
var Algorithms = []string{"P-256", "P-384", "RSA-3072", "RSA-4096"}

var _ seal.Signer = (*Key)(nil)

// Key is a seal.Signer without an HSM.
type Key struct {
	name string
	key  crypto.Signer
	hash crypto.Hash
	uses atomic.Int64
}

// NewKey makes a key. An elliptic curve key is the same for the same seed, and so are its signatures (RFC 6979): golden
// files rest on that. An RSA key is new each time and takes seconds.
func NewKey(t testing.TB, algorithm, seed string) *Key {
	t.Helper()
	k := &Key{name: cmp.Or(strings.ReplaceAll(seed, " ", "-"), "key"), hash: crypto.SHA256}
	var err error
	switch algorithm {
	case "P-256":
		k.key, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar(seed, 32))
	case "P-384":
		k.hash = crypto.SHA384
		k.key, err = ecdsa.ParseRawPrivateKey(elliptic.P384(), scalar(seed, 48))
	case "RSA-3072":
		k.key, err = rsa.GenerateKey(rand.Reader, 3072)
	case "RSA-4096":
		k.key, err = rsa.GenerateKey(rand.Reader, 4096)
	default:
		t.Fatalf("sealtest has no algorithm %q", algorithm)
	}
	require.NoError(t, err)
	return k
}

// scalar is below the order of the curve, whose first byte is 0xff.
func scalar(seed string, size int) []byte {
	h := sha512.Sum512([]byte("hallmark test key: " + seed))
	h[0] &= 0x7f
	return h[:size]
}

// Name returns the seed, as the name that a configuration could give the key.
func (k *Key) Name() string { return k.name }

// Public returns the public key.
func (k *Key) Public() crypto.PublicKey { return k.key.Public() }

// Hash returns the hash that goes with the key.
func (k *Key) Hash() crypto.Hash { return k.hash }

// Sign signs a digest and counts the use.
func (k *Key) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	k.uses.Add(1)
	return k.key.Sign(nil, digest, k.hash)
}

// Uses returns how often the key was used.
func (k *Key) Uses() int { return int(k.uses.Load()) }

// PEM returns the public key as users get it.
func (k *Key) PEM(t testing.TB) []byte {
	t.Helper()
	b, err := cryptoutils.MarshalPublicKeyToPEM(k.Public())
	require.NoError(t, err)
	return b
}

// WritePEM stores the public key in dir and returns the path.
func (k *Key) WritePEM(t testing.TB, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, k.PEM(t), 0o600))
	return path
}
