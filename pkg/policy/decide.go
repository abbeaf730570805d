package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Request asks what to do with one subject. Event is "domain/type", for example "artifact/deployed"; the empty event
// and those of the domains "request" and "sweep" mean that somebody asked for this artifact by name (hallmark sign), or
// that the sweep found it and cannot know which event was lost; no events list applies to them.
type Request struct {
	Subject artifact.Subject
	Whole   artifact.Ref // what the subject is a part of, such as an index; policies match it. Zero: the subject itself
	Event   string
	At      time.Time // the moment that time windows and retired keys are held against; zero: now
	Facts   Facts     // those that Set.Needs asks for
}

// question is the request as rules are asked.
func (r *Request) question() *question {
	q := question{subject: r.Subject, about: r.Subject.Ref, event: r.Event, at: r.At, facts: &r.Facts}
	if r.Whole != (artifact.Ref{}) {
		q.about = r.Whole
	}
	if q.at.IsZero() {
		q.at = time.Now()
	}
	return &q
}

// Decision is the answer to a Request. Exactly one of Grant, Denied and Skip is set.
type Decision struct {
	Grant    *Grant
	Denied   []reason.Reason
	Warnings []reason.Reason // what a policy that only warns would have refused; with a Grant
	Skip     string          // why nothing is signed and nothing is wrong
	Policy   string          // name of the policy that decided; empty when none matched
	Rule     string          // its place: file:line (name)
	Matched  []string        // the places of all policies that matched; Explain tells of the others, too
}

// Considered is what one policy said about an artifact. Why is never empty.
type Considered struct {
	Policy  string `json:"policy"`
	Rule    string `json:"rule"`
	Matched bool   `json:"matched"`
	Why     string `json:"why"`
}

// Decide answers a request. Two policies that match one artifact and sign alike agree, and the first grants; when they
// sign differently nothing is signed and the refusal names both.
func (s *Set) Decide(req Request) Decision {
	q := req.question()
	q.apart = s.vocabulary.Apart
	c := s.consider(q, byNameAndFacts)
	if c.none && req.Subject.Kind == artifact.KindImage && req.Subject.Image.Tag == "" && q.about == req.Subject.Ref {
		return Decision{Skip: "no signing policy matches a manifest that stands under its digest alone; it is signed with the index that lists it", Matched: c.matched}
	}
	d := Decision{Denied: c.denied, Skip: c.skip, Matched: c.matched}
	if c.rule == nil {
		return d
	}
	d.Policy, d.Rule = c.rule.name, c.rule.rule
	switch {
	case len(d.Denied) > 0:
	case req.Subject.SHA256.IsZero():
		d.Denied = []reason.Reason{digestUnknown(req.Subject.Ref, c.rule)}
	case !c.rule.takes(req.Subject):
		d.Skip = fmt.Sprintf("%s signs no manifests for the platform %s", c.rule.rule, req.Subject.Image.Platform)
	default:
		lines := s.fitting(c.rule.lines, req.Subject.Kind)
		if len(lines) == 0 {
			d.Denied = []reason.Reason{s.formatUnfit(req.Subject, c.rule)}
			break
		}
		orders, shut := s.vocabulary.orders(lines, q.at)
		if d.Denied = s.outOfTime(q.at, c.rule, shut); len(d.Denied) > 0 {
			break
		}
		against := c.rule.objections(q)
		if len(against) > 0 && !c.rule.warn {
			d.Denied = against
			break
		}
		d.Warnings = against
		d.Grant = newGrant(req.Subject, c.rule, orders, s.digest)
	}
	return d
}

// objections are what speaks against signing: who brought the artifact, and the checks.
func (p *signingRule) objections(q *question) []reason.Reason {
	var out []reason.Reason
	if r := p.configuration.admits(q); r != nil {
		out = append(out, *r)
	}
	return append(out, failed(p.checks, q)...)
}

// source is the place of the rule's sign list.
func (p *signingRule) source() string {
	if p.configuration != nil {
		return p.configuration.rule
	}
	return p.rule
}

// fitting leaves of each line the formats that can sign a kind of artifact; nothing when not one of them counts as a
// signature by itself, for then the artifact would not be signed.
func (s *Set) fitting(lines []line, kind artifact.Kind) []line {
	var out []line
	signs := false
	for _, l := range lines {
		fit := slices.DeleteFunc(slices.Clone(l.formats), func(f string) bool { return !s.vocabulary.fits(f, kind) })
		if len(fit) > 0 {
			out = append(out, line{keys: l.keys, formats: fit})
		}
		signs = signs || slices.ContainsFunc(fit, func(f string) bool { return !slices.Contains(s.vocabulary.Apart, f) })
	}
	if !signs {
		return nil
	}
	return out
}

// choice is what the signing policies say about a reference, before the subject's facts count.
type choice struct {
	rule    *signingRule // the first that matched
	denied  []reason.Reason
	skip    string
	none    bool // no policy matched, and none could
	matched []string
}

// breadth is how much of a match is held against an artifact.
type breadth bool

// What is not in the name may be unknown: then policies that could match do.
const (
	byNameOnly     breadth = false
	byNameAndFacts breadth = true
)

func (s *Set) consider(q *question, b breadth) choice {
	var c choice
	var known known
	ref := q.about
	for i := range s.byRepository.of(ref.Repo) {
		p := s.signing[i]
		if !p.match.holds(ref.Instance, ref.Repo, ref.Path, q.event, &known) {
			continue
		}
		if b == byNameAndFacts {
			if lacks := q.lacks(p.match.needs()); lacks != 0 {
				c.denied = append(c.denied, factsUnknown(q, p, lacks))
				continue
			}
			if !p.match.suits(q) {
				continue
			}
		}
		c.matched = append(c.matched, p.rule)
		switch {
		case c.rule == nil:
			c.rule = p
		case b == byNameOnly && (p.match.conditional() || c.rule.match.conditional()):
		case !agree(c.rule, p):
			c.denied = append(c.denied, conflict(ref, c.rule, p))
		}
	}
	if c.rule != nil || len(c.denied) > 0 {
		return c
	}
	c.none = true
	if s.noMatch == Skip {
		c.skip = fmt.Sprintf("no signing policy matches %s and noMatch is skip", ref)
		return c
	}
	c.denied = []reason.Reason{s.noPolicy(ref)}
	return c
}

// does is what the policy does with what it matches, in one line.
func (p *signingRule) does() string {
	if when := p.match.conditions(); when != "" {
		return when + " " + p.outcome()
	}
	return p.outcome()
}

// requires lists what must hold before it is signed, a line each.
func (p *signingRule) requires() []string {
	var out []string
	if when := p.match.conditions(); when != "" {
		out = append(out, "only "+when)
	}
	if c := p.configuration; c != nil && c.as != nil {
		out = append(out, fmt.Sprintf("submitted by %s, as %s", c.submitters, strings.Join(c.as, ", ")))
	}
	if c := p.configuration; c != nil && !c.managers.empty() {
		out = append(out, "not submitted by "+c.managers.String())
	}
	for _, ch := range p.checks {
		out = append(out, "requires "+ch.name+": "+ch.text())
	}
	return out
}

// owners names the owners of policies once each; an operator when there are none.
func owners(named []string) string {
	var out []string
	seen := map[string]bool{}
	for _, o := range named {
		if !seen[o] {
			out = append(out, o)
		}
		seen[o] = true
	}
	if len(out) == 0 {
		return "the operator of Hallmark"
	}
	return strings.Join(clip(out), ", ")
}
