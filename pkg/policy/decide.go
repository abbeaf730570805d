package policy

import (
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Request asks what to do with one subject. Event is "domain/type", for example "artifact/deployed"; the empty event
// means that somebody asked for this artifact by name (hallmark sign, the sweep), and no events filter applies to it.
type Request struct {
	Subject artifact.Subject
	Event   string
}

// Decision is the answer to a Request. Exactly one of Grant, Denied and Skip is set.
type Decision struct {
	Grant      *Grant
	Denied     []reason.Reason
	Skip       string // why nothing is signed and nothing is wrong
	Policy     string // name of the policy that decided; empty when none matched
	Rule       string // its place: file:line (name)
	Considered []Considered
}

// Considered is what one signing policy said about an artifact.
type Considered struct {
	Policy  string `json:"policy"`
	Rule    string `json:"rule"`
	Matched bool   `json:"matched"`
	Why     string `json:"why"`
}
