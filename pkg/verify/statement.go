package verify

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

const (
	statementMedia = "application/vnd.in-toto+json"
	statementType  = "https://in-toto.io/Statement/v1"
)

// statement is one of the two in-toto statements that Hallmark makes always in the same words: what a key of ours did not
// sign in these words is not for us to interpret.
type statement struct{ predicateType, predicate string }

var (
	imageStatement  = statement{"https://sigstore.dev/cosign/sign/v1", `{}`}
	bundleStatement = statement{"https://github.com/hallmark-signing/hallmark/signature/v1", `{"result":"signed"}`}
)

// words are the statement about one digest, to the byte.
func (s statement) words(sha256 string) string {
	return `{"_type":"` + statementType + `","subject":[{"digest":{"sha256":"` + sha256 + `"}}],"predicateType":"` + s.predicateType + `","predicate":` + s.predicate + `}`
}

// read refuses every payload but the very statement about the caller's bytes, and returns what a DSSE signature of it is
// over.
func (s statement) read(d Digests, payload []byte) (signed []byte, err error) {
	digest, err := d.of(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	if named := hex.EncodeToString(digest); string(payload) != s.words(named) {
		return nil, s.complain(payload, named)
	}
	return dsse.PAE(statementMedia, payload), nil
}

// complain says what is wrong with a statement that is not in our words.
func (s statement) complain(payload []byte, named string) error {
	var said struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return fmt.Errorf("%w: the payload is no in-toto statement: %.200s", ErrMalformed, err.Error())
	}
	switch {
	case said.Type != statementType:
		return fmt.Errorf("%w: the statement's type is %.100q, expected %q", ErrMalformed, said.Type, statementType)
	case said.PredicateType != s.predicateType:
		return fmt.Errorf("%w: the statement's predicate is %.100q, expected %q", ErrMalformed, said.PredicateType, s.predicateType)
	case len(said.Subject) != 1:
		return fmt.Errorf("%w: the statement has %d subjects, expected 1", ErrMalformed, len(said.Subject))
	case said.Subject[0].Digest["sha256"] != named:
		return fmt.Errorf("%w: the statement is about %.64q, the bytes are %s", ErrWrongBytes, said.Subject[0].Digest["sha256"], named)
	}
	return fmt.Errorf("%w: the statement says more, or in other words, than Hallmark does", ErrMalformed)
}

// readEvidence: the DSSE envelope that JFrog's evidence service keeps of a release bundle. It may have members that are not
// known here, which a service adds. The keyid in it is signed by nobody, so it is not looked at.
func readEvidence(_ key, d Digests, content []byte) (proof, error) {
	if _, err := d.of(crypto.SHA256); err != nil {
		return proof{}, err
	}
	var e struct {
		Payload     []byte           `json:"payload"`
		PayloadType string           `json:"payloadType"`
		Signatures  []dsse.Signature `json:"signatures"`
	}
	if err := json.Unmarshal(content, &e); err != nil {
		return proof{}, fmt.Errorf("%w: no DSSE envelope: %.200s", ErrMalformed, err.Error())
	}
	switch {
	case len(e.Payload) == 0 || e.PayloadType != statementMedia:
		return proof{}, fmt.Errorf("%w: the envelope has %d bytes of type %.100q, expected a statement of type %q", ErrMalformed, len(e.Payload), e.PayloadType, statementMedia)
	case len(e.Signatures) != 1:
		return proof{}, fmt.Errorf("%w: the envelope has %d signatures, expected 1", ErrMalformed, len(e.Signatures))
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	if err != nil {
		return proof{}, fmt.Errorf("%w: the signature is not base64", ErrMalformed)
	}
	text, err := bundleStatement.read(d, e.Payload)
	return proof{text: text, signature: sig}, err
}
