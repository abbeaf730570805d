package seal

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// EvidencePredicate is the predicate type of our evidence, by which people and policies find it in Artifactory.
const EvidencePredicate = "https://github.com/hallmark-signing/hallmark/signature/v1"

// evidenceResult is the predicate: that the bytes are signed is all there is to say. Place and time would make two
// signatures of one.
const evidenceResult = `{"result":"signed"}`

// evidence is what JFrog's evidence service keeps of a release bundle: a DSSE envelope with one signature over an
// in-toto statement. keyid is the key's configured name: JFrog looks its trusted key up under that alias. Nobody has
// signed keyid, so nothing is concluded from it here.
var evidence = Format{
	Name: "evidence", Kinds: []artifact.Kind{artifact.KindBundle}, MediaType: "application/vnd.dsse.envelope.v1+json",
	draft: draftEvidence, open: openEvidence,
}

type envelope struct {
	Payload     []byte              `json:"payload"`
	PayloadType string              `json:"payloadType"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

func draftEvidence(k key, d Digests) (draft, error) {
	h, err := HashFor(k.public)
	if err != nil {
		return draft{}, err
	}
	if err := CheckKeyName(k.name); err != nil {
		return draft{}, fmt.Errorf("evidence names its key: %w", err)
	}
	subject, err := subjectOf(d)
	if err != nil {
		return draft{}, err
	}
	payload, err := newStatement(subject, EvidencePredicate, evidenceResult)
	if err != nil {
		return draft{}, err
	}
	return draft{digest: statementDigest(h, payload), finish: func(sig []byte, _ material) ([]byte, error) {
		return json.Marshal(envelope{
			Payload: payload, PayloadType: inTotoType,
			Signatures: []envelopeSignature{{KeyID: k.name, Sig: base64.StdEncoding.EncodeToString(sig)}},
		})
	}}, nil
}

func openEvidence(pub crypto.PublicKey, d Digests, content []byte) (claim, error) {
	h, err := HashFor(pub)
	if err != nil {
		return claim{}, err
	}
	subject, err := subjectOf(d)
	if err != nil {
		return claim{}, err
	}
	e, sig, err := readEnvelope(content)
	if err != nil {
		return claim{}, err
	}
	if err := checkStatement(e.Payload, subject, EvidencePredicate, evidenceResult); err != nil {
		return claim{}, err
	}
	return claim{hash: h, digest: statementDigest(h, e.Payload), signature: sig}, nil
}

// readEnvelope takes members that it does not know: a service may add some around what was signed. More than one
// signature is refused: JFrog's tools demand that every one of them verifies.
func readEnvelope(content []byte) (envelope, []byte, error) {
	var e envelope
	if err := json.Unmarshal(content, &e); err != nil {
		return e, nil, fmt.Errorf("%w: no DSSE envelope: %.200s", ErrMalformed, err.Error())
	}
	switch {
	case len(e.Payload) == 0 || e.PayloadType != inTotoType:
		return e, nil, fmt.Errorf("%w: the envelope has %d bytes of type %.100q, expected a statement of type %q", ErrMalformed, len(e.Payload), e.PayloadType, inTotoType)
	case len(e.Signatures) != 1:
		return e, nil, fmt.Errorf("%w: the envelope has %d signatures, expected 1", ErrMalformed, len(e.Signatures))
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	if err != nil {
		return e, nil, fmt.Errorf("%w: the signature is not base64", ErrMalformed)
	}
	return e, sig, nil
}
