package seal

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// claim is what a file comes down to once all of it but the signature has been checked: this signature is over this
// digest. The digest is the caller's own, or that of a text in the file that was seen to be about the caller's.
type claim struct {
	hash      crypto.Hash
	digest    []byte
	signature []byte
}

// Verify returns nil only if content is a file of this format whose signature verifies under pub over the caller's own
// digest. What the file says about itself is used to name the cause of a refusal, never to allow. The error wraps one of
// ErrMalformed, ErrWrongKey, ErrWrongBytes and ErrInvalid, which are about the file, or ErrNoDigest and
// ErrUnsupportedKey, which are about the question. Content is untrusted and may be anything.
func (f Format) Verify(pub crypto.PublicKey, d Digests, content []byte) error {
	c, err := f.claim(pub, d, content)
	if err == nil {
		err = verifySignature(pub, c)
	}
	if err != nil {
		return fmt.Errorf("verifying as %s: %w", f.Name, err)
	}
	return nil
}

// VerifyAll is Verify for the files that one SealAll made, keyed by the format's name. A signature that several files
// share is verified once.
func VerifyAll(pub crypto.PublicKey, d Digests, files map[string][]byte) error {
	verified := make(map[string]bool, len(files))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, ok := Lookup(name)
		if !ok {
			return fmt.Errorf("verifying as %q: not a format", name)
		}
		c, err := f.claim(pub, d, files[name])
		if same := fmt.Sprintf("%d:%x:%x", c.hash, c.digest, c.signature); err == nil && !verified[same] {
			err = verifySignature(pub, c)
			verified[same] = err == nil
		}
		if err != nil {
			return fmt.Errorf("verifying as %s: %w", name, err)
		}
	}
	return nil
}

// claim bounds the file and takes it apart.
func (f Format) claim(pub crypto.PublicKey, d Digests, content []byte) (claim, error) {
	switch {
	case f.open == nil:
		return claim{}, errors.New("not a format")
	case len(content) == 0:
		return claim{}, fmt.Errorf("%w: the file is empty", ErrMalformed)
	case len(content) > MaxSize:
		return claim{}, fmt.Errorf("%w: more than %d bytes", ErrMalformed, MaxSize)
	}
	return f.open(pub, d, content)
}

// verifySignature is stricter than the library in one point: an ECDSA signature must be DER. The library also takes
// the bare r‖s of PKCS#11, which openssl and other clients refuse.
func verifySignature(pub crypto.PublicKey, c claim) error {
	if _, ok := pub.(*ecdsa.PublicKey); ok {
		var rs struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(c.signature, &rs); err != nil || len(rest) > 0 {
			return fmt.Errorf("%w: not an ASN.1 DER signature of an ECDSA key", ErrInvalid)
		}
	}
	v, err := signature.LoadVerifier(pub, c.hash)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	if err := v.VerifySignature(bytes.NewReader(c.signature), nil, options.WithDigest(c.digest)); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}
