package policy

import (
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// SigningPolicy is the YAML form of a policy that says which artifacts are signed, and with what.
type SigningPolicy struct {
	Header `yaml:",inline"`
	Match  Match `yaml:"match" required:"true" doc:"which artifacts the policy is about; all lines must hold"`
	Sign   []struct {
		Pos     strictyaml.Pos
		Key     strictyaml.Located[string]   `yaml:"key" required:"true" doc:"name of a configured key"`
		Formats []strictyaml.Located[string] `yaml:"formats" required:"true" doc:"one signature file is stored per format"`
	} `yaml:"sign" required:"true" doc:"what to sign with, a key a line"`
}

// signingRule is a SigningPolicy that was checked.
type signingRule struct {
	name, owner string
	rule        string // file:line (name)
	match       match
	orders      []Order
	lane        string // of its keys
}

func (c *compiler) signing(src source, p SigningPolicy) *signingRule {
	c.header(p.Header)
	r := &signingRule{
		name: p.Name.Value, owner: p.Owner.Value,
		rule:  place(src.short, p.Pos.Line, p.Name.Value),
		match: c.match(p.Match),
	}
	var keys []strictyaml.Located[string]
	for _, line := range p.Sign {
		c.known("key", line.Key, c.keyNames())
		if slices.ContainsFunc(r.orders, func(o Order) bool { return o.Key == line.Key.Value }) {
			c.fail(line.Key.Pos, "the key %q stands twice; list all its formats on one line", line.Key.Value)
		}
		keys = append(keys, line.Key)
		r.orders = append(r.orders, Order{Key: line.Key.Value, Formats: c.formats(line.Formats)})
	}
	c.oneLane(keys)
	if len(keys) > 0 {
		r.lane = c.lane(keys[0].Value)
	}
	return r
}

// formats checks format names and returns them without repetition, in the vocabulary's order, so that two policies
// that list the same formats differently do not disagree.
func (c *compiler) formats(named []strictyaml.Located[string]) []string {
	var wanted, out []string
	for _, f := range named {
		if c.known("format", f, c.vocabulary.Formats) {
			wanted = append(wanted, f.Value)
		}
	}
	for _, f := range c.vocabulary.Formats {
		if slices.Contains(wanted, f) {
			out = append(out, f)
		}
	}
	return out
}

// sameOrders compares keys in order, because the first key of a format takes the plain file name.
func sameOrders(a, b []Order) bool {
	return slices.EqualFunc(a, b, func(x, y Order) bool { return x.Key == y.Key && slices.Equal(x.Formats, y.Formats) })
}
