package verify

import (
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

const summaryType = "https://slsa.dev/verification_summary/v1"

// summary is a statement with a SLSA Verification Summary, its members in the order in which Hallmark signs them.
type summary struct {
	Type    string `json:"_type"`
	Subject []struct {
		Digest map[string]string `json:"digest"`
	} `json:"subject"`
	PredicateType string `json:"predicateType"`
	Predicate     struct {
		Verifier struct {
			ID string `json:"id"`
		} `json:"verifier"`
		TimeVerified string        `json:"timeVerified"`
		ResourceURI  string        `json:"resourceUri"`
		Policy       summarised    `json:"policy"`
		Inputs       []*summarised `json:"inputAttestations,omitempty"`
		Result       string        `json:"verificationResult"`
		Levels       []string      `json:"verifiedLevels"`
		Version      string        `json:"slsaVersion"`
	} `json:"predicate"`
}

type summarised struct {
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
	Notes  map[string]string `json:"annotations,omitempty"`
}

// readVSA: a bundle with a verification summary. What it says of place, time and policy is for readers to judge; that it
// says these, of a result that passed and of the caller's bytes, and nothing else, is judged here.
func readVSA(k key, d Digests, content []byte) (proof, error) {
	payload, p, err := readStatement(k, content)
	if err != nil {
		return proof{}, err
	}
	digest, err := d.of(crypto.SHA256)
	if err != nil {
		return proof{}, err
	}
	named := hex.EncodeToString(digest)
	bare := statement{predicateType: summaryType}
	var s summary
	if err := json.Unmarshal(payload, &s); err != nil {
		return proof{}, bare.complain(payload, named)
	}
	words, err := json.Marshal(s)
	if err != nil {
		return proof{}, fmt.Errorf("encoding the summary: %w", err)
	}
	about := s.Type == statementType && s.PredicateType == summaryType && len(s.Subject) == 1 && len(s.Subject[0].Digest) == 1 && s.Subject[0].Digest["sha256"] == named
	if !about || !s.complete() || string(words) != string(payload) {
		return proof{}, bare.complain(payload, named)
	}
	p.text = dsse.PAE(statementMedia, payload)
	return p, nil
}

// complete reports whether the summary has every member that Hallmark writes, and no value that it would not write.
func (s *summary) complete() bool {
	p := &s.Predicate
	at, err := time.Parse(time.RFC3339, p.TimeVerified)
	if err != nil || at.UTC().Format(time.RFC3339) != p.TimeVerified {
		return false
	}
	if p.Result != "PASSED" || p.Version != "1.0" || len(p.Levels) != 1 || p.Levels[0] != "SLSA_BUILD_LEVEL_UNEVALUATED" {
		return false
	}
	if len(p.Inputs) > 64 || len(p.Policy.Notes) > 16 || !absolute(p.Verifier.ID) || !absolute(p.ResourceURI) || !p.Policy.complete() {
		return false
	}
	for name, text := range p.Policy.Notes {
		if len(name) > 100 || len(text) > 4096 {
			return false
		}
	}
	for _, in := range p.Inputs {
		if in == nil || !in.complete() || len(in.Notes) > 0 {
			return false
		}
	}
	return true
}

func (d *summarised) complete() bool {
	sum, err := hex.DecodeString(d.Digest["sha256"])
	return err == nil && len(sum) == 32 && strings.ToLower(d.Digest["sha256"]) == d.Digest["sha256"] && len(d.Digest) == 1 && absolute(d.URI)
}

// absolute reports whether a text is a URI with its scheme, of printable ASCII.
func absolute(uri string) bool {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || scheme == "" || rest == "" || len(uri) > 16<<10 || scheme[0] < 'a' || scheme[0] > 'z' {
		return false
	}
	return strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == "" && !strings.ContainsFunc(uri, func(r rune) bool { return r <= ' ' || r > '~' })
}
