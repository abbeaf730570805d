package seal

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// raw is the signature alone, as openssl dgst -verify takes it: ASN.1 DER for ECDSA, PKCS#1 v1.5 for RSA, over the
// digest of the key's hash. The file names neither key nor bytes, so every failure is ErrInvalid.
var raw = Format{
	Name: "raw", Suffix: ".sig", MediaType: "application/octet-stream",
	draft: draftRaw, verify: verifyRaw,
}

func draftRaw(pub crypto.PublicKey, d Digests) (draft, error) {
	h, err := HashFor(pub)
	if err != nil {
		return draft{}, err
	}
	digest, err := d.pick(h)
	if err != nil {
		return draft{}, err
	}
	return draft{digest: digest, finish: func(sig []byte) ([]byte, error) { return slices.Clone(sig), nil }}, nil
}

func verifyRaw(pub crypto.PublicKey, d Digests, content []byte) error {
	h, err := HashFor(pub)
	if err != nil {
		return err
	}
	digest, err := d.pick(h)
	if err != nil {
		return err
	}
	return verifySignature(pub, h, digest, content)
}

// verifySignature is stricter than the library in one point: an ECDSA signature must be DER. The library also takes
// the bare r‖s of PKCS#11, which openssl and other clients refuse.
func verifySignature(pub crypto.PublicKey, h crypto.Hash, digest, sig []byte) error {
	if _, ok := pub.(*ecdsa.PublicKey); ok {
		var rs struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(sig, &rs); err != nil || len(rest) > 0 {
			return fmt.Errorf("%w: not an ASN.1 DER signature of an ECDSA key", ErrInvalid)
		}
	}
	v, err := signature.LoadVerifier(pub, h)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	if err := v.VerifySignature(bytes.NewReader(sig), nil, options.WithDigest(digest)); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}
