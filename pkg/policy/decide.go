package policy

import (
	"fmt"
	"slices"
	"strings"

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
	about := req.Subject.Ref
	if req.Whole != (artifact.Ref{}) {
		about = req.Whole
	}
	c := s.consider(about, req.Event)
	if c.rule == nil && req.Subject.Kind == artifact.KindImage && req.Subject.Image.Tag == "" && about == req.Subject.Ref {
		return Decision{Skip: "no signing policy matches a manifest that stands under its digest alone; it is signed with the index that lists it", Considered: c.considered}
	}
	d := Decision{Denied: c.denied, Skip: c.skip, Considered: c.considered}
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
		orders := s.fitting(c.rule.orders, req.Subject.Kind)
		if len(orders) == 0 {
			d.Denied = []reason.Reason{s.formatUnfit(req.Subject, c.rule)}
			break
		}
		d.Grant = newGrant(req.Subject, c.rule, orders, s.digest)
	}
	return d
}

// fitting leaves of each order the formats that can sign a kind of artifact.
func (s *Set) fitting(orders []Order, kind artifact.Kind) []Order {
	var out []Order
	for _, o := range orders {
		fit := slices.DeleteFunc(slices.Clone(o.Formats), func(f string) bool { return !s.vocabulary.fits(f, kind) })
		if len(fit) > 0 {
			out = append(out, Order{Key: o.Key, Formats: fit})
		}
	}
	return out
}

func (s *Set) formatUnfit(subject artifact.Subject, p *signingRule) reason.Reason {
	var fit []string
	for _, f := range s.vocabulary.Formats {
		if s.vocabulary.fits(f, subject.Kind) {
			fit = append(fit, f)
		}
	}
	return reason.Reason{
		Code:     reason.FormatUnfit,
		Message:  fmt.Sprintf("%s is of the kind %s, and the policy names no format for it", subject.Ref, subject.Kind),
		Found:    ordersText(p.orders),
		Expected: "one of the formats " + strings.Join(fit, ", "),
		Fix:      fmt.Sprintf("add formats: [%s] to the sign list of %s", strings.Join(fit, ", "), p.rule),
		Who:      p.owner,
		Rule:     p.rule,
	}
}

// choice is what the signing policies say about a reference, before the subject's facts count.
type choice struct {
	rule       *signingRule // the first that matched
	denied     []reason.Reason
	skip       string
	considered []Considered
}

func (s *Set) consider(ref artifact.Ref, event string) choice {
	c := choice{considered: []Considered{}}
	for _, p := range s.signing {
		said := Considered{Policy: p.name, Rule: p.rule}
		if miss := p.match.test(ref.Instance, ref.Repo, ref.Path, event); miss != nil {
			said.Why = miss.String()
			c.considered = append(c.considered, said)
			continue
		}
		said.Matched, said.Why = true, "signs with "+ordersText(p.orders)
		c.considered = append(c.considered, said)
		switch {
		case c.rule == nil:
			c.rule = p
		case !agree(c.rule, p):
			c.denied = append(c.denied, conflict(ref, c.rule, p))
		}
	}
	if c.rule != nil {
		return c
	}
	if s.noMatch == Skip {
		c.skip = fmt.Sprintf("no signing policy matches %s and noMatch is skip", ref)
		return c
	}
	c.denied = []reason.Reason{s.noPolicy(ref)}
	return c
}

func conflict(ref artifact.Ref, a, b *signingRule) reason.Reason {
	return reason.Reason{
		Code:     reason.PolicyConflict,
		Message:  fmt.Sprintf("two signing policies match %s and sign it differently, so it is not signed", ref),
		Found:    fmt.Sprintf("%s signs with %s; %s signs with %s", a.rule, ordersText(a.orders), b.rule, ordersText(b.orders)),
		Expected: "one signing policy for an artifact, or several with the same sign list in the same order",
		Fix:      fmt.Sprintf("narrow match or add exclude in one of them, then hallmark policy explain %s", ref),
		Who:      owners([]string{a.owner, b.owner}),
		Rule:     a.rule + " and " + b.rule,
	}
}

func digestUnknown(ref artifact.Ref, p *signingRule) reason.Reason {
	return reason.Reason{
		Code:     reason.DigestUnknown,
		Message:  fmt.Sprintf("the SHA-256 of %s is not known, so there is nothing to grant", ref),
		Found:    "no SHA-256",
		Expected: "the SHA-256 that Artifactory reports for the file",
		Fix:      "run Artifactory's SHA-256 migration, or upload the file again",
		Who:      "Artifactory administrators",
		Rule:     p.rule,
	}
}

func (s *Set) noPolicy(ref artifact.Ref) reason.Reason {
	var named []string
	for _, p := range s.signing {
		named = append(named, p.owner)
	}
	return reason.Reason{
		Code:     reason.NoPolicy,
		Message:  fmt.Sprintf("no signing policy matches %s and noMatch is deny", ref),
		Found:    fmt.Sprintf("%d signing policies, none matches; hallmark policy explain %s says why", len(s.signing), ref),
		Expected: "a signing policy that matches it",
		Fix:      fmt.Sprintf("let the match of a SigningPolicy in %s cover %s, or set noMatch: skip", s.dir, ref),
		Who:      owners(named),
	}
}

// owners names the owners of policies once each; an operator when there are none.
func owners(named []string) string {
	var out []string
	for _, o := range named {
		if !slices.Contains(out, o) {
			out = append(out, o)
		}
	}
	if len(out) == 0 {
		return "the operator of Hallmark"
	}
	return strings.Join(clip(out), ", ")
}

// ordersText renders a sign list as "release-2026 (sigstore, raw)".
func ordersText(orders []Order) string {
	parts := make([]string, len(orders))
	for i, o := range orders {
		parts[i] = o.Key + " (" + strings.Join(o.Formats, ", ") + ")"
	}
	return strings.Join(parts, " and ")
}
