package verify

import (
	"crypto"
	_ "crypto/sha512" // SHA-384, for P-384 keys
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Digests holds digests of one artifact's bytes, one per hash. SHA-256, which names the artifact, is always needed; for a
// file and a P-384 key SHA-384, too.
type Digests map[crypto.Hash][]byte

// Hash reads bytes to their end, once, for SHA-256 and for the hashes that the keys sign with.
func Hash(r io.Reader, keys ...crypto.PublicKey) (Digests, error) {
	sums := map[crypto.Hash]hash.Hash{crypto.SHA256: crypto.SHA256.New()}
	for _, pub := range keys {
		k, err := pinned(pub)
		if err != nil {
			return nil, err
		}
		if sums[k.hash] == nil {
			sums[k.hash] = k.hash.New()
		}
	}
	var all []io.Writer
	for h := range maps.Values(sums) {
		all = append(all, h)
	}
	if _, err := io.Copy(io.MultiWriter(all...), r); err != nil {
		return nil, err
	}
	d := make(Digests, len(sums))
	for name, h := range sums {
		d[name] = h.Sum(nil)
	}
	return d, nil
}

// SHA256 returns the digest that names the artifact; zero if there is none.
func (d Digests) SHA256() artifact.Digest {
	var v artifact.Digest
	if len(d[crypto.SHA256]) == len(v) {
		copy(v[:], d[crypto.SHA256])
	}
	return v
}

func (d Digests) of(h crypto.Hash) ([]byte, error) {
	if n := len(d[h]); n != h.Size() {
		return nil, fmt.Errorf("%w: %s has %d bytes, %d were given", ErrNoDigest, h, h.Size(), n)
	}
	return slices.Clone(d[h]), nil
}

// Hash is the function Hash for the pinned keys and for those of the certificates in signature files, whoever issued them.
func (t Trust) Hash(r io.Reader, signatures ...[]byte) (Digests, error) {
	var keys []crypto.PublicKey
	for _, k := range t.Keys {
		keys = append(keys, k.Public)
	}
	for _, content := range signatures {
		if len(content) > MaxSize {
			continue
		}
		b, err := readBundle(content)
		if err != nil {
			continue
		}
		if _, leaf, err := namedIn(b); err == nil && leaf != nil {
			if _, err := pinned(leaf.PublicKey); err == nil {
				keys = append(keys, leaf.PublicKey)
			}
		}
	}
	return Hash(r, keys...)
}
