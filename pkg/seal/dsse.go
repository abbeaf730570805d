package seal

import (
	"bytes"
	"crypto"
	"encoding/json"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// What formats around an in-toto statement have in common: the statement, and what a DSSE signature is over.
const (
	inTotoType    = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
)

// statement says something about one subject. The subject is named by its digest alone: the same bytes give the same
// statement, wherever they are and whatever they are called.
type statement struct {
	Type          string             `json:"_type"`
	Subject       []statementSubject `json:"subject"`
	PredicateType string             `json:"predicateType"`
	Predicate     json.RawMessage    `json:"predicate"` // an object
}

type statementSubject struct {
	Digest map[string]string `json:"digest"`
}

// newStatement returns the statement as it is signed.
func newStatement(subject artifact.Digest, predicateType, predicate string) ([]byte, error) {
	payload, err := json.Marshal(statement{
		Type: statementType, Subject: []statementSubject{{map[string]string{"sha256": subject.String()}}},
		PredicateType: predicateType, Predicate: json.RawMessage(predicate),
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the statement: %w", err)
	}
	return payload, nil
}

// checkStatement returns nil only for the very bytes that newStatement makes for this subject: what was not signed by us
// in these words is not ours to interpret. Other words give ErrWrongBytes when they are about another subject, else
// ErrMalformed.
func checkStatement(payload []byte, subject artifact.Digest, predicateType, predicate string) error {
	want, err := newStatement(subject, predicateType, predicate)
	if err != nil || bytes.Equal(payload, want) {
		return err
	}
	var said statement
	if err := json.Unmarshal(payload, &said); err != nil {
		return fmt.Errorf("%w: the payload is no in-toto statement: %.200s", ErrMalformed, err.Error())
	}
	if err := said.about(subject, predicateType); err != nil {
		return err
	}
	return fmt.Errorf("%w: the statement says more, or in other words, than this product does", ErrMalformed)
}

// about refuses a statement of another type, or about anything else.
func (s statement) about(subject artifact.Digest, predicateType string) error {
	switch {
	case s.Type != statementType:
		return fmt.Errorf("%w: the statement's type is %.100q, expected %q", ErrMalformed, s.Type, statementType)
	case s.PredicateType != predicateType:
		return fmt.Errorf("%w: the statement's predicate is %.100q, expected %q", ErrMalformed, s.PredicateType, predicateType)
	case len(s.Subject) != 1:
		return fmt.Errorf("%w: the statement has %d subjects, expected 1", ErrMalformed, len(s.Subject))
	case s.Subject[0].Digest["sha256"] != subject.String():
		return fmt.Errorf("%w: the statement is about %.64q, the bytes are %s", ErrWrongBytes, s.Subject[0].Digest["sha256"], subject)
	}
	return nil
}

// statementDigest is what the key signs: the hash of the payload's pre-authentication encoding.
func statementDigest(h crypto.Hash, payload []byte) []byte {
	sum := h.New()
	fmt.Fprintf(sum, "DSSEv1 %d %s %d ", len(inTotoType), inTotoType, len(payload))
	sum.Write(payload)
	return sum.Sum(nil)
}

// subjectOf is the digest that a statement names, whatever the key hashes with.
func subjectOf(d Digests) (artifact.Digest, error) {
	if _, err := d.pick(crypto.SHA256); err != nil {
		return artifact.Digest{}, err
	}
	return d.SHA256(), nil
}
