package seal

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// simpleSigningType is what a simple-signing text says of itself.
const simpleSigningType = "cosign container image signature"

// cosignTag is the older way of cosign, for registries without referrers: a simple-signing text and its signature, a
// layer and the layer's annotation in the image that stands at the tag sha256-<hex>.sig. The text names the manifest by
// its SHA-256 and leaves the image's name empty, so one serves wherever the manifest goes. The key signs the text,
// hashed with its own hash. The content says nothing about the key: another's is ErrInvalid.
//
// The content here is {"payload": the text, "signature": its signature}, each in base64; only the edge to the registry
// takes it apart.
var cosignTag = Format{
	Name: "cosign-tag", Kinds: []artifact.Kind{artifact.KindImage}, MediaType: "application/json",
	draft: draftCosignTag, open: openCosignTag,
}

type taggedSignature struct {
	Payload   []byte `json:"payload"`
	Signature []byte `json:"signature"`
}

// simpleSigning is the text. Its form is described at
// https://github.com/containers/image/blob/main/docs/containers-signature.5.md.
type simpleSigning struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]string `json:"optional"`
}

func newSimpleSigning(subject artifact.Digest) ([]byte, error) {
	var text simpleSigning
	text.Critical.Image.Digest, text.Critical.Type = "sha256:"+subject.String(), simpleSigningType
	payload, err := json.Marshal(text)
	if err != nil {
		return nil, fmt.Errorf("encoding the text to sign: %w", err)
	}
	return payload, nil
}

// checkSimpleSigning returns nil only for the very bytes that newSimpleSigning makes, as checkStatement does.
func checkSimpleSigning(payload []byte, subject artifact.Digest) error {
	want, err := newSimpleSigning(subject)
	if err != nil || bytes.Equal(payload, want) {
		return err
	}
	var said simpleSigning
	if err := json.Unmarshal(payload, &said); err != nil {
		return fmt.Errorf("%w: the payload is no simple-signing text: %.200s", ErrMalformed, err.Error())
	}
	switch {
	case said.Critical.Type != simpleSigningType:
		return fmt.Errorf("%w: the text is of type %.100q, expected %q", ErrMalformed, said.Critical.Type, simpleSigningType)
	case said.Critical.Image.Digest != "sha256:"+subject.String():
		return fmt.Errorf("%w: the text is about %.80q, the manifest is sha256:%s", ErrWrongBytes, said.Critical.Image.Digest, subject)
	}
	return fmt.Errorf("%w: the text says more, or in other words, than this product does", ErrMalformed)
}

func draftCosignTag(k key, d Digests) (draft, error) {
	h, err := HashFor(k.public)
	if err != nil {
		return draft{}, err
	}
	subject, err := subjectOf(d)
	if err != nil {
		return draft{}, err
	}
	payload, err := newSimpleSigning(subject)
	if err != nil {
		return draft{}, err
	}
	return draft{digest: hashed(h, payload), finish: func(sig []byte, _ material) ([]byte, error) {
		return json.Marshal(taggedSignature{Payload: payload, Signature: sig})
	}}, nil
}

func openCosignTag(pub crypto.PublicKey, d Digests, content []byte) (claim, error) {
	h, err := HashFor(pub)
	if err != nil {
		return claim{}, err
	}
	subject, err := subjectOf(d)
	if err != nil {
		return claim{}, err
	}
	var s taggedSignature
	if err := json.Unmarshal(content, &s); err != nil {
		return claim{}, fmt.Errorf("%w: no payload with a signature: %.200s", ErrMalformed, err.Error())
	}
	if err := checkSimpleSigning(s.Payload, subject); err != nil {
		return claim{}, err
	}
	return claim{hash: h, digest: hashed(h, s.Payload), signature: s.Signature}, nil
}

func hashed(h crypto.Hash, text []byte) []byte {
	sum := h.New()
	sum.Write(text) // a hash never returns an error
	return sum.Sum(nil)
}
