package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Asked is what a decision was made with, in the form in which it is kept with the decision, so that another set can be
// asked the same question later. Where the artifact stands and its digest are not in it: the decision's own record has
// them.
type Asked struct {
	Place    string        `json:"place,omitempty"`  // repository/path of the subject, where it is not the artifact that was asked about
	Target   string        `json:"target,omitempty"` // repository/path that the gate policies guard, where it is not the target that was asked about
	Kind     artifact.Kind `json:"kind"`
	Size     int64         `json:"size"`
	Created  time.Time     `json:"created,omitzero"`
	Modified time.Time     `json:"modified,omitzero"`
	Tag      string        `json:"tag,omitempty"` // of an image
	Platform string        `json:"platform,omitempty"`
	Whole    string        `json:"whole,omitempty"` // repository/path of what the subject is a part of
	Event    string        `json:"event,omitempty"` // of a signing decision
	Facts    Facts         `json:"facts,omitzero"`

	Evidence []Evidence `json:"evidence,omitempty"` // of a gate's verdict: the signatures that were found
	Looked   *Looked    `json:"looked,omitempty"`   // of a gate's verdict: what was looked for

	Granted []Order `json:"granted,omitempty"` // how the policies let it be signed, whatever became of that
	Refused int     `json:"refused,omitempty"` // how many of the decision's reasons, from the first, are the policies' own

	Cut Needs     `json:"cut,omitempty"` // facts that were too large to be kept; signatures stand for the evidence, too
	At  time.Time `json:"at,omitzero"`   // the moment that time windows and ages were held against
}

// Looked says which signatures a gate looked for. Others may have stood there.
type Looked struct {
	Keys    []string `json:"keys,omitempty"`
	Formats []string `json:"formats,omitempty"`
	Early   bool     `json:"early,omitempty"` // the search ended when the policies were content
}

// MaxAsked bounds the JSON of an Asked in bytes.
const MaxAsked = 32 << 10

// Record is the request and its answer as they are kept.
func (r Request) Record(d Decision) *Asked {
	a := askedOf(r.Subject, r.Facts, r.At)
	a.Event, a.Refused, a.Granted = r.Event, len(d.Denied), d.Grant.Orders()
	if r.Whole != (artifact.Ref{}) && r.Whole != r.Subject.Ref {
		a.Whole = r.Whole.String()
	}
	return a
}

// Record is what the demand was asked about, the evidence, and how many reasons it refused with, as they are kept;
// asked and target are what the caller named. Nil before About.
func (d Demand) Record(asked, target artifact.Ref, found []Evidence, looked Looked, refused int) *Asked {
	if d.question == nil {
		return nil
	}
	a := askedOf(d.question.subject, *d.question.facts, d.now())
	a.Evidence, a.Looked, a.Refused = found, &looked, refused
	if at := d.question.subject.Ref; at != asked {
		a.Place = at.String()
	}
	if d.target != target {
		a.Target = d.target.String()
	}
	return a
}

func askedOf(s artifact.Subject, f Facts, at time.Time) *Asked {
	if at.IsZero() {
		at = time.Now()
	}
	return &Asked{
		Kind: s.Kind, Size: s.Size, Created: s.Created.UTC(), Modified: s.Modified.UTC(), Tag: s.Image.Tag, Platform: s.Image.Platform,
		Facts: f, At: at.UTC().Truncate(time.Microsecond),
	}
}

// Request is the question again. ref and digest are those of the decision's record.
func (a Asked) Request(ref artifact.Ref, digest artifact.Digest) (Request, error) {
	s, err := a.subject(ref, digest)
	if err != nil {
		return Request{}, err
	}
	r := Request{Subject: s, Event: a.Event, At: a.At, Facts: a.Facts}
	if a.Whole != "" {
		if r.Whole, err = artifact.ParseRef(ref.Instance, a.Whole); err != nil {
			return Request{}, fmt.Errorf("reading what a decision was made with: whole: %w", err)
		}
	}
	return r, nil
}

// Demand is what a set demands of the same artifact, facts and moment. ref, target and digest are those of the decision's
// record.
func (a Asked) Demand(set *Set, ref, target artifact.Ref, digest artifact.Digest) (Demand, error) {
	s, err := a.subject(ref, digest)
	if err != nil {
		return Demand{}, err
	}
	if a.Target != "" {
		if target, err = artifact.ParseRef(target.Instance, a.Target); err != nil {
			return Demand{}, fmt.Errorf("reading what a decision was made with: target: %w", err)
		}
	}
	d, _ := set.Demand(target)
	return d.For(s.Ref).About(s, a.Facts, a.At), nil
}

func (a Asked) subject(ref artifact.Ref, digest artifact.Digest) (artifact.Subject, error) {
	if a.Place != "" {
		var err error
		if ref, err = artifact.ParseRef(ref.Instance, a.Place); err != nil {
			return artifact.Subject{}, fmt.Errorf("reading what a decision was made with: place: %w", err)
		}
	}
	s := artifact.Subject{Kind: a.Kind, Info: artifact.Info{Ref: ref, SHA256: digest, Size: a.Size, Created: a.Created, Modified: a.Modified}}
	if a.Kind == artifact.KindImage {
		s.Image, _ = artifact.ImageAt(ref)
		s.Image.Tag, s.Image.Platform = a.Tag, a.Platform
	}
	return s, nil
}

// Text is the JSON to keep, at most MaxAsked bytes, without the moment, so that repeated questions have one text. What is
// too large is left out, the largest things first, and Cut says so.
func (a Asked) Text() (string, error) {
	a.At = time.Time{}
	for _, less := range []func(){
		func() {},
		func() {
			a.Evidence = append([]Evidence{}, a.Evidence...)
			for i := range a.Evidence {
				a.Evidence[i].Detail = ""
			}
		},
		func() { a.Facts.Properties = nil; a.cut(NeedProperties) },
		func() { a.Facts.Actors = nil; a.cut(NeedActors | NeedGroups) },
		func() { a.Facts.Repositories = nil; a.cut(NeedRepositories) },
		func() { a.Facts.Signatures, a.Evidence = nil, nil; a.cut(NeedSignatures) },
		func() { a.Facts = Facts{}; a.cut(^Needs(0)) },
	} {
		less()
		b, err := json.Marshal(a)
		if err != nil {
			return "", fmt.Errorf("keeping what a decision was made with: %w", err)
		}
		if len(b) <= MaxAsked {
			return string(b), nil
		}
	}
	return "", errors.New("keeping what a decision was made with: it does not fit")
}

func (a *Asked) cut(n Needs) {
	a.Cut |= n
	a.Facts.Known &^= n
}

// ParseAsked reads what Text wrote; at is the moment. The empty text, which is in records from before facts were kept, is
// nil.
func ParseAsked(text string, at time.Time) (*Asked, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // nil is what callers test for: nothing was kept
	}
	var a Asked
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return nil, fmt.Errorf("reading what a decision was made with: %w", err)
	}
	a.At = at
	return &a, nil
}
