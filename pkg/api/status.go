package api

import (
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Status is the answer of GET /v1/status?ref=repository/path: what the ledger remembers of one artifact. It is a
// record, no proof: the gate alone judges signatures.
type Status struct {
	Instance   string      `json:"instance"`
	Artifact   string      `json:"artifact"`        // where it is stored
	Asked      string      `json:"asked,omitempty"` // the path in a virtual or remote repository that was asked about
	Pending    bool        `json:"pending"`         // work is waiting or running; Current may be about to change
	Current    *Outcome    `json:"current,omitempty"`
	History    []Outcome   `json:"history"` // latest first
	Signatures []Signature `json:"signatures"`
}

// Outcome is how one piece of work on the artifact ended.
type Outcome struct {
	State      string          `json:"state"` // signed, denied, skipped, gone, failed, changed, expanded
	SHA256     artifact.Digest `json:"sha256"`
	Policy     string          `json:"policy,omitempty"`
	Rule       string          `json:"rule,omitempty"`
	PolicySet  artifact.Digest `json:"policySet"`
	Keys       []string        `json:"keys,omitempty"`
	Files      []string        `json:"files,omitempty"`
	Parts      int             `json:"parts,omitempty"` // of a build or bundle: for how many, work was ordered
	Reasons    []reason.Reason `json:"reasons,omitempty"`
	Warnings   []reason.Reason `json:"warnings,omitempty"` // what a policy that only warns would have refused
	ReceivedAt *time.Time      `json:"receivedAt,omitempty"`
	At         time.Time       `json:"at"`
}

// Signature is one signature over the artifact's current bytes.
type Signature struct {
	Key    string          `json:"key"`
	SPKI   artifact.Digest `json:"spki"`
	Format string          `json:"format"`
	MadeAt time.Time       `json:"madeAt"`
}

func (s *server) status(c *call) (any, error) {
	q, err := c.query("ref", "instance")
	if err != nil {
		return nil, err
	}
	ref, err := s.ref(c, "ref", q.Get("instance"), q.Get("ref"))
	if err != nil {
		return nil, err
	}
	known, err := s.deps.Status(c.Context(), ref)
	if err != nil {
		return nil, err
	}
	return StatusOf(ref, known), nil
}

// StatusOf puts what the ledger knows into the words of the answer; the command line prints the same object.
func StatusOf(ref artifact.Ref, known ledger.Status) Status {
	s := Status{
		Instance: ref.Instance, Artifact: ref.String(), Pending: known.Pending,
		History: make([]Outcome, len(known.History)), Signatures: make([]Signature, len(known.Signatures)),
	}
	if at := known.Current.Ref; known.Current.State != "" && at != ref {
		s.Artifact, s.Asked = at.String(), ref.String()
	}
	if known.Current.State != "" {
		current := outcomeOf(known.Current)
		s.Current = &current
	}
	for i, o := range known.History {
		s.History[i] = outcomeOf(o)
	}
	for i, sig := range known.Signatures {
		s.Signatures[i] = Signature{Key: sig.KeyName, SPKI: sig.KeySPKI, Format: sig.Format, MadeAt: sig.MadeAt}
	}
	return s
}

func outcomeOf(o ledger.Outcome) Outcome {
	out := Outcome{
		State: string(o.State), SHA256: o.Subject, Policy: o.Policy, Rule: o.Rule, PolicySet: o.PolicySet,
		Keys: o.Keys, Files: o.Files, Parts: o.Parts, Reasons: o.Reasons, Warnings: o.Warnings, At: o.At,
	}
	if !o.ReceivedAt.IsZero() {
		out.ReceivedAt = &o.ReceivedAt
	}
	return out
}
