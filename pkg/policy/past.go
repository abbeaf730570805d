package policy

import (
	"encoding/json"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// What sort of question a Past answered.
const (
	PastSigning = "signing" // what to do with an artifact
	PastGate    = "gate"    // whether it may enter a repository
)

// Past is a decision as it was made and recorded: a line of an export, and what `hallmark why` tells. It is a record,
// no proof.
type Past struct {
	Kind      string          `json:"kind"` // signing or gate
	At        time.Time       `json:"at"`
	Instance  string          `json:"instance"`
	Artifact  string          `json:"artifact"`         // repository/path
	Target    string          `json:"target,omitempty"` // repository/path, at a gate
	SHA256    artifact.Digest `json:"sha256"`
	Outcome   string          `json:"outcome"` // signed, denied, skipped, expanded, failed, gone, changed; at a gate allowed or refused
	Policy    string          `json:"policy,omitempty"`
	Rule      string          `json:"rule,omitempty"` // file:line (name)
	PolicySet artifact.Digest `json:"policySet"`
	Caller    string          `json:"caller,omitempty"` // who asked by name
	Keys      []string        `json:"keys,omitempty"`   // that have signed
	Files     []string        `json:"files,omitempty"`
	Reasons   []reason.Reason `json:"reasons,omitempty"`
	Warnings  []reason.Reason `json:"warnings,omitempty"`

	Asked  json.RawMessage `json:"asked,omitempty"` // an Asked; none when it was recorded before facts were kept, or nothing was decided on
	Moment time.Time       `json:"moment,omitzero"` // its At
}

// Question is what the decision was made with; nil when that was not kept.
func (p Past) Question() (*Asked, error) { return ParseAsked(string(p.Asked), p.Moment) }

// PastLine is one line of decisions in lines (application/x-ndjson), oldest first. One field is set. End is the last line:
// lines without one were cut off.
type PastLine struct {
	Decision *Past    `json:"decision,omitempty"`
	End      *PastEnd `json:"end,omitempty"`
}

// PastEnd tells how to go on.
type PastEnd struct {
	Next  time.Time `json:"next"`            // the next decisions came after it
	More  bool      `json:"more"`            // whether there are any now
	Count *int64    `json:"count,omitempty"` // of all decisions from where these lines begin; told by the service with count=true
}
