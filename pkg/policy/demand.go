package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Demand is everything the gate policies of one place ask for. When several policies guard it, all of them must be
// met. A Demand without policies, the zero Demand included, refuses everything.
type Demand struct {
	set      *Set
	target   artifact.Ref
	artifact artifact.Ref
	kind     artifact.Kind // "" when unknown
	gates    []*gateRule
	at       time.Time // zero: now
	question *question // what checks are asked about; nil when nobody said
}

// Demand returns what an artifact must carry to stand at target. Without a policy for it the answer is false and a
// Demand that refuses with the reason no-gate-policy.
func (s *Set) Demand(target artifact.Ref) (Demand, bool) {
	d := Demand{set: s, target: target}
	var known known
	for _, g := range s.gates {
		if g.target.holds(target.Instance, target.Repo, target.Path, "", &known) {
			d.gates = append(d.gates, g)
		}
	}
	return d, len(d.gates) > 0
}

// For returns the same demand for the artifact that would be promoted, so that the advice names it and is checked
// against the signing policy that would apply. Without it the advice names the target.
func (d Demand) For(ref artifact.Ref) Demand {
	d.artifact = ref
	return d
}

// Of returns the same demand for an artifact of a kind, so that refusals speak only of formats that it can have.
func (d Demand) Of(kind artifact.Kind) Demand {
	d.kind = kind
	return d
}

// fitting leaves out the formats that the kind cannot have; a line that demands no other keeps them.
func (d Demand) fitting(r requirement) requirement {
	if d.kind == "" {
		return r
	}
	fit := slices.DeleteFunc(slices.Clone(r.formats), func(f string) bool { return !d.set.vocabulary.fits(f, d.kind) })
	if len(fit) > 0 {
		r.formats = fit
	}
	return r
}

// Keys lists the names of all keys that count, sorted.
func (d Demand) Keys() []string { return d.collect(func(r requirement) []string { return r.keys }) }

// Formats lists the names of all formats that count, sorted.
func (d Demand) Formats() []string {
	return d.collect(func(r requirement) []string { return r.formats })
}

// Policy names the gate policies, in order.
func (d Demand) Policy() string {
	return d.names(func(g *gateRule) string { return g.name })
}

// Rule names their places: file:line (name).
func (d Demand) Rule() string {
	return d.names(func(g *gateRule) string { return g.rule })
}

// About returns the same demand for an artifact with the facts about it, at a moment.
func (d Demand) About(s artifact.Subject, facts Facts, at time.Time) Demand {
	d.kind, d.at = s.Kind, at
	d.question = &question{subject: s, about: d.target, at: at, facts: &facts}
	if d.set != nil {
		d.question.apart = d.set.vocabulary.Apart
	}
	return d
}

// At returns the same demand for a moment, which the age of signatures is counted from; without it that is now.
func (d Demand) At(at time.Time) Demand {
	d.at = at
	return d
}

// Forbidden lists the keys that must not have signed, sorted. Each of their signatures has to be looked for.
func (d Demand) Forbidden() []string {
	var out []string
	for _, g := range d.gates {
		if !g.warn {
			out = append(out, g.forbidden...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (d Demand) now() time.Time {
	if d.at.IsZero() {
		return time.Now()
	}
	return d.at
}

// subject is the artifact that advice speaks of.
func (d Demand) subject() artifact.Ref {
	if d.artifact == (artifact.Ref{}) {
		return d.target
	}
	return d.artifact
}

func (d Demand) noGate() reason.Reason {
	r := reason.Reason{
		Code:     reason.NoGatePolicy,
		Message:  fmt.Sprintf("no gate policy guards %s, and the gate fails closed", d.target),
		Found:    "no gate policies are loaded",
		Expected: "a GatePolicy whose target has this repository and path",
		Fix:      fmt.Sprintf("add repository %s to the target of a GatePolicy", d.target.Repo),
		Who:      "the operator of Hallmark",
	}
	if d.set == nil {
		return r
	}
	r.Fix += " in " + d.set.dir
	var found, named []string
	for _, g := range d.set.gates {
		if miss := g.target.test(d.target.Instance, d.target.Repo, d.target.Path, ""); miss != nil {
			found = append(found, fmt.Sprintf("%s: %s", g.rule, miss))
		}
		named = append(named, g.owner)
	}
	r.Who = owners(named)
	if len(found) > 0 {
		r.Found = strings.Join(clip(found), "; ")
	}
	return r
}

func (d Demand) collect(of func(requirement) []string) []string {
	var out []string
	for _, g := range d.gates {
		for _, r := range g.requirements {
			out = append(out, of(r)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (d Demand) names(of func(*gateRule) string) string {
	parts := make([]string, len(d.gates))
	for i, g := range d.gates {
		parts[i] = of(g)
	}
	return strings.Join(parts, ", ")
}

// clip keeps a list short enough for one line of a reason.
func clip(list []string) []string {
	const most = 4
	if len(list) <= most {
		return list
	}
	return append(slices.Clone(list[:most]), fmt.Sprintf("and %d more", len(list)-most))
}
