package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rule is one policy of a set as it was understood, for those who compare sets or count what was tried.
type Rule struct {
	Policy       string
	Kind         string // SigningPolicy, GatePolicy or SigningConfiguration
	Rule         string // its place: file:line (name)
	Means        []string
	Lane         string        // of a SigningConfiguration
	Requirements []Requirement // of a GatePolicy
	Checks       []string      // places of its checks, and of what a GatePolicy forbids
}

// The kinds that are asked for elsewhere.
const (
	SigningKind       = kindSigning       // of a policy about signing
	ConfigurationKind = kindConfiguration // of what such a policy may sign through
)

// Requirement is one line of a gate: signatures by Count different keys out of Keys, in any of Formats, of at least a
// level of trust, not older than MaxAge (0: any). Both lists are complete: a lane is written out as its keys.
type Requirement struct {
	Rule    string
	Keys    []string
	Formats []string
	Count   int
	Level   int
	MaxAge  time.Duration
}

// Rules lists the policies in the order in which they are asked. Means tells everything a policy says, a line each,
// apart from where it is written: two policies with the same lines decide alike, if their configurations do. These are
// listed last.
func (s *Set) Rules() []Rule {
	var out []Rule
	for _, p := range s.signing {
		means := append(p.match.means("match"), modeMeans(p.warn)...)
		if len(p.platforms) > 0 {
			means = append(means, "images: platforms "+strings.Join(p.platforms, ", "))
		}
		for _, ch := range p.checks {
			means = append(means, "requires "+ch.means())
		}
		if p.configuration != nil {
			means = append(means, "configuration: "+p.configuration.name)
		}
		means = append(means, "signs with "+linesText(p.lines), "owner: "+p.owner)
		out = append(out, Rule{Policy: p.name, Kind: kindSigning, Rule: p.rule, Means: means, Checks: checkPlaces(p.checks)})
	}
	for _, g := range s.gates {
		r := Rule{Policy: g.name, Kind: kindGate, Rule: g.rule, Means: g.target.means("target"), Requirements: g.lines(), Checks: checkPlaces(g.checks)}
		if g.forbids != "" {
			r.Checks = append(r.Checks, g.forbids)
		}
		r.Means = append(r.Means, modeMeans(g.warn)...)
		if len(g.forbidden) > 0 {
			r.Means = append(r.Means, "forbids "+strings.Join(g.forbidden, ", "))
		}
		for _, ch := range g.checks {
			r.Means = append(r.Means, "requires "+ch.means())
		}
		for _, line := range g.requirements {
			r.Means = append(r.Means, "demands "+line.expected())
		}
		r.Means = append(r.Means, "owner: "+g.owner)
		out = append(out, r)
	}
	for _, conf := range s.configurations {
		out = append(out, Rule{Policy: conf.name, Kind: kindConfiguration, Lane: conf.lane, Rule: conf.rule, Means: conf.means()})
	}
	return out
}

// Requirements lists every line that has to hold: policies that only warn have none.
func (d Demand) Requirements() []Requirement {
	var out []Requirement
	for _, g := range d.gates {
		if !g.warn {
			out = append(out, g.lines()...)
		}
	}
	return out
}

// Checks tells every check that has to hold, a line each.
func (d Demand) Checks() []string {
	var out []string
	for _, g := range d.gates {
		for _, ch := range g.checks {
			if !g.warn {
				out = append(out, ch.text())
			}
		}
	}
	return out
}

func (g *gateRule) lines() []Requirement {
	var out []Requirement
	for _, r := range g.requirements {
		out = append(out, Requirement{Rule: r.rule, Keys: slices.Clone(r.keys), Formats: slices.Clone(r.formats), Count: r.count, Level: r.level, MaxAge: r.maxAge})
	}
	return out
}

// means tells the lines of a match that are written.
func (m *match) means(what string) []string {
	var out []string
	for _, line := range []struct {
		name string
		list []string
	}{{"instances", m.instances}, {"repositories", m.repositories}, {"paths", m.paths}, {"exclude", m.exclude}, {"events", m.events}, {"kinds", m.kinds}, {"projects", m.projects}} {
		if len(line.list) > 0 {
			out = append(out, fmt.Sprintf("%s: %s %s", what, line.name, strings.Join(line.list, ", ")))
		}
	}
	for _, p := range m.properties {
		out = append(out, fmt.Sprintf("%s: %s", what, p.text()))
	}
	return out
}

func checkPlaces(checks []*check) []string {
	var out []string
	for _, ch := range checks {
		out = append(out, ch.rule)
	}
	return out
}

func modeMeans(warn bool) []string {
	if warn {
		return []string{"mode: warn"}
	}
	return nil
}

// means is all that the check says, on one line.
func (ch *check) means() string {
	return fmt.Sprintf("%s: %s; message %q, fix %q, who %q", ch.name, ch.text(), ch.message, ch.fix, ch.who)
}

// means tells everything that a configuration says.
func (r *configuration) means() []string {
	out := []string{"lane: " + r.lane}
	if r.product != "" {
		out = append(out, "product: "+r.product)
	}
	if r.as != nil {
		out = append(out, fmt.Sprintf("submitters: %s, as %s", r.submitters.all(), strings.Join(r.as, ", ")))
	}
	if !r.managers.empty() {
		out = append(out, "managers: "+r.managers.all())
	}
	return append(out, "signs with "+linesText(r.lines), "owner: "+r.owner)
}
