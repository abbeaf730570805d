package seal

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// sigstoreType is the media type of a bundle of version 0.3; readers also meet the older spelling of the same version.
const (
	sigstoreType    = "application/vnd.dev.sigstore.bundle.v0.3+json"
	sigstoreTypeOld = "application/vnd.dev.sigstore.bundle+json;version=0.3"
)

// sigstore is a Sigstore bundle, version 0.3, as cosign verify-blob takes it: a message signature with the certificate of
// the key where there is one, else with the hint of the public key. The signature inside is the same as the raw format's.
var sigstore = Format{
	Name: "sigstore", Kinds: []artifact.Kind{artifact.KindFile}, Suffix: ".sigstore.json", MediaType: sigstoreType,
	draft: draftSigstore(byCertificate), open: openSigstore(byCertificate), hint: hintSigstore,
}

// sigstoreKey is the same around the same signature, for cosign verify-blob --key, which takes no certificate.
var sigstoreKey = Format{
	Name: "sigstore-key", Kinds: []artifact.Kind{artifact.KindFile}, Suffix: ".sigstore-key.json", MediaType: sigstoreType, Seldom: true,
	draft: draftSigstore(byKey), open: openSigstore(byKey), hint: hintSigstore,
}

func draftSigstore(n naming) func(k key, d Digests) (draft, error) {
	return func(k key, d Digests) (draft, error) {
		details, err := detailsFor(k.public)
		if err != nil {
			return draft{}, err
		}
		digest, err := d.pick(details.GetHashType())
		if err != nil {
			return draft{}, err
		}
		hint, err := keyHint(k.public)
		if err != nil {
			return draft{}, err
		}
		return draft{digest: digest, naming: n, finish: func(sig []byte, m material) ([]byte, error) {
			return marshalBundle(&bundle.Bundle{
				MediaType: sigstoreType, VerificationMaterial: m.around(hint),
				Content: &bundle.Bundle_MessageSignature{MessageSignature: &common.MessageSignature{
					MessageDigest: &common.HashOutput{Algorithm: details.GetProtoHashType(), Digest: digest},
					Signature:     sig,
				}},
			})
		}}, nil
	}
}

// around is the material as bundles carry it; hint names the key where no certificate does.
func (m material) around(hint string) *bundle.VerificationMaterial {
	v := &bundle.VerificationMaterial{
		Content: &bundle.VerificationMaterial_PublicKey{PublicKey: &common.PublicKeyIdentifier{Hint: hint}},
	}
	if m.certificate != nil {
		v.Content = &bundle.VerificationMaterial_Certificate{Certificate: &common.X509Certificate{RawBytes: m.certificate}}
	}
	if m.entry != nil {
		v.TlogEntries = []*rekor.TransparencyLogEntry{m.entry}
	}
	if m.token != nil {
		v.TimestampVerificationData = &bundle.TimestampVerificationData{
			Rfc3161Timestamps: []*common.RFC3161SignedTimestamp{{SignedTimestamp: m.token}},
		}
	}
	return v
}

// marshalBundle returns the same bytes for the same bundle: protojson adds blanks at random, on purpose.
func marshalBundle(b *bundle.Bundle) ([]byte, error) {
	loose, err := protojson.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encoding the bundle: %w", err)
	}
	var tight bytes.Buffer
	tight.Grow(len(loose))
	if err := json.Compact(&tight, loose); err != nil {
		return nil, fmt.Errorf("encoding the bundle: %w", err)
	}
	return tight.Bytes(), nil
}

// openSigstore asks for the key before the bytes, so that a caller who tries several keys learns from the right one.
func openSigstore(n naming) func(crypto.PublicKey, Digests, []byte) (claim, error) {
	return func(pub crypto.PublicKey, d Digests, content []byte) (claim, error) {
		details, err := detailsFor(pub)
		if err != nil {
			return claim{}, err
		}
		b, err := parseFileBundle(content)
		if err != nil {
			return claim{}, err
		}
		if err := madeWith(pub, b, n); err != nil {
			return claim{}, err
		}
		digest, err := d.pick(details.GetHashType())
		if err != nil {
			return claim{}, err
		}
		said := b.GetMessageSignature().GetMessageDigest()
		if said.GetAlgorithm() != details.GetProtoHashType() {
			return claim{}, fmt.Errorf("%w: the digest is %s, this key signs %s", ErrMalformed, said.GetAlgorithm(), details.GetProtoHashType())
		}
		if !bytes.Equal(said.GetDigest(), digest) {
			return claim{}, fmt.Errorf("%w: the bundle is for %.64x, the bytes are %x", ErrWrongBytes, said.GetDigest(), digest)
		}
		return claim{hash: details.GetHashType(), digest: digest, signature: b.GetMessageSignature().GetSignature()}, nil
	}
}

// madeWith refuses a bundle that says it was made with another key, be it in words or by the key in its certificate. Who
// issued the certificate, and what log and time say, is not looked at: the key is pinned. A format that names the bare key
// has no certificate.
func madeWith(pub crypto.PublicKey, b *bundle.Bundle, n naming) error {
	want, err := keyHint(pub)
	if err != nil {
		return err
	}
	switch said := b.GetVerificationMaterial().GetContent().(type) {
	case *bundle.VerificationMaterial_PublicKey:
		if hint := said.PublicKey.GetHint(); hint != "" && hint != want {
			return fmt.Errorf("%w: the bundle names the key %.64q, the key here is %q", ErrWrongKey, hint, want)
		}
		return nil
	case *bundle.VerificationMaterial_Certificate:
		if n != byCertificate {
			return fmt.Errorf("%w: the bundle has a certificate, expected the hint of a key", ErrMalformed)
		}
		spki, err := spkiOf(said.Certificate.GetRawBytes())
		if err != nil {
			return fmt.Errorf("%w: %.200s", ErrMalformed, err.Error())
		}
		if key := base64.StdEncoding.EncodeToString(spki[:]); key != want {
			return fmt.Errorf("%w: the bundle's certificate is of the key %q, the key here is %q", ErrWrongKey, key, want)
		}
		return nil
	}
	return fmt.Errorf("%w: the bundle has a chain of certificates, expected one certificate or the hint of a key", ErrMalformed)
}

// parseFileBundle reads a bundle that holds a message signature.
func parseFileBundle(content []byte) (*bundle.Bundle, error) {
	b, err := parseBundle(content)
	switch {
	case err != nil:
		return nil, err
	case b.GetDsseEnvelope() != nil:
		return nil, fmt.Errorf("%w: the bundle holds an attestation, expected a signature of the file", ErrMalformed)
	case b.GetMessageSignature().GetMessageDigest() == nil:
		return nil, fmt.Errorf("%w: the bundle holds no signature with a digest", ErrMalformed)
	}
	return b, nil
}

// parseBundle reads a bundle of version 0.3 that names a key.
func parseBundle(content []byte) (*bundle.Bundle, error) {
	b := &bundle.Bundle{}
	if err := protojson.Unmarshal(content, b); err != nil {
		return nil, fmt.Errorf("%w: %.200s", ErrMalformed, plain(err))
	}
	if t := b.GetMediaType(); t != sigstoreType && t != sigstoreTypeOld {
		return nil, fmt.Errorf("%w: the media type is %.100q, expected %q", ErrMalformed, t, sigstoreType)
	}
	if b.GetVerificationMaterial().GetContent() == nil {
		return nil, fmt.Errorf("%w: the bundle names no key", ErrMalformed)
	}
	return b, nil
}

// plain is the text of a protojson error without its prefix, whose blank changes from build to build.
func plain(err error) string {
	return strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
}

// keyHint is base64 of the SHA-256 of the SubjectPublicKeyInfo, as cosign writes it.
func keyHint(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrUnsupportedKey, err)
	}
	spki := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(spki[:]), nil
}

func hintSigstore(content []byte) (artifact.Digest, bool) {
	b, err := parseFileBundle(content)
	if err != nil {
		return artifact.Digest{}, false
	}
	return hintIn(b)
}

// hintIn is the SHA-256 of the SubjectPublicKeyInfo that the bundle names.
func hintIn(b *bundle.Bundle) (artifact.Digest, bool) {
	var d artifact.Digest
	if c := b.GetVerificationMaterial().GetCertificate(); c != nil {
		spki, err := spkiOf(c.GetRawBytes())
		return spki, err == nil
	}
	hint, err := base64.StdEncoding.DecodeString(b.GetVerificationMaterial().GetPublicKey().GetHint())
	if err != nil || len(hint) != len(d) {
		return d, false
	}
	copy(d[:], hint)
	return d, true
}
