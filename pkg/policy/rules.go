package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Rule is one policy of a set as it was understood, for those who compare sets or count what was tried.
type Rule struct {
	Policy       string
	Kind         string // SigningPolicy or GatePolicy
	Rule         string // its place: file:line (name)
	Means        []string
	Requirements []Requirement // of a GatePolicy
}

// Requirement is one line of a gate: signatures by Count different keys out of Keys, in any of Formats. Both lists are
// complete: a lane is written out as its keys.
type Requirement struct {
	Rule    string
	Keys    []string
	Formats []string
	Count   int
}

// Rules lists the policies in the order in which they are asked. Means tells everything a policy says, a line each,
// apart from where it is written: two policies with the same lines decide alike.
func (s *Set) Rules() []Rule {
	var out []Rule
	for _, p := range s.signing {
		means := p.match.means("match")
		if len(p.platforms) > 0 {
			means = append(means, "images: platforms "+strings.Join(p.platforms, ", "))
		}
		means = append(means, "signs with "+ordersText(p.orders), "owner: "+p.owner)
		out = append(out, Rule{Policy: p.name, Kind: kindSigning, Rule: p.rule, Means: means})
	}
	for _, g := range s.gates {
		r := Rule{Policy: g.name, Kind: kindGate, Rule: g.rule, Means: g.target.means("target"), Requirements: g.lines()}
		for _, line := range g.requirements {
			r.Means = append(r.Means, "demands "+line.expected())
		}
		r.Means = append(r.Means, "owner: "+g.owner)
		out = append(out, r)
	}
	return out
}

// Requirements lists every line that would have to hold.
func (d Demand) Requirements() []Requirement {
	var out []Requirement
	for _, g := range d.gates {
		out = append(out, g.lines()...)
	}
	return out
}

func (g *gateRule) lines() []Requirement {
	var out []Requirement
	for _, r := range g.requirements {
		out = append(out, Requirement{Rule: r.rule, Keys: slices.Clone(r.keys), Formats: slices.Clone(r.formats), Count: r.count})
	}
	return out
}

// means tells the lines of a match that are written.
func (m match) means(what string) []string {
	var out []string
	for _, line := range []struct {
		name string
		list []string
	}{{"instances", m.instances}, {"repositories", m.repositories}, {"paths", m.paths}, {"exclude", m.exclude}, {"events", m.events}} {
		if len(line.list) > 0 {
			out = append(out, fmt.Sprintf("%s: %s %s", what, line.name, strings.Join(line.list, ", ")))
		}
	}
	return out
}
