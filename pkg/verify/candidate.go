package verify

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
)

// candidate is a key that may have signed.
type candidate struct {
	key
	pinned *Key // nil: only a certificate speaks for it
}

// candidates lists the keys that may have signed: the certificate's, the one that is named, else every pinned one.
func (t Trust) candidates(format string, content []byte) ([]candidate, *x509.Certificate, error) {
	named, leaf, err := names(format, content)
	if err != nil {
		return nil, nil, err
	}
	var out []candidate
	var only *Key
	for i := range t.Keys {
		k, err := pinned(t.Keys[i].Public)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case named != nil && *named != k.spki:
		case t.Keys[i].OnlyCertified && (leaf == nil || t.Root == nil):
			only = &t.Keys[i]
		default:
			out = append(out, candidate{k, &t.Keys[i]})
		}
	}
	switch {
	case len(out) == 0 && leaf != nil && t.Root != nil && len(t.Identities) > 0:
		k, err := pinned(leaf.PublicKey)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
		}
		return []candidate{{key: k}}, leaf, nil
	case len(out) > 0:
		return out, leaf, nil
	case only != nil:
		return nil, nil, fmt.Errorf("%w: %s counts only with a certificate, for nothing but the root is vouched for", ErrWrongKey, only.name())
	case named != nil:
		return nil, nil, fmt.Errorf("%w: the file names the key sha256:%x, which is none of those that are believed", ErrWrongKey, *named)
	}
	return nil, nil, fmt.Errorf("%w: the file names no key, and none is pinned that could have made it", ErrWrongKey)
}

// names tells which key a file says it was made with: the SHA-256 of its SubjectPublicKeyInfo, nil when it does not say, and
// its certificate.
func names(format string, content []byte) (*[32]byte, *x509.Certificate, error) {
	if !bundled[format] {
		return nil, nil, nil
	}
	b, err := readBundle(content)
	if err != nil {
		return nil, nil, err
	}
	return namedIn(b)
}

// made is a signature that verifies, and what came with it.
type made struct {
	candidate
	proof
	digest []byte // that was signed
}

// made verifies the signature alone.
func (c candidate) made(format string, d Digests, content []byte) (made, error) {
	p, err := formats[format](c.key, d, content)
	if err != nil {
		return made{}, err
	}
	digest, err := p.digest(c.key, d)
	if err != nil {
		return made{}, err
	}
	if err := c.verify(digest, p.signature); err != nil {
		return made{}, err
	}
	return made{c, p, digest}, nil
}

// namedIn is names of a bundle.
func namedIn(b *bundle.Bundle) (*[32]byte, *x509.Certificate, error) {
	switch said := b.VerificationMaterial.Content.(type) {
	case *bundle.VerificationMaterial_PublicKey:
		return hinted(said.PublicKey.GetHint()), nil, nil
	case *bundle.VerificationMaterial_Certificate:
		leaf, err := x509.ParseCertificate(said.Certificate.GetRawBytes())
		if err != nil {
			return nil, nil, fmt.Errorf("%w: the certificate cannot be read: %.200s", ErrMalformed, err.Error())
		}
		spki := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
		return &spki, leaf, nil
	}
	return nil, nil, fmt.Errorf("%w: the bundle has a chain of certificates, expected one certificate or the hint of a key", ErrMalformed)
}

// hinted is the key that a hint names in our way; nil for any other hint.
func hinted(hint string) *[32]byte {
	raw, err := base64.StdEncoding.DecodeString(hint)
	if err != nil || len(raw) != sha256.Size {
		return nil
	}
	return (*[32]byte)(raw)
}
