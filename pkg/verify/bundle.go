package verify

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"

	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// bundleTypes are the two spellings of version 0.3.
var bundleTypes = [...]string{"application/vnd.dev.sigstore.bundle.v0.3+json", "application/vnd.dev.sigstore.bundle+json;version=0.3"}

// readBundle takes a Sigstore bundle of version 0.3. What it says about logs and time-stamps is not judged here: with a
// pinned key nothing rests on them.
func readBundle(content []byte) (*bundle.Bundle, error) {
	b := new(bundle.Bundle)
	if err := protojson.Unmarshal(content, b); err != nil {
		return nil, fmt.Errorf("%w: %.200s", ErrMalformed, plainly(err))
	}
	if b.MediaType != bundleTypes[0] && b.MediaType != bundleTypes[1] {
		return nil, fmt.Errorf("%w: the media type is %.100q, expected %q", ErrMalformed, b.MediaType, bundleTypes[0])
	}
	if b.GetVerificationMaterial().GetContent() == nil {
		return nil, fmt.Errorf("%w: the bundle names no key", ErrMalformed)
	}
	return b, nil
}

// claimed refuses a bundle that says it was made with another key, in words or by the key in its certificate. A bundle
// need not say anything. Who issued the certificate is not judged here.
func (k key) claimed(b *bundle.Bundle) error {
	ours := base64.StdEncoding.EncodeToString(k.spki[:])
	switch said := b.VerificationMaterial.Content.(type) {
	case *bundle.VerificationMaterial_PublicKey:
		if hint := said.PublicKey.GetHint(); hint != "" && hint != ours {
			return fmt.Errorf("%w: the bundle names the key %.64q, the key here is %q", ErrWrongKey, hint, ours)
		}
		return nil
	case *bundle.VerificationMaterial_Certificate:
		if k.bare {
			return fmt.Errorf("%w: the bundle names a certificate, expected the hint of a key", ErrMalformed)
		}
		leaf, err := x509.ParseCertificate(said.Certificate.GetRawBytes())
		if err != nil {
			return fmt.Errorf("%w: the certificate cannot be read: %.200s", ErrMalformed, err.Error())
		}
		if sha256.Sum256(leaf.RawSubjectPublicKeyInfo) != k.spki {
			return fmt.Errorf("%w: the bundle's certificate is of another key, the key here is %s", ErrWrongKey, ours)
		}
		return nil
	default:
		return fmt.Errorf("%w: the bundle has a chain of certificates, expected one certificate or the hint of a key", ErrMalformed)
	}
}

// readSigstore: a bundle with a message signature, as cosign verify-blob --key takes it.
func readSigstore(k key, d Digests, content []byte) (proof, error) {
	b, err := readBundle(content)
	if err != nil {
		return proof{}, err
	}
	signed, ok := b.Content.(*bundle.Bundle_MessageSignature)
	switch {
	case b.GetDsseEnvelope() != nil:
		return proof{}, fmt.Errorf("%w: the bundle holds an attestation, expected a signature of the file", ErrMalformed)
	case !ok || signed.MessageSignature.GetMessageDigest() == nil:
		return proof{}, fmt.Errorf("%w: the bundle holds no signature with a digest", ErrMalformed)
	}
	if err := k.claimed(b); err != nil {
		return proof{}, err
	}
	digest, err := d.of(k.hash)
	if err != nil {
		return proof{}, err
	}
	said := signed.MessageSignature.MessageDigest
	if hashes[said.Algorithm] != k.hash {
		return proof{}, fmt.Errorf("%w: the digest is %s, this key signs %s", ErrMalformed, said.Algorithm, k.hash)
	}
	if !bytes.Equal(said.Digest, digest) {
		return proof{}, fmt.Errorf("%w: the bundle is for %.64x, the bytes are %x", ErrWrongBytes, said.Digest, digest)
	}
	return proof{signature: signed.MessageSignature.Signature, material: b.VerificationMaterial}, nil
}

// hashes are those that keys of ours sign with, as bundles name them.
var hashes = map[common.HashAlgorithm]crypto.Hash{
	common.HashAlgorithm_SHA2_256: crypto.SHA256,
	common.HashAlgorithm_SHA2_384: crypto.SHA384,
}

// readCosign: a bundle with a statement about an image, as cosign verify takes it from the image's referrers.
func readCosign(k key, d Digests, content []byte) (proof, error) {
	payload, p, err := readStatement(k, content)
	if err != nil {
		return proof{}, err
	}
	p.text, err = imageStatement.read(d, payload)
	return p, err
}

// readStatement takes a statement out of a bundle that does not say it was made with another key.
func readStatement(k key, content []byte) (payload []byte, p proof, err error) {
	b, err := readBundle(content)
	if err != nil {
		return nil, proof{}, err
	}
	e := b.GetDsseEnvelope()
	switch {
	case e == nil:
		return nil, proof{}, fmt.Errorf("%w: the bundle holds a signature of a file, expected a statement", ErrMalformed)
	case len(e.Signatures) != 1:
		return nil, proof{}, fmt.Errorf("%w: the envelope has %d signatures, expected one", ErrMalformed, len(e.Signatures))
	case e.PayloadType != statementMedia:
		return nil, proof{}, fmt.Errorf("%w: the payload is %.100q, expected %q", ErrMalformed, e.PayloadType, statementMedia)
	}
	return e.Payload, proof{signature: e.Signatures[0].GetSig(), material: b.VerificationMaterial}, k.claimed(b)
}
