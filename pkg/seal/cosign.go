package seal

import (
	"crypto"
	"fmt"

	bundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/protobuf-specs/gen/pb-go/dsse"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// cosignPredicate says that a statement is a signature of an image, no attestation about it.
const cosignPredicate = "https://sigstore.dev/cosign/sign/v1"

// cosign is a Sigstore bundle, version 0.3, as cosign verify takes it from an image's referrers: a DSSE envelope around
// an in-toto statement that names the manifest by its SHA-256. The statement has neither the image's name nor a time, so
// one serves wherever the manifest goes. The key signs the envelope's pre-authentication text, hashed with its own
// hash; no other digest of the manifest than SHA-256 is needed. Certificate or hint: as in the format sigstore.
var cosign = Format{
	Name: "cosign", Kinds: []artifact.Kind{artifact.KindImage}, MediaType: sigstoreType,
	draft: draftCosign(byCertificate), open: openCosign(byCertificate), hint: hintCosign,
}

// cosignKey is the same around the same signature, for cosign verify --key, which takes no certificate.
var cosignKey = Format{
	Name: "cosign-key", Kinds: []artifact.Kind{artifact.KindImage}, MediaType: sigstoreType,
	draft: draftCosign(byKey), open: openCosign(byKey), hint: hintCosign,
}

func draftCosign(n naming) func(k key, d Digests) (draft, error) {
	return func(k key, d Digests) (draft, error) {
		subject, err := subjectOf(d)
		if err != nil {
			return draft{}, err
		}
		payload, err := newStatement(subject, cosignPredicate, "{}")
		if err != nil {
			return draft{}, err
		}
		return draftStatement(k, n, payload)
	}
}

// draftStatement is a bundle around a statement.
func draftStatement(k key, n naming, payload []byte) (draft, error) {
	h, err := HashFor(k.public)
	if err != nil {
		return draft{}, err
	}
	hint, err := keyHint(k.public)
	if err != nil {
		return draft{}, err
	}
	return draft{digest: statementDigest(h, payload), naming: n, finish: func(sig []byte, m material) ([]byte, error) {
		return marshalBundle(&bundle.Bundle{
			MediaType: sigstoreType, VerificationMaterial: m.around(hint),
			Content: &bundle.Bundle_DsseEnvelope{DsseEnvelope: &dsse.Envelope{
				Payload: payload, PayloadType: inTotoType, Signatures: []*dsse.Signature{{Sig: sig}},
			}},
		})
	}}, nil
}

func openCosign(n naming) func(crypto.PublicKey, Digests, []byte) (claim, error) {
	return func(pub crypto.PublicKey, d Digests, content []byte) (claim, error) {
		return openStatement(pub, d, content, n, func(payload []byte, subject artifact.Digest) error {
			return checkStatement(payload, subject, cosignPredicate, "{}")
		})
	}
}

// openStatement reads a bundle around a statement that passes the check. It asks for the key before the bytes, as
// openSigstore does.
func openStatement(pub crypto.PublicKey, d Digests, content []byte, n naming, check func(payload []byte, subject artifact.Digest) error) (claim, error) {
	h, err := HashFor(pub)
	if err != nil {
		return claim{}, err
	}
	b, err := parseBundle(content)
	if err != nil {
		return claim{}, err
	}
	envelope := b.GetDsseEnvelope()
	switch {
	case envelope == nil:
		return claim{}, fmt.Errorf("%w: the bundle holds a signature of a file, expected a statement", ErrMalformed)
	case len(envelope.GetSignatures()) != 1:
		return claim{}, fmt.Errorf("%w: the envelope has %d signatures, expected one", ErrMalformed, len(envelope.GetSignatures()))
	case envelope.GetPayloadType() != inTotoType:
		return claim{}, fmt.Errorf("%w: the payload is %.100q, expected %q", ErrMalformed, envelope.GetPayloadType(), inTotoType)
	}
	if err := madeWith(pub, b, n); err != nil {
		return claim{}, err
	}
	subject, err := subjectOf(d)
	if err != nil {
		return claim{}, err
	}
	if err := check(envelope.GetPayload(), subject); err != nil {
		return claim{}, err
	}
	return claim{hash: h, digest: statementDigest(h, envelope.GetPayload()), signature: envelope.GetSignatures()[0].GetSig()}, nil
}

func hintCosign(content []byte) (artifact.Digest, bool) {
	b, err := parseBundle(content)
	if err != nil || b.GetDsseEnvelope() == nil {
		return artifact.Digest{}, false
	}
	return hintIn(b)
}
