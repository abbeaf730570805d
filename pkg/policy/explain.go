package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Explanation says what would happen to an artifact of this name and why. It grants nothing.
type Explanation struct {
	Instance   string          `json:"instance"`
	Artifact   string          `json:"artifact"` // repository/path
	Event      string          `json:"event,omitempty"`
	Outcome    string          `json:"outcome"` // "sign", "skip" or "deny"
	Policy     string          `json:"policy,omitempty"`
	Rule       string          `json:"rule,omitempty"`
	Orders     []Order         `json:"orders"`
	Requires   []string        `json:"requires"` // what must hold besides, a line each; the artifact was not looked at
	Mode       string          `json:"mode,omitempty"`
	Skip       string          `json:"skip,omitempty"`
	Reasons    []reason.Reason `json:"reasons"`
	Considered []Considered    `json:"considered"` // every signing policy
	Gates      []Considered    `json:"gates"`      // every gate policy, as if this were the target
	PolicySet  artifact.Digest `json:"policySet"`
}

// Explain answers like Decide, for a name alone: the artifact need not exist.
func (s *Set) Explain(ref artifact.Ref, event string) Explanation {
	now := time.Now()
	c := s.consider(&question{subject: artifact.Subject{Info: artifact.Info{Ref: ref}}, about: ref, event: event, at: now}, byNameOnly)
	e := Explanation{
		Instance: ref.Instance, Artifact: ref.String(), Event: event, Outcome: "sign",
		Orders: []Order{}, Requires: []string{}, Skip: c.skip, Reasons: []reason.Reason{},
		Considered: s.considered(ref, event), Gates: []Considered{}, PolicySet: s.digest,
	}
	if c.rule != nil {
		e.Policy, e.Rule = c.rule.name, c.rule.rule
	}
	switch {
	case len(c.denied) > 0:
		e.Outcome, e.Reasons = "deny", c.denied
	case c.skip != "":
		e.Outcome = "skip"
	default:
		orders, shut := s.vocabulary.orders(c.rule.lines, now)
		if len(shut) > 0 {
			e.Outcome, e.Reasons = "deny", s.outOfTime(now, c.rule, shut)
			break
		}
		e.Orders, e.Requires = orders, append(e.Requires, c.rule.requires()...)
		for _, l := range c.rule.lines {
			if len(l.keys) > 1 {
				e.Requires = append(e.Requires, s.vocabulary.turn(l, now))
			}
		}
		if c.rule.warn {
			e.Mode = modeWarn
		}
	}
	for _, g := range s.gates {
		said := Considered{Policy: g.name, Rule: g.rule}
		if miss := g.target.test(ref.Instance, ref.Repo, ref.Path, ""); miss != nil {
			said.Why = miss.String()
		} else {
			said.Matched, said.Why = true, g.demands()
		}
		e.Gates = append(e.Gates, said)
	}
	return e
}

// considered is what every signing policy says about a name.
func (s *Set) considered(ref artifact.Ref, event string) []Considered {
	out := []Considered{}
	for _, p := range s.signing {
		said := Considered{Policy: p.name, Rule: p.rule}
		if miss := p.match.test(ref.Instance, ref.Repo, ref.Path, event); miss != nil {
			said.Why = miss.String()
		} else {
			said.Matched, said.Why = true, p.does()
		}
		out = append(out, said)
	}
	return out
}

// Text renders the explanation as the CLI prints it.
func (e Explanation) Text() string {
	var b strings.Builder
	about := e.Artifact
	if e.Event != "" {
		about += " on " + e.Event
	}
	switch e.Outcome {
	case "sign":
		fmt.Fprintf(&b, "SIGN  %s\n  %s\n", about, e.Rule)
		for _, o := range e.Orders {
			fmt.Fprintf(&b, "    key %s, formats %s\n", o.Key, strings.Join(o.Formats, ", "))
		}
		for _, line := range e.Requires {
			fmt.Fprintf(&b, "    %s\n", line)
		}
		if e.Mode == modeWarn {
			fmt.Fprintf(&b, "    mode warn: signs in any case, and tells what does not hold\n")
		}
	case "skip":
		fmt.Fprintf(&b, "SKIP  %s\n  %s\n", about, e.Skip)
	default:
		fmt.Fprintf(&b, "DENY  %s\n", about)
		for _, r := range e.Reasons {
			b.WriteString(r.Text())
		}
	}
	section(&b, "signing policies", e.Considered)
	section(&b, "gate policies, with this as the target", e.Gates)
	return b.String()
}

func section(b *strings.Builder, title string, said []Considered) {
	fmt.Fprintf(b, "\n%s\n", title)
	if len(said) == 0 {
		b.WriteString("  none\n")
	}
	for _, c := range said {
		mark := "no "
		if c.Matched {
			mark = "yes"
		}
		fmt.Fprintf(b, "  %s  %s\n       %s\n", mark, c.Rule, c.Why)
	}
}

// demands is everything one gate policy asks for, in one line.
func (g *gateRule) demands() string {
	parts := make([]string, len(g.requirements))
	for i, r := range g.requirements {
		parts[i] = r.expected()
	}
	text := "demands " + strings.Join(parts, "; and ")
	if len(g.forbidden) > 0 {
		text += "; forbids " + strings.Join(clip(g.forbidden), ", ")
	}
	for _, ch := range g.checks {
		text += "; requires " + ch.name + " (" + ch.text() + ")"
	}
	if g.warn {
		text += "; warns only"
	}
	return text
}
