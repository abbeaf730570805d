package audit

import (
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// The results of an intent.
const (
	Sealed    = "sealed"    // the signatures were made, and this log holds them
	Abandoned = "abandoned" // nothing left the process
)

// Outcome says how an intent ended. An intent without one is an alarm.
type Outcome struct {
	Intent      uint64          `json:"intent"`      // index of the Intent in this log
	Result      string          `json:"result"`      // Sealed or Abandoned
	Why         string          `json:"why"`         // of Abandoned, for people
	Certificate artifact.Digest `json:"certificate"` // SHA-256 of the leaf certificate's DER; zero: none
	Uses        []Use           `json:"uses"`        // every use of the key under the intent, the fruitless ones too; of a process that died, those that it had logged
	At          time.Time       `json:"at"`          // microseconds
}

// Use is one use of the key: one signature over one digest, from which several bundles may have been made.
type Use struct {
	Signature artifact.Digest `json:"signature"` // SHA-256 of the raw signature
	Timestamp artifact.Digest `json:"timestamp"` // SHA-256 of the RFC 3161 response over it; zero: none
	Entries   []uint64        `json:"entries"`   // indexes of its Rekord leaves in this log; none when it did not get that far
}

// Kind implements Leaf.
func (Outcome) Kind() string { return KindOutcome }

// Marshal implements Leaf.
func (o Outcome) Marshal() ([]byte, error) {
	wrong := o.check()
	uses := make([]Use, len(o.Uses))
	for i, u := range o.Uses {
		u.Entries = list(u.Entries)
		uses[i] = u
	}
	o.Uses, o.At = uses, moment(o.At)
	return marshalLeaf(KindOutcome, o, wrong)
}

func (o Outcome) check() error {
	var c checks
	c.number("intent", o.Intent)
	c.text("why", o.Why)
	if o.Result != Sealed && o.Result != Abandoned {
		c.say("result is %q, it must be %q or %q", o.Result, Sealed, Abandoned)
	}
	for _, u := range o.Uses {
		if u.Signature.IsZero() {
			c.say("signature is missing")
		}
		c.number("entry", u.Entries...)
	}
	c.time("at", o.At)
	return c.err()
}
