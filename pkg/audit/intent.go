package audit

import (
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Intent says what a key is about to be used for, and by whose leave. It is in the log before the key is used.
type Intent struct {
	ID        uint64          `json:"id"`        // the ledger's number of the intent; with Replica it is never used twice
	Replica   string          `json:"replica"`   // whose log this is
	Grant     string          `json:"grant"`     // the random name of the grant that policy gave
	Event     uint64          `json:"event"`     // the ledger's number of the event that led here; 0 when none did
	Asked     string          `json:"asked"`     // who asked; "" when nobody is known by name
	Instance  string          `json:"instance"`  // the Artifactory
	Repo      string          `json:"repo"`      // where the subject stood when it was asked for
	Path      string          `json:"path"`      //
	Subject   artifact.Digest `json:"subject"`   // SHA-256 of what is signed
	Key       string          `json:"key"`       // name in the configuration
	SPKI      artifact.Digest `json:"spki"`      // SHA-256 of the key's DER SubjectPublicKeyInfo
	Purpose   string          `json:"purpose"`   // "sign"
	Formats   []string        `json:"formats"`   // signature formats to be made
	Policy    string          `json:"policy"`    // the signing policy that granted
	Rule      string          `json:"rule"`      // its place: file:line (name)
	PolicySet artifact.Digest `json:"policySet"` // names the exact policy files in force
	At        time.Time       `json:"at"`        // microseconds
}

// Kind implements Leaf.
func (Intent) Kind() string { return KindIntent }

// Marshal implements Leaf.
func (in Intent) Marshal() ([]byte, error) {
	wrong := in.check()
	in.Formats, in.At = list(in.Formats), moment(in.At)
	return marshalLeaf(KindIntent, in, wrong)
}

func (in Intent) check() error {
	var c checks
	c.number("id", in.ID)
	c.number("event", in.Event)
	if in.ID == 0 {
		c.say("id is missing")
	}
	c.word("replica", in.Replica)
	c.word("grant", in.Grant)
	c.word("key", in.Key)
	c.word("purpose", in.Purpose)
	c.word("format", in.Formats...)
	c.text("text", in.Asked, in.Instance, in.Repo, in.Path, in.Policy, in.Rule)
	if in.Subject.IsZero() {
		c.say("subject is missing")
	}
	if in.SPKI.IsZero() {
		c.say("spki is missing")
	}
	c.time("at", in.At)
	return c.err()
}
