package trust

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	rekorv1 "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"
)

const bundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Bounds of a bundle that is read. Those that Hallmark makes have about 6 kB, one log entry and one time-stamp.
const (
	maxBundle     = 1 << 20
	maxEntries    = 4
	maxTokens     = 4
	maxBody       = 64 << 10 // of a log entry: no log holds more
	maxHashes     = 64       // of an inclusion proof
	maxCheckpoint = 16 << 10
	maxLeaf       = 16 << 10
)

// entity is a bundle that was read: everything that will be looked at, within bounds.
type entity struct {
	bundle    *bundle.Bundle
	leaf      *x509.Certificate // nil: a key hint
	signature []byte
	entries   []*rekorv1.TransparencyLogEntry
	tokens    [][]byte
}

func readEntity(content []byte) (*entity, error) {
	if len(content) > maxBundle {
		return nil, fmt.Errorf("%w: %d bytes, over %d", ErrMalformed, len(content), maxBundle)
	}
	p := &bundlev1.Bundle{}
	if err := protojson.Unmarshal(content, p); err != nil {
		return nil, fmt.Errorf("%w: not a Sigstore bundle in JSON: %w", ErrMalformed, err)
	}
	e := &entity{}
	if err := e.take(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return e, nil
}

func (e *entity) take(p *bundlev1.Bundle) error {
	if p.GetMediaType() != bundleMediaType {
		return fmt.Errorf("the mediaType is %.80q, expected %q", p.GetMediaType(), bundleMediaType)
	}
	m := p.GetVerificationMaterial()
	e.entries = m.GetTlogEntries()
	if len(e.entries) > maxEntries {
		return fmt.Errorf("%d log entries, over %d", len(e.entries), maxEntries)
	}
	for i, entry := range e.entries {
		if err := takeEntry(entry); err != nil {
			return fmt.Errorf("log entry %d: %w", i+1, err)
		}
	}
	stamps := m.GetTimestampVerificationData().GetRfc3161Timestamps()
	if len(stamps) > maxTokens {
		return fmt.Errorf("%d time-stamps, over %d", len(stamps), maxTokens)
	}
	for _, s := range stamps {
		e.tokens = append(e.tokens, s.GetSignedTimestamp())
	}
	var err error
	switch c := m.GetContent().(type) {
	case *bundlev1.VerificationMaterial_PublicKey:
	case *bundlev1.VerificationMaterial_Certificate:
		if n := len(c.Certificate.GetRawBytes()); n > maxLeaf {
			return fmt.Errorf("a certificate of %d bytes, over %d", n, maxLeaf)
		}
		if e.leaf, err = x509.ParseCertificate(c.Certificate.GetRawBytes()); err != nil {
			return fmt.Errorf("the certificate cannot be read: %w", err)
		}
	default:
		return fmt.Errorf("it has neither a certificate nor a key hint (%T)", c)
	}
	switch c := p.GetContent().(type) {
	case *bundlev1.Bundle_MessageSignature:
		e.signature = c.MessageSignature.GetSignature()
		if c.MessageSignature.GetMessageDigest().GetAlgorithm() == commonv1.HashAlgorithm_HASH_ALGORITHM_UNSPECIFIED {
			return errors.New("the signature names no digest")
		}
	case *bundlev1.Bundle_DsseEnvelope:
		if n := len(c.DsseEnvelope.GetSignatures()); n != 1 {
			return fmt.Errorf("%d signatures in the envelope, expected one", n)
		}
		e.signature = c.DsseEnvelope.GetSignatures()[0].GetSig()
	}
	if len(e.signature) == 0 {
		return errors.New("it has no signature")
	}
	if e.bundle, err = bundle.NewBundle(p); err != nil {
		return err
	}
	return nil
}

// takeEntry refuses what the logs of Hallmark have no part in: other kinds of entries, promises and times of a log.
func takeEntry(t *rekorv1.TransparencyLogEntry) error {
	proof := t.GetInclusionProof()
	switch k := t.GetKindVersion(); {
	case k.GetKind() != "hashedrekord" || k.GetVersion() != "0.0.2":
		return fmt.Errorf("of the kind %.40q, version %.40q; expected hashedrekord 0.0.2", k.GetKind(), k.GetVersion())
	case t.GetIntegratedTime() != 0:
		return errors.New("it states a time, which nobody vouches for")
	case t.GetInclusionPromise() != nil:
		return errors.New("it has a promise; a proof is what counts")
	case proof == nil || proof.GetCheckpoint().GetEnvelope() == "":
		return errors.New("it has no proof with a checkpoint")
	case len(t.GetCanonicalizedBody()) == 0 || len(t.GetCanonicalizedBody()) > maxBody:
		return fmt.Errorf("a body of %d bytes; expected 1 to %d", len(t.GetCanonicalizedBody()), maxBody)
	case len(proof.GetHashes()) > maxHashes:
		return fmt.Errorf("a proof of %d hashes, over %d", len(proof.GetHashes()), maxHashes)
	case len(proof.GetCheckpoint().GetEnvelope()) > maxCheckpoint:
		return fmt.Errorf("a checkpoint of %d bytes, over %d", len(proof.GetCheckpoint().GetEnvelope()), maxCheckpoint)
	case t.GetLogIndex() < 0:
		return fmt.Errorf("the index %d", t.GetLogIndex())
	}
	return nil
}

// checkSignature holds the signature against key and digest.
func (e *entity) checkSignature(material root.TrustedMaterial, digest []byte) error {
	algorithm, ok := map[int]string{32: "sha256", 48: "sha384", 64: "sha512"}[len(digest)]
	if !ok {
		return fmt.Errorf("%w: a digest of %d bytes", ErrUnsupported, len(digest))
	}
	content, err := e.bundle.SignatureContent()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	holder, err := e.bundle.VerificationContent()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	wrong := ErrWrongBytes
	if m := content.MessageSignatureContent(); m != nil {
		if !bytes.Equal(m.Digest(), digest) {
			return fmt.Errorf("%w: it is about %s %x", ErrWrongBytes, m.DigestAlgorithm(), m.Digest())
		}
		wrong = ErrSignature
	} else if err := verify.VerifySignature(content, holder, material); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	if err := verify.VerifySignatureWithArtifactDigests(content, holder, material, []verify.ArtifactDigest{{Algorithm: algorithm, Digest: digest}}); err != nil {
		return fmt.Errorf("%w: %w", wrong, err)
	}
	return nil
}
