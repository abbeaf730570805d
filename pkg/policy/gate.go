package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// GatePolicy is the YAML form of a policy that says what an artifact must carry before it may enter a repository.
type GatePolicy struct {
	Header  `yaml:",inline"`
	Mode    strictyaml.Located[string] `yaml:"mode" default:"enforce" oneof:"enforce,warn" doc:"warn lets in what the policy would refuse, and tells so"`
	Target  Target                     `yaml:"target" required:"true" doc:"the places the policy guards"`
	Require Requirements               `yaml:"require" required:"true" doc:"what must be there; every line must hold"`
}

// Target says which places a gate policy guards.
type Target struct {
	Instances    []strictyaml.Located[string] `yaml:"instances" default:"all" doc:"names of configured Artifactory instances"`
	Repositories []strictyaml.Located[string] `yaml:"repositories" required:"true" doc:"repository names; * stands for any characters"`
	Paths        []strictyaml.Located[string] `yaml:"paths" default:"**" doc:"path patterns; a path that no gate policy covers is refused"`
}

// Requirements is what a gate demands.
type Requirements struct {
	Pos        strictyaml.Pos
	Signatures []SignatureRequirement `yaml:"signatures" required:"true" doc:"signatures that must verify, a rule a line"`
	TrustLevel *int                   `yaml:"trustLevel" default:"2" doc:"the least trust at which a signature counts: 2 by a pinned key, 3 by one whose certificate chains to the root of trust"`
	Forbidden  *Forbidden             `yaml:"forbidden" doc:"keys that must not have signed the same bytes"`
	Checks     []Check                `yaml:"checks" doc:"checks that must hold besides"`
}

// Forbidden names keys that must not have signed: what is signed for development never leaves, whatever else is there.
type Forbidden struct {
	Pos  strictyaml.Pos
	Keys []strictyaml.Located[string] `yaml:"keys" doc:"names of configured keys; either this or lane"`
	Lane strictyaml.Located[string]   `yaml:"lane" oneof:"development,release" doc:"every configured key of this lane"`
}

// SignatureRequirement counts signatures: so many different keys out of a list, or of a lane, must have signed.
type SignatureRequirement struct {
	Pos     strictyaml.Pos
	Keys    []strictyaml.Located[string] `yaml:"keys" doc:"names of configured keys that count; either this or lane"`
	Lane    strictyaml.Located[string]   `yaml:"lane" oneof:"development,release" doc:"every configured key of this lane counts"`
	Count   *int                         `yaml:"count" default:"1" doc:"how many different keys must have signed; required with several keys"`
	Formats []strictyaml.Located[string] `yaml:"formats" default:"any" doc:"only signatures in these formats count"`
	MaxAge  *Span                        `yaml:"maxAge" default:"any" doc:"how old a signature may be, such as 90d; the ledger's record of its making counts"`
}

// gateRule is a GatePolicy that was checked.
type gateRule struct {
	name, owner  string
	rule         string
	target       match
	requirements []requirement
	warn         bool
	forbidden    []string // keys
	forbids      string   // place of the line
	checks       []*check
}

// requirement is a SignatureRequirement that was checked: count ≥ 1, and at least count keys.
type requirement struct {
	words   *Vocabulary
	level   int           // the least trust level
	maxAge  time.Duration // 0: any
	rule    string        // file:line (name) of the line
	lane    string        // empty when the policy names keys
	keys    []string      // that count
	keyLane string        // of those keys
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
	g.warn, g.checks = p.Mode.Value == modeWarn, c.checks(src, p.Header, p.Require.Checks)
	level := levelPinned
	if l := p.Require.TrustLevel; l != nil {
		if level = *l; level < levelPinned || level > levelChained {
			c.fail(p.Require.Pos, "trustLevel is %d; write %d or %d", level, levelPinned, levelChained)
		}
	}
	for _, line := range p.Require.Signatures {
		if r, ok := c.requirement(line); ok {
			r.rule, r.level = place(src.short, line.Pos.Line, p.Name.Value), level
			g.requirements = append(g.requirements, r)
		}
	}
	c.forbidden(src, g, p)
	return g
}

// The levels of trust that a verified signature can have.
const (
	levelPinned  = 2
	levelChained = 3
)

// requirement checks a line; its place and level are the caller's.
func (c *compiler) requirement(line SignatureRequirement) (requirement, bool) {
	r := requirement{words: &c.vocabulary, lane: line.Lane.Value, count: 1, level: levelPinned}
	if r.formats = c.vocabulary.counting(); len(line.Formats) > 0 {
		r.formats = c.formats(line.Formats)
	}
	if line.MaxAge != nil {
		r.maxAge = time.Duration(*line.MaxAge)
	}
	ok := c.counted(&r, line)
	return r, ok
}

// forbidden fills in the keys that must not have signed. A key that is demanded and forbidden could never pass.
func (c *compiler) forbidden(src source, g *gateRule, p GatePolicy) {
	y := p.Require.Forbidden
	if y == nil || c.partial {
		return
	}
	if (len(y.Keys) > 0) == (y.Lane.Value != "") {
		c.fail(y.Pos, "forbidden: write either keys: [names] or lane: development, not both and not neither")
		return
	}
	g.forbids = place(src.short, y.Pos.Line, p.Name.Value)
	for _, k := range y.Keys {
		if c.known("key", k, c.keyNames()) {
			g.forbidden = append(g.forbidden, k.Value)
		}
	}
	for _, k := range c.vocabulary.Keys {
		if y.Lane.Value != "" && k.Lane == y.Lane.Value {
			g.forbidden = append(g.forbidden, k.Name)
		}
	}
	for i, r := range g.requirements {
		may := slices.DeleteFunc(slices.Clone(r.keys), func(k string) bool { return slices.Contains(g.forbidden, k) })
		if len(may) < r.count {
			c.fail(y.Pos, "forbidden: %s is demanded by %s, so nothing could ever pass", strings.Join(r.keys, ", "), g.requirements[i].rule)
		}
	}
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
	further := ""
	if r.maxAge > 0 {
		further += ", not older than " + Span(r.maxAge).String()
	}
	if r.level > levelPinned {
		further += fmt.Sprintf(", trust level %d", r.level)
	}
	if r.count == 1 {
		return fmt.Sprintf("1 signature by %s, format %s%s", r.what(), strings.Join(r.formats, " or "), further)
	}
	return fmt.Sprintf("signatures by %d different keys, each by %s, format %s%s", r.count, r.what(), strings.Join(r.formats, " or "), further)
}

// lacking is what would make the rule pass when some keys have signed already.
func (r requirement) lacking(have []string) string {
	if len(have) == 0 {
		return "with " + r.expected()
	}
	rest := r
	rest.lane, rest.count = "", r.count-len(have)
	rest.keys = slices.DeleteFunc(slices.Clone(r.keys), func(k string) bool { return slices.Contains(have, k) })
	return "with " + rest.expected() + ", besides " + strings.Join(have, ", ")
}

// implies reports whether whatever meets r meets the other too.
func (r requirement) implies(other requirement) bool {
	within := func(few, many []string) bool {
		return !slices.ContainsFunc(few, func(s string) bool { return !slices.Contains(many, s) })
	}
	return within(r.keys, other.keys) && within(r.formats, other.formats) && r.count >= other.count && r.level >= other.level &&
		(other.maxAge == 0 || r.maxAge > 0 && r.maxAge <= other.maxAge)
}
