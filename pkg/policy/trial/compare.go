package trial

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// The effects that a change of policies can have on one artifact, the gravest first.
const (
	NewlyAllowed     = "newly-allowed"     // a gate refused it and would allow it
	NewlyRefused     = "newly-refused"     // it was allowed or left alone, and would be refused
	NewlySigned      = "newly-signed"      // it was not signed and would be
	NoLongerSigned   = "no-longer-signed"  // it was signed and would not be
	SignedOtherwise  = "signed-otherwise"  // with other keys or formats
	NoLongerRefused  = "no-longer-refused" // its signing was refused and it would be left alone
	RefusedOtherwise = "refused-otherwise" // for other reasons
)

var effects = []string{NewlyAllowed, NewlyRefused, NewlySigned, NoLongerSigned, SignedOtherwise, NoLongerRefused, RefusedOtherwise}

// maxExamples bounds what is kept of one effect.
const maxExamples = 5

// Group is everything on which a change has one effect.
type Group struct {
	Effect   string    `json:"effect"`
	Because  string    `json:"because,omitempty"` // of a replay: the rule and the reasons that make the difference
	Count    int       `json:"count"`
	Examples []Example `json:"examples"` // the first few
}

// Example is one artifact that would fare otherwise.
type Example struct {
	Artifact string          `json:"artifact"`       // repository/path; at a gate the target
	Source   string          `json:"source"`         // "file:line (name of the case)", or "inventory file:line"
	Given    string          `json:"given"`          // the event, or the signatures that are there
	Then     string          `json:"then,omitempty"` // of a replay: what was decided, where the policies in force say otherwise already
	Before   string          `json:"before"`
	After    string          `json:"after"`
	Reasons  []reason.Reason `json:"reasons"` // of what would be refused
}

// Comparison gathers the effects of a change. It is not safe for concurrent use, and its memory does not grow with the
// inventory.
type Comparison struct {
	old, new  *Trial
	groups    map[string]*Group
	cases     int
	paths     int
	unsure    bool
	witnesses map[string]witness
	told      map[string]bool                             // what cases at gates asked, so that it is not told twice
	allowed   int                                         // newly
	because   func(effect string, old, new answer) string // what a group is about besides its effect; nil: nothing
}

func newComparison(old, new *Trial) *Comparison {
	return &Comparison{old: old, new: new, groups: map[string]*Group{}, witnesses: map[string]witness{}, told: map[string]bool{}}
}

// Compare puts every case of both sides to both sets; what the cases expect does not matter here. At the target of each
// case about a gate it also looks for any signatures that would fare otherwise.
func Compare(old, new *Trial) *Comparison {
	c := newComparison(old, new)
	asked := map[string]bool{}
	all := slices.Concat(new.Cases, old.Cases)
	for _, one := range all {
		if key := one.question(); !asked[key] {
			asked[key] = true
			c.put(one)
		}
	}
	for _, one := range all {
		if one.gate {
			c.gate(one.target, "any signatures at the target of "+one.source(), true)
		}
	}
	return c
}

// question is what a case asks, so that one written on both sides counts once.
func (c *Case) question() string {
	nameless := func(evidence []policy.Evidence) []policy.Evidence {
		out := slices.Clone(evidence)
		for i := range out {
			out[i].File = ""
		}
		return out
	}
	r := c.request
	r.Facts.Signatures = nameless(r.Facts.Signatures)
	asked, err := json.Marshal([]any{c.gate, r, c.target, c.artifact, nameless(c.evidence)})
	if err != nil { // none of it can fail
		return c.source()
	}
	return string(asked)
}

func (c *Comparison) put(one *Case) {
	c.cases++
	e := Example{Artifact: one.request.Subject.Ref.String(), Source: one.source(), Given: announced(one.request.Event)}
	if one.gate {
		e.Artifact, e.Given = one.target.String(), evidenceText(one.evidence, one.request.At)
		c.told[one.target.Instance+" "+e.Artifact+" "+e.Given] = true
	}
	c.weigh(one.gate, ask(c.old.Set, one), ask(c.new.Set, one), e)
}

func (c *Case) source() string { return fmt.Sprintf("%s:%d (%s)", c.Pos.File, c.Pos.Line, c.Name) }

func announced(event string) string {
	if event == "" {
		return "asked for by name"
	}
	return event
}

// maxGroups bounds the groups of a comparison; what comes after them is counted by its effect alone.
const maxGroups = 500

// weigh notes the effect, if there is one.
func (c *Comparison) weigh(gate bool, old, new answer, e Example) {
	effect := effectOf(gate, old, new)
	if effect == "" {
		return
	}
	if effect == NewlyAllowed {
		c.allowed++
	}
	key, because := effect, ""
	if c.because != nil {
		because = c.because(effect, old, new)
		key += "\x00" + because
	}
	g := c.groups[key]
	if g == nil && len(c.groups) >= maxGroups {
		key, because = effect, ""
		g = c.groups[key]
	}
	if g == nil {
		g = &Group{Effect: effect, Because: because, Examples: []Example{}}
		c.groups[key] = g
	}
	if g.Count++; len(g.Examples) < maxExamples {
		e.Before, e.After, e.Reasons = old.text(), new.text(), append([]reason.Reason{}, new.reasons...)
		g.Examples = append(g.Examples, e)
	}
}

// list is the groups: the gravest effect first, then the largest.
func (c *Comparison) list() []Group {
	out := []Group{}
	for _, g := range c.groups {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(slices.Index(effects, a.Effect), slices.Index(effects, b.Effect)), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Because, b.Because))
	})
	return out
}

func effectOf(gate bool, old, new answer) string {
	switch {
	case old.outcome == new.outcome && (old.rough || new.rough):
		return ""
	case old.outcome == new.outcome && !slices.Equal(old.codes(), new.codes()):
		return RefusedOtherwise
	case old.outcome == new.outcome && !sameOrders(old.orders, new.orders):
		return SignedOtherwise
	case old.outcome == new.outcome:
		return ""
	case gate && new.outcome == "allow":
		return NewlyAllowed
	case new.outcome == "sign":
		return NewlySigned
	case old.outcome == "sign":
		return NoLongerSigned
	case new.outcome == "skip":
		return NoLongerRefused
	}
	return NewlyRefused
}

// Change is one policy that is not what it was. Before and After are the lines that differ.
type Change struct {
	Policy string   `json:"policy"`
	Kind   string   `json:"kind"`
	Change string   `json:"change"` // added, removed or changed
	Rule   string   `json:"rule"`   // its place; the old one if it was removed
	Before []string `json:"before"`
	After  []string `json:"after"`
}

// changes compares policies by name. Where a policy is written does not matter.
func changes(old, new *policy.Set) []Change {
	out := []Change{}
	before, after := old.Rules(), new.Rules()
	find := func(in []policy.Rule, like policy.Rule) (policy.Rule, bool) {
		i := slices.IndexFunc(in, func(r policy.Rule) bool { return r.Policy == like.Policy && r.Kind == like.Kind })
		if i < 0 {
			return policy.Rule{}, false
		}
		return in[i], true
	}
	for _, b := range after {
		a, was := find(before, b)
		switch {
		case !was:
			out = append(out, Change{b.Policy, b.Kind, "added", b.Rule, []string{}, b.Means})
		case !slices.Equal(a.Means, b.Means):
			out = append(out, Change{b.Policy, b.Kind, "changed", b.Rule, without(a.Means, b.Means), without(b.Means, a.Means)})
		}
	}
	for _, a := range before {
		if _, is := find(after, a); !is {
			out = append(out, Change{a.Policy, a.Kind, "removed", a.Rule, a.Means, []string{}})
		}
	}
	return out
}

// without leaves out of a list what stands in another. Where only order differs, all of it stays.
func without(list, other []string) []string {
	out := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return contains(other, s) })
	if len(out) == 0 && len(list) == len(other) {
		return list
	}
	return append([]string{}, out...)
}
