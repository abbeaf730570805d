package seal

import (
	"crypto"
	_ "crypto/sha512" // SHA-384, for P-384 keys
	"errors"
	"fmt"
	"hash"
	"slices"

	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrNoDigest means that the caller did not bring the digest that the key's signatures are over. Artifactory reports
// SHA-256 only: whoever verifies a P-384 signature has to hash the bytes.
var ErrNoDigest = errors.New("no digest of the needed kind")

// ErrUnsupportedKey is returned for a public key of another algorithm or size than P-256, P-384, RSA-3072, RSA-4096.
var ErrUnsupportedKey = errors.New("unsupported key")

// Digests holds digests of one artifact's bytes, one per hash.
type Digests map[crypto.Hash][]byte

// FromSHA256 makes Digests of the one digest that Artifactory reports.
func FromSHA256(d artifact.Digest) Digests {
	return Digests{crypto.SHA256: slices.Clone(d[:])}
}

// SHA256 returns the digest that names the artifact; zero if there is none.
func (d Digests) SHA256() artifact.Digest {
	var v artifact.Digest
	if len(d[crypto.SHA256]) == len(v) {
		copy(v[:], d[crypto.SHA256])
	}
	return v
}

func (d Digests) pick(h crypto.Hash) ([]byte, error) {
	switch v := d[h]; len(v) {
	case h.Size():
		return v, nil
	case 0:
		return nil, fmt.Errorf("%w: %s", ErrNoDigest, h)
	default:
		return nil, fmt.Errorf("%w: a %s digest has %d bytes, this one has %d", ErrNoDigest, h, h.Size(), len(v))
	}
}

// HashFor returns the hash that a key signs with: SHA-256 for P-256 and RSA, SHA-384 for P-384.
func HashFor(pub crypto.PublicKey) (crypto.Hash, error) {
	details, err := detailsFor(pub)
	if err != nil {
		return 0, err
	}
	return details.GetHashType(), nil
}

func detailsFor(pub crypto.PublicKey) (signature.AlgorithmDetails, error) {
	name, err := signature.GetDefaultPublicKeyDetails(pub)
	if err != nil {
		return signature.AlgorithmDetails{}, fmt.Errorf("%w: %T", ErrUnsupportedKey, pub)
	}
	switch name {
	case common.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256,
		common.PublicKeyDetails_PKIX_ECDSA_P384_SHA_384,
		common.PublicKeyDetails_PKIX_RSA_PKCS1V15_3072_SHA256,
		common.PublicKeyDetails_PKIX_RSA_PKCS1V15_4096_SHA256:
		return signature.GetAlgorithmDetails(name)
	}
	return signature.AlgorithmDetails{}, fmt.Errorf("%w: %s; use P-256, P-384, RSA-3072 or RSA-4096", ErrUnsupportedKey, name)
}

// Digester hashes a stream once for all digests that are needed. It is an io.Writer that never fails; it is not safe
// for concurrent use.
type Digester struct {
	hashes map[crypto.Hash]hash.Hash
	size   int64
}

// NewDigester returns a Digester for SHA-256, which names the artifact, and for the hashes that the keys need.
func NewDigester(keys ...crypto.PublicKey) (*Digester, error) {
	d := &Digester{hashes: map[crypto.Hash]hash.Hash{crypto.SHA256: crypto.SHA256.New()}}
	for _, pub := range keys {
		h, err := HashFor(pub)
		if err != nil {
			return nil, err
		}
		if d.hashes[h] == nil {
			d.hashes[h] = h.New()
		}
	}
	return d, nil
}

// Write hashes p.
func (d *Digester) Write(p []byte) (int, error) {
	for _, h := range d.hashes {
		h.Write(p)
	}
	d.size += int64(len(p))
	return len(p), nil
}

// Size is the number of bytes hashed so far.
func (d *Digester) Size() int64 { return d.size }

// Digests returns the digests of what was written so far.
func (d *Digester) Digests() Digests {
	sums := make(Digests, len(d.hashes))
	for name, h := range d.hashes {
		sums[name] = h.Sum(nil)
	}
	return sums
}
