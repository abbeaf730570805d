package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
)

// MaxLeaf is the greatest number of bytes in a leaf: tlog-tiles stores its length in 16 bits.
const MaxLeaf = math.MaxUint16

// maxNumber is the greatest number in a leaf: the last one that every reader of JSON takes exactly.
const maxNumber = 1<<53 - 1

// ErrLeaf means that bytes are no leaf of a kind and version known here, in its one canonical form.
var ErrLeaf = errors.New("not a leaf of a known kind")

// Leaf is one entry of the log: an Intent, Outcome, Draft, Certificate, Start or Rekord.
type Leaf interface {
	// Kind is the word that names the kind inside the leaf.
	Kind() string
	// Marshal returns the bytes that go into the tree: the one canonical form (RFC 8785), at most MaxLeaf. It refuses
	// a leaf that lacks what its kind must have.
	Marshal() ([]byte, error)
}

// The kinds of our own leaves, all of version 1. Their form is {"apiVersion":"1","kind":K,"spec":{…}}.
const (
	KindIntent      = "hallmark-intent"
	KindOutcome     = "hallmark-outcome"
	KindDraft       = "hallmark-draft"
	KindCertificate = "hallmark-certificate"
	KindStart       = "hallmark-start"
	leafVersion     = "1"
)

// envelope is the outer form that all leaves share, Rekor's included.
type envelope struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Spec       json.RawMessage `json:"spec"`
}

// ParseLeaf reads a leaf. It takes nothing but what Marshal returns: an unknown field, a field that is missing or twice, another
// order or another spelling of the same value is ErrLeaf. The signature in a Rekord is not verified here: see
// Rekord.Verify. The leaf shares no memory with b.
func ParseLeaf(b []byte) (Leaf, error) {
	leaf, err := parseLeaf(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLeaf, err)
	}
	return leaf, nil
}

func parseLeaf(b []byte) (Leaf, error) {
	if len(b) > MaxLeaf {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(b), MaxLeaf)
	}
	var e envelope
	if err := strictJSON(b, &e); err != nil {
		return nil, err
	}
	switch {
	case e.Kind == KindRekord && e.APIVersion == rekordVersion:
		return parseRekord(b)
	case e.APIVersion != leafVersion:
		return nil, fmt.Errorf("kind %q, version %q", e.Kind, e.APIVersion)
	}
	switch e.Kind {
	case KindIntent:
		return parseSpec[Intent](b, e.Spec)
	case KindOutcome:
		return parseSpec[Outcome](b, e.Spec)
	case KindDraft:
		return parseSpec[Draft](b, e.Spec)
	case KindCertificate:
		return parseSpec[Certificate](b, e.Spec)
	case KindStart:
		return parseSpec[Start](b, e.Spec)
	}
	return nil, fmt.Errorf("kind %q, version %q", e.Kind, e.APIVersion)
}

func parseSpec[T Leaf](whole, spec []byte) (Leaf, error) {
	var leaf T
	if err := strictJSON(spec, &leaf); err != nil {
		return nil, fmt.Errorf("%s: %w", leaf.Kind(), err)
	}
	return leaf, sameBytes(leaf, whole)
}

// sameBytes holds a parsed leaf against what it was parsed from: there is one way to write each.
func sameBytes(leaf Leaf, whole []byte) error {
	again, err := marshalUnverified(leaf)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, whole) {
		return fmt.Errorf("%s is not in canonical form", leaf.Kind())
	}
	return nil
}

func marshalUnverified(leaf Leaf) ([]byte, error) {
	if r, ok := leaf.(Rekord); ok {
		return r.body()
	}
	return leaf.Marshal()
}

func strictJSON(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("decoding: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decoding: there is something behind the end")
	}
	return nil
}

// marshalLeaf is the Marshal of our own kinds.
func marshalLeaf(kind string, spec any, wrong error) ([]byte, error) {
	if wrong != nil {
		return nil, fmt.Errorf("%s: %w", kind, wrong)
	}
	inner, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("%s: encoding: %w", kind, err)
	}
	loose, err := json.Marshal(envelope{APIVersion: leafVersion, Kind: kind, Spec: inner})
	if err != nil {
		return nil, fmt.Errorf("%s: encoding: %w", kind, err)
	}
	return canonical(kind, loose)
}

func canonical(kind string, loose []byte) ([]byte, error) {
	b, err := jsoncanonicalizer.Transform(loose)
	if err != nil {
		return nil, fmt.Errorf("%s: canonical form: %w", kind, err)
	}
	if len(b) > MaxLeaf {
		return nil, fmt.Errorf("%s: %d bytes, a leaf has at most %d", kind, len(b), MaxLeaf)
	}
	return b, nil
}

// checks collects what is wrong with the fields of a leaf.
type checks []error

func (c *checks) say(format string, args ...any) { *c = append(*c, fmt.Errorf(format, args...)) }

// text demands UTF-8: JSON has no other text, and Go would write something else in its place.
func (c *checks) text(name string, values ...string) {
	for _, s := range values {
		if !utf8.ValidString(s) {
			c.say("%s %q is not UTF-8", name, s)
		}
	}
}

// word demands a text that is not empty.
func (c *checks) word(name string, values ...string) {
	c.text(name, values...)
	for _, s := range values {
		if s == "" {
			c.say("%s is missing", name)
		}
	}
}

func (c *checks) number(name string, values ...uint64) {
	for _, n := range values {
		if n > maxNumber {
			c.say("%s is %d, the limit is %d", name, n, uint64(maxNumber))
		}
	}
}

func (c *checks) time(name string, t time.Time) {
	if t.IsZero() {
		c.say("%s is missing", name)
	}
}

func (c *checks) err() error { return errors.Join(*c...) }

// moment is a time as leaves have it: UTC, in microseconds.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// list is never null in JSON.
func list[T any](in []T) []T {
	if in == nil {
		return []T{}
	}
	return in
}
