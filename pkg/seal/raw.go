package seal

import (
	"crypto"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// raw is the signature alone, as openssl dgst -verify takes it: ASN.1 DER for ECDSA, PKCS#1 v1.5 for RSA, over the
// digest of the key's hash. The file names neither key nor bytes, so every failure is ErrInvalid.
var raw = Format{
	Name: "raw", Kinds: []artifact.Kind{artifact.KindFile}, Suffix: ".sig", MediaType: "application/octet-stream",
	draft: draftRaw, open: openRaw,
}

func draftRaw(k key, d Digests) (draft, error) {
	h, err := HashFor(k.public)
	if err != nil {
		return draft{}, err
	}
	digest, err := d.pick(h)
	if err != nil {
		return draft{}, err
	}
	return draft{digest: digest, finish: func(sig []byte, _ material) ([]byte, error) { return slices.Clone(sig), nil }}, nil
}

func openRaw(pub crypto.PublicKey, d Digests, content []byte) (claim, error) {
	h, err := HashFor(pub)
	if err != nil {
		return claim{}, err
	}
	digest, err := d.pick(h)
	if err != nil {
		return claim{}, err
	}
	return claim{hash: h, digest: digest, signature: content}, nil
}
