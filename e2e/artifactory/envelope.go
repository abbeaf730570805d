package artifactory

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// envelope is DSSE: a payload and signatures over its pre-authentication encoding.
type envelope struct {
	Payload     string              `json:"payload"`
	PayloadType string              `json:"payloadType"`
	Signatures  []envelopeSignature `json:"signatures"`
}

type envelopeSignature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

const inTotoType = "application/vnd.in-toto+json"

// preAuthentication is what a DSSE signature is over.
func preAuthentication(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// statement is an in-toto statement with JFrog's additions.
type statement struct {
	Type          string              `json:"_type"`
	Subject       []statementSubject  `json:"subject"`
	PredicateType string              `json:"predicateType"`
	Predicate     json.RawMessage     `json:"predicate"`
	CreatedAt     string              `json:"createdAt,omitempty"`
	CreatedBy     string              `json:"createdBy,omitempty"`
	Markdown      string              `json:"markdown,omitempty"`
	Attachments   []map[string]string `json:"attachments,omitempty"`
}

type statementSubject struct {
	Digest map[string]string `json:"digest"`
}

// signed is an uploaded envelope, decoded.
type signed struct {
	envelope
	payload   []byte
	signature []byte
	sigstore  bool // it came inside a Sigstore bundle
	statement statement
}

// decodeEnvelope reads a DSSE envelope with one signature, or a Sigstore bundle around one.
func decodeEnvelope(body []byte) (signed, error) {
	bad := func(format string, args ...any) (signed, error) {
		return signed{}, refuse(http.StatusBadRequest, "The envelope is invalid: "+format, args...)
	}
	var outer struct {
		envelope
		MediaType    string    `json:"mediaType"`
		DSSEEnvelope *envelope `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(body, &outer); err != nil {
		return bad("%v", err)
	}
	s := signed{envelope: outer.envelope}
	if strings.HasPrefix(outer.MediaType, "application/vnd.dev.sigstore.bundle") {
		if outer.DSSEEnvelope == nil {
			return bad("the Sigstore bundle has none")
		}
		s.envelope, s.sigstore = *outer.DSSEEnvelope, true
	}
	if len(s.Signatures) != 1 {
		return bad("it has %d signatures, not one", len(s.Signatures))
	}
	var err1, err2 error
	s.payload, err1 = base64.StdEncoding.DecodeString(s.Payload)
	s.signature, err2 = base64.StdEncoding.DecodeString(s.Signatures[0].Sig)
	if err1 != nil || err2 != nil || s.PayloadType != inTotoType {
		return bad("payload and signature must be standard base64 and the type %s", inTotoType)
	}
	if err := json.NewDecoder(bytes.NewReader(s.payload)).Decode(&s.statement); err != nil {
		return bad("the payload is no statement: %v", err)
	}
	st := s.statement
	if !strings.HasPrefix(st.Type, "https://in-toto.io/Statement/v") || st.PredicateType == "" || len(st.Predicate) == 0 || len(st.Subject) == 0 {
		return bad("the statement lacks its type, subject or predicate")
	}
	if len(st.Subject) > 1 && (!s.sigstore || len(st.Subject) > 10) {
		return bad("the statement has %d subjects", len(st.Subject))
	}
	return s, nil
}

// verifies reports whether the signature over the pre-authentication encoding is by the key.
func (s signed) verifies(key crypto.PublicKey) bool {
	pae := preAuthentication(s.PayloadType, s.payload)
	switch key := key.(type) {
	case *rsa.PublicKey:
		sum := sha256.Sum256(pae)
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], s.signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, curveDigest(key.Curve, pae), s.signature)
	case ed25519.PublicKey:
		return ed25519.Verify(key, pae, s.signature)
	}
	return false
}

func curveDigest(curve elliptic.Curve, data []byte) []byte {
	switch bits := curve.Params().BitSize; {
	case bits <= 256:
		sum := sha256.Sum256(data)
		return sum[:]
	case bits <= 384:
		sum := sha512.Sum384(data)
		return sum[:]
	}
	sum := sha512.Sum512(data)
	return sum[:]
}
