// Package gate answers whether an artifact may enter a target repository. It believes nothing but signatures that
// verify, here and now, against pinned keys, over the digest Artifactory reports for the bytes. Properties are read to
// explain a refusal, and nothing is allowed for them. Whatever cannot be learnt in time is a no.
package gate

import (
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Verifier judges what a bundle carries besides its signature; *trust.Verifier is one.
type Verifier = facts.Verifier

// Trusted is a Verifier with the digest of the trusted root that it judges by. Without one every signature has trust level
// 2, and is dated by the ledger alone.
type Trusted = facts.Trusted

// Request asks for one verdict. Artifact names what would be promoted, Target where it would stand; only Target's
// repository decides which gate policy applies.
type Request struct {
	Artifact artifact.Ref
	Target   artifact.Ref
	Caller   string        // the authenticated name of who asks, for the record
	Policies *policy.Set   // to judge by; nil means those in force when the check begins
	Wait     time.Duration // for a signature that is under way, at most MaxWait; 0 answers at once
	All      bool          // look at every signature file of a key that counts, in any format, and not only until the answer is yes

	along  bool // set by Inspect
	inside bool // what is asked about is in a release bundle
}

// Verdict is the gate's answer. Allow is true only when Decided is; Decided is false when the gate could not learn
// what it needed and failed closed.
type Verdict struct {
	Allow      bool            `json:"allow"`
	Decided    bool            `json:"decided"`
	Artifact   string          `json:"artifact"` // repository/path
	Target     string          `json:"target"`   // repository/path
	Subject    string          `json:"subject"`  // repository/path that was judged: what a signature file belongs to, else Artifact; empty when unknown
	SHA256     artifact.Digest `json:"sha256"`   // digest of the subject's bytes; empty when unknown
	Reasons    []reason.Reason `json:"reasons"`  // why not; empty when allowed
	Warnings   []reason.Reason `json:"warnings"` // what policies that only warn would have refused
	Signatures []Signature     `json:"signatures"`
	Policy     string          `json:"policy,omitempty"` // file:line (name) of the gate policy
	PolicySet  artifact.Digest `json:"policySet"`
	At         time.Time       `json:"at"`
	Waited     string          `json:"waited,omitempty"` // for a signature that was under way, such as 3.2s

	about artifact.Subject // that was judged; zero when that is not known
	asked *policy.Asked    // what the policies were asked, for the books
}

// Signature is one signature file that the gate looked at. Problem is empty when it verified. Counts is true when it did
// by a key, at a time and with a trust that a policy of the target accepts; whether the format is one of those demanded
// does not matter. Along is true when it may go there with the artifact: when it counts, or lacks nothing but trust.
type Signature struct {
	File    string          `json:"file"`
	Format  string          `json:"format"`
	Key     string          `json:"key,omitempty"`
	SHA256  artifact.Digest `json:"sha256"` // of the file that was looked at
	Problem reason.Code     `json:"problem,omitempty"`
	Counts  bool            `json:"counts"`
	Along   bool            `json:"along"`
	At      time.Time       `json:"at,omitzero"` // when it was made, by its time-stamp, else by the ledger's record; zero when that is not known

	Level    int       `json:"level,omitempty"`    // of trust, when it verified: 2 by a pinned key, 3 by a certificate, in the log, time-stamped
	Stamped  time.Time `json:"stamped,omitzero"`   // by its time-stamp
	Recorded time.Time `json:"recorded,omitzero"`  // by the ledger's record
	Identity string    `json:"identity,omitempty"` // that its certificate names
}

// signatures tells which files were looked at. What the ledger alone has is no file.
func (v *Verdict) signatures(demand policy.Demand, found []policy.Evidence) {
	for _, e := range found {
		if !e.Kept {
			v.Signatures = append(v.Signatures, Signature{File: e.File, Format: e.Format, Key: e.Key, SHA256: e.SHA256, Problem: e.Problem, Counts: demand.Counts(e) == "", Along: demand.Accompanies(e) == "", At: e.At,
				Level: e.Level, Stamped: e.Stamped, Recorded: e.Recorded, Identity: e.Identity})
		}
	}
}
