package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// GatePolicy is the YAML form of a policy that says what an artifact must carry before it may enter a repository.
type GatePolicy struct {
	Header  `yaml:",inline"`
	Target  Target       `yaml:"target" required:"true" doc:"the places the policy guards"`
	Require Requirements `yaml:"require" required:"true" doc:"what must be there; every line must hold"`
}

// Target says which places a gate policy guards.
type Target struct {
	Instances    []strictyaml.Located[string] `yaml:"instances" default:"all" doc:"names of configured Artifactory instances"`
	Repositories []strictyaml.Located[string] `yaml:"repositories" required:"true" doc:"repository names; * stands for any characters"`
	Paths        []strictyaml.Located[string] `yaml:"paths" default:"**" doc:"path patterns; a path that no gate policy covers is refused"`
}

// Requirements is what a gate demands.
type Requirements struct {
	Signatures []SignatureRequirement `yaml:"signatures" required:"true" doc:"signatures that must verify, a rule a line"`
}

// SignatureRequirement counts signatures: so many different keys out of a list, or of a lane, must have signed.
type SignatureRequirement struct {
	Pos     strictyaml.Pos
	Keys    []strictyaml.Located[string] `yaml:"keys" doc:"names of configured keys that count; either this or lane"`
	Lane    strictyaml.Located[string]   `yaml:"lane" oneof:"development,release" doc:"every configured key of this lane counts"`
	Count   *int                         `yaml:"count" default:"1" doc:"how many different keys must have signed; required with several keys"`
	Formats []strictyaml.Located[string] `yaml:"formats" default:"any" doc:"only signatures in these formats count"`
}

// gateRule is a GatePolicy that was checked.
type gateRule struct {
	name, owner  string
	rule         string
	target       match
	requirements []requirement
}

// requirement is a SignatureRequirement that was checked: count ≥ 1, and at least count keys.
type requirement struct {
	rule    string   // file:line (name) of the line
	lane    string   // empty when the policy names keys
	keys    []string // that count
	keyLane string   // of those keys
	count   int
	formats []string // that count, never empty
}

func (c *compiler) gate(src source, p GatePolicy) *gateRule {
	c.header(p.Header)
	g := &gateRule{
		name: p.Name.Value, owner: p.Owner.Value,
		rule: place(src.short, p.Pos.Line, p.Name.Value),
		target: match{
			instances:    c.instances(p.Target.Instances),
			repositories: c.globs("repositories", p.Target.Repositories, checkRepositoryGlob),
			paths:        c.globs("paths", p.Target.Paths, checkPathGlob),
		},
	}
	for _, line := range p.Require.Signatures {
		r := requirement{rule: place(src.short, line.Pos.Line, p.Name.Value), lane: line.Lane.Value, count: 1}
		if r.formats = c.vocabulary.Formats; len(line.Formats) > 0 {
			r.formats = c.formats(line.Formats)
		}
		if c.counted(&r, line) {
			g.requirements = append(g.requirements, r)
		}
	}
	return g
}

// counted fills in which keys count and how many, and refuses rules that nothing could satisfy.
func (c *compiler) counted(r *requirement, line SignatureRequirement) bool {
	for _, k := range line.Keys {
		if c.known("key", k, c.keyNames()) && !slices.Contains(r.keys, k.Value) {
			r.keys = append(r.keys, k.Value)
		}
	}
	switch {
	case c.partial:
		return false
	case (len(line.Keys) > 0) == (line.Lane.Value != ""):
		c.fail(line.Pos, "write either keys: [names] or lane: release, not both and not neither")
		return false
	case len(line.Keys) > 0:
		if len(r.keys) == 0 {
			return false
		}
		c.oneLane(line.Keys)
	default:
		for _, k := range c.vocabulary.Keys {
			if k.Lane == line.Lane.Value {
				r.keys = append(r.keys, k.Name)
			}
		}
		if len(r.keys) == 0 {
			c.fail(line.Lane.Pos, "no configured key has the lane %s, so nothing could ever pass; give a key lane: %s", line.Lane.Value, line.Lane.Value)
			return false
		}
	}
	if line.Count != nil {
		r.count = *line.Count
	} else if len(line.Keys) > 1 {
		c.fail(line.Pos, "several keys need a count: write count: 1 when any of them will do, count: %d when all must sign", len(line.Keys))
	}
	if r.count < 1 || r.count > len(r.keys) {
		c.fail(line.Pos, "count is %d but must be from 1 to %d: the keys that count here are %s",
			r.count, len(r.keys), strings.Join(r.keys, ", "))
		return false
	}
	r.keyLane = c.lane(r.keys[0])
	return true
}

// what names the keys that count: "a release key (release-2026)" or "release-a or release-b".
func (r requirement) what() string {
	if r.lane != "" {
		return fmt.Sprintf("a %s key (%s)", r.lane, strings.Join(r.keys, ", "))
	}
	return strings.Join(r.keys, " or ")
}

// expected is the requirement in one phrase.
func (r requirement) expected() string {
	if r.count == 1 {
		return fmt.Sprintf("1 signature by %s, format %s", r.what(), strings.Join(r.formats, " or "))
	}
	return fmt.Sprintf("signatures by %d different keys, each by %s, format %s", r.count, r.what(), strings.Join(r.formats, " or "))
}
