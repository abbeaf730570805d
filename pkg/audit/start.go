package audit

import (
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Start is a process that opened its keys. Opening a key on a token has it sign one random digest as a probe; that
// signature is verified and dropped, and this leaf accounts for it.
type Start struct {
	Replica string      `json:"replica"`
	Version string      `json:"version"` // of Hallmark
	Keys    []OpenedKey `json:"keys"`
	At      time.Time   `json:"at"` // microseconds
}

// OpenedKey is one key that the process can use.
type OpenedKey struct {
	Name string          `json:"name"`
	SPKI artifact.Digest `json:"spki"` // SHA-256 of the DER SubjectPublicKeyInfo
	Use  string          `json:"use"`  // artifact, log, sct, timestamp, issuer or root
}

// Kind implements Leaf.
func (Start) Kind() string { return KindStart }

// Marshal implements Leaf.
func (s Start) Marshal() ([]byte, error) {
	wrong := s.check()
	s.Keys, s.At = list(s.Keys), moment(s.At)
	return marshalLeaf(KindStart, s, wrong)
}

func (s Start) check() error {
	var c checks
	c.word("replica", s.Replica)
	c.text("version", s.Version)
	for _, k := range s.Keys {
		c.word("key", k.Name)
		c.word("use", k.Use)
		if k.SPKI.IsZero() {
			c.say("spki of key %s is missing", k.Name)
		}
	}
	c.time("at", s.At)
	return c.err()
}
