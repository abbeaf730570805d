package seal

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// SummaryPredicate is the predicate type of a SLSA Verification Summary, version 1.
const SummaryPredicate = "https://slsa.dev/verification_summary/v1"

// ErrNoSummary means that there is nothing to say in a verification summary, or not all of it.
var ErrNoSummary = errors.New("no verification summary")

// vsa is a Sigstore bundle, version 0.3, around an in-toto statement with a SLSA Verification Summary
// (https://slsa.dev/spec/v1.0/verification_summary): that policy let these bytes be signed, which policy, when and where.
// It is an attestation beside signatures, and counts as one only where a gate names the format.
//
// Alone among the formats it says where and when. Whoever has one of these bytes uses it again: it tells what was decided
// then, there.
var vsa = Format{
	Name: "vsa", Kinds: []artifact.Kind{artifact.KindFile, artifact.KindImage}, Suffix: ".vsa.json", MediaType: sigstoreType,
	Seldom: true, Apart: true,
	draft: draftVSA, open: openVSA, hint: hintCosign,
}

// Summary is what a verification summary says beside the digest of its subject. All of it is required but what is marked.
type Summary struct {
	Verifier     string            // URI of who verified
	At           time.Time         // when; to the second
	Resource     string            // URI of the place where the bytes were
	Policy       string            // URI of the policy
	PolicyDigest artifact.Digest   // of the policies in force
	Notes        map[string]string // about the decision, by name; optional
	Inputs       []Input           // attestations that policy looked at; optional
}

// Input is an attestation that was looked at.
type Input struct {
	URI    string
	SHA256 artifact.Digest
}

// What summaries here always say: one is made only of what passed, and levels of how it was built are nobody's business here.
const (
	summaryResult  = "PASSED"
	summaryLevel   = "SLSA_BUILD_LEVEL_UNEVALUATED"
	summaryVersion = "1.0"
)

// Bounds of a summary.
const (
	maxSummaryURI  = 16 << 10 // a path escaped
	maxSummaryText = 4 << 10
	maxInputs      = 64
	maxNotes       = 16
)

// vsaPredicate is the predicate, with its members in the order in which they are signed.
type vsaPredicate struct {
	Verifier struct {
		ID string `json:"id"`
	} `json:"verifier"`
	TimeVerified       string          `json:"timeVerified"`
	ResourceURI        string          `json:"resourceUri"`
	Policy             vsaDescriptor   `json:"policy"`
	InputAttestations  []vsaDescriptor `json:"inputAttestations,omitempty"`
	VerificationResult string          `json:"verificationResult"`
	VerifiedLevels     []string        `json:"verifiedLevels"`
	SLSAVersion        string          `json:"slsaVersion"`
}

type vsaDescriptor struct {
	URI         string            `json:"uri"`
	Digest      map[string]string `json:"digest"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (s *Summary) predicate() (vsaPredicate, error) {
	if s == nil {
		return vsaPredicate{}, ErrNoSummary
	}
	p := vsaPredicate{
		TimeVerified: s.At.UTC().Format(time.RFC3339), ResourceURI: s.Resource,
		Policy:             vsaDescriptor{URI: s.Policy, Digest: map[string]string{"sha256": s.PolicyDigest.String()}, Annotations: map[string]string{}},
		VerificationResult: summaryResult, VerifiedLevels: []string{summaryLevel}, SLSAVersion: summaryVersion,
	}
	p.Verifier.ID = s.Verifier
	for name, text := range s.Notes { // what is no UTF-8 would not read back as it was written
		p.Policy.Annotations[strings.ToValidUTF8(name, "?")] = strings.ToValidUTF8(text, "?")
	}
	for _, in := range s.Inputs {
		p.InputAttestations = append(p.InputAttestations, vsaDescriptor{URI: in.URI, Digest: map[string]string{"sha256": in.SHA256.String()}})
	}
	if s.At.IsZero() || s.PolicyDigest.IsZero() {
		return p, fmt.Errorf("%w: it has no time, or no digest of the policies", ErrNoSummary)
	}
	if err := p.check(); err != nil {
		return p, fmt.Errorf("%w: %w", ErrNoSummary, err)
	}
	return p, nil
}

// check says what a predicate lacks.
func (p vsaPredicate) check() error {
	for name, uri := range map[string]string{"verifier.id": p.Verifier.ID, "resourceUri": p.ResourceURI, "policy.uri": p.Policy.URI} {
		if !isURI(uri) {
			return fmt.Errorf("%s is %.100q, expected an absolute URI", name, uri)
		}
	}
	at, err := time.Parse(time.RFC3339, p.TimeVerified)
	switch {
	case err != nil || at.UTC().Format(time.RFC3339) != p.TimeVerified:
		return fmt.Errorf("timeVerified is %.40q, expected a time in UTC, in seconds", p.TimeVerified)
	case p.VerificationResult != summaryResult:
		return fmt.Errorf("verificationResult is %.40q, expected %q", p.VerificationResult, summaryResult)
	case len(p.VerifiedLevels) != 1 || p.VerifiedLevels[0] != summaryLevel:
		return fmt.Errorf("verifiedLevels are %.100q, expected %q", p.VerifiedLevels, summaryLevel)
	case p.SLSAVersion != summaryVersion:
		return fmt.Errorf("slsaVersion is %.40q, expected %q", p.SLSAVersion, summaryVersion)
	case len(p.InputAttestations) > maxInputs || len(p.Policy.Annotations) > maxNotes:
		return fmt.Errorf("it has %d inputs and %d annotations, at most %d and %d are allowed", len(p.InputAttestations), len(p.Policy.Annotations), maxInputs, maxNotes)
	}
	for _, d := range append([]vsaDescriptor{p.Policy}, p.InputAttestations...) {
		if _, err := artifact.ParseDigest(d.Digest["sha256"]); err != nil || len(d.Digest) != 1 || !isURI(d.URI) {
			return fmt.Errorf("%.100q is described by the digests %.200v, expected a URI and one SHA-256", d.URI, d.Digest)
		}
	}
	for _, d := range p.InputAttestations {
		if len(d.Annotations) > 0 {
			return errors.New("an input has annotations")
		}
	}
	for name, text := range p.Policy.Annotations {
		if len(name) > 100 || len(text) > maxSummaryText {
			return fmt.Errorf("the annotation %.100q is too long", name)
		}
	}
	return nil
}

// isURI takes an absolute URI as people write it: a scheme in lower case, then printable ASCII.
func isURI(s string) bool { return len(s) <= maxSummaryURI && uriForm.MatchString(s) }

var uriForm = regexp.MustCompile(`^[a-z][a-z0-9+.-]*:[!-~]+$`)

func draftVSA(k key, d Digests) (draft, error) {
	predicate, err := k.summary.predicate()
	if err != nil {
		return draft{}, err
	}
	subject, err := subjectOf(d)
	if err != nil {
		return draft{}, err
	}
	words, err := json.Marshal(predicate)
	if err != nil {
		return draft{}, fmt.Errorf("encoding the summary: %w", err)
	}
	payload, err := newStatement(subject, SummaryPredicate, string(words))
	if err != nil {
		return draft{}, err
	}
	return draftStatement(k, byCertificate, payload)
}

func openVSA(pub crypto.PublicKey, d Digests, content []byte) (claim, error) {
	return openStatement(pub, d, content, byCertificate, checkSummary)
}

// checkSummary returns nil only for what draftVSA makes of some summary of the subject: the same members in the same order,
// nothing else. What the summary says of place, time and policy is for readers to judge.
func checkSummary(payload []byte, subject artifact.Digest) error {
	var said statement
	if err := json.Unmarshal(payload, &said); err != nil {
		return fmt.Errorf("%w: the payload is no in-toto statement: %.200s", ErrMalformed, err.Error())
	}
	if err := said.about(subject, SummaryPredicate); err != nil {
		return err
	}
	var p vsaPredicate
	if err := json.Unmarshal(said.Predicate, &p); err != nil {
		return fmt.Errorf("%w: the predicate is no verification summary: %.200s", ErrMalformed, err.Error())
	}
	if err := p.check(); err != nil {
		return fmt.Errorf("%w: in the verification summary %.400s", ErrMalformed, err.Error())
	}
	words, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding the summary: %w", err)
	}
	if again, err := newStatement(subject, SummaryPredicate, string(words)); err != nil || !bytes.Equal(again, payload) {
		return fmt.Errorf("%w: the statement says more, or in other words, than this product does", ErrMalformed)
	}
	return nil
}

// ReadSummary returns what a file of the format vsa says. Nobody has verified it.
func ReadSummary(content []byte) (Summary, error) {
	b, err := parseBundle(content)
	if err != nil {
		return Summary{}, err
	}
	var said statement
	if err := json.Unmarshal(b.GetDsseEnvelope().GetPayload(), &said); err != nil || len(said.Subject) != 1 {
		return Summary{}, fmt.Errorf("%w: no statement about one subject", ErrMalformed)
	}
	subject, err := artifact.ParseDigest(said.Subject[0].Digest["sha256"])
	if err != nil {
		return Summary{}, fmt.Errorf("%w: the subject has no SHA-256", ErrMalformed)
	}
	if err := checkSummary(b.GetDsseEnvelope().GetPayload(), subject); err != nil {
		return Summary{}, err
	}
	var p vsaPredicate
	if err := json.Unmarshal(said.Predicate, &p); err != nil {
		return Summary{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	s := Summary{Verifier: p.Verifier.ID, Resource: p.ResourceURI, Policy: p.Policy.URI, Notes: p.Policy.Annotations}
	s.At, _ = time.Parse(time.RFC3339, p.TimeVerified)                  // checked
	s.PolicyDigest, _ = artifact.ParseDigest(p.Policy.Digest["sha256"]) // checked
	for _, in := range p.InputAttestations {
		sum, _ := artifact.ParseDigest(in.Digest["sha256"]) // checked
		s.Inputs = append(s.Inputs, Input{URI: in.URI, SHA256: sum})
	}
	return s, nil
}
