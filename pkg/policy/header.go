package policy

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// The kinds of policy documents.
const (
	kindSigning       = "SigningPolicy"
	kindGate          = "GatePolicy"
	kindConfiguration = "SigningConfiguration"
)

var documentKinds = []string{kindSigning, kindGate, kindConfiguration}

// Header stands at the top of every policy.
type Header struct {
	Pos   strictyaml.Pos
	Kind  string                     `yaml:"kind" required:"true" oneof:"SigningPolicy,GatePolicy,SigningConfiguration" doc:"what sort of policy this is"`
	Name  strictyaml.Located[string] `yaml:"name" required:"true" doc:"a short name, unique among all policies; it is shown in every decision"`
	Owner strictyaml.Located[string] `yaml:"owner" required:"true" doc:"who answers for this policy; shown to everyone it refuses"`
}

// nameShape keeps names fit for properties, metrics and file names.
var nameShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

const maxOwner = 128

func (c *compiler) header(h Header) {
	name := h.Name.Value
	if name == "" {
		return // strictyaml said so
	}
	if !nameShape.MatchString(name) {
		c.fail(h.Name.Pos, "name: %q is not a name; use letters, digits, '.', '-' and '_', at most 63", name)
	} else if first, taken := c.named[name]; taken {
		c.fail(h.Name.Pos, "name: %q is taken by the policy at %s; names are unique", name, first)
	} else {
		c.named[name] = h.Name.Pos
	}
	c.oneLine("owner", h.Owner, maxOwner)
}

// maxLine bounds what is shown to people, in bytes.
const maxLine = 500

// oneLine refuses text that cannot be shown on one line.
func (c *compiler) oneLine(field string, text strictyaml.Located[string], most int) {
	if len(text.Value) > most || strings.ContainsFunc(text.Value, unicode.IsControl) {
		c.fail(text.Pos, "%s: write one short line, at most %d bytes, without control characters", field, most)
	}
}

// known checks that a policy speaks only of things that are configured. what is the word for one of them. An empty name
// was already refused when the file was decoded.
func (c *compiler) known(what string, named strictyaml.Located[string], known []string) bool {
	if named.Value == "" {
		return false
	}
	if slices.Contains(known, named.Value) {
		return true
	}
	c.fail(named.Pos, "unknown %s %q; %s", what, named.Value, strictyaml.Hint(named.Value, known))
	return false
}

func (c *compiler) keyNames() []string {
	var out []string
	for _, k := range c.vocabulary.Keys {
		out = append(out, k.Name)
	}
	return out
}

func (c *compiler) lane(key string) string { return c.vocabulary.lane(key) }

// oneLane refuses a rule whose keys are of different lanes. Unknown keys were refused already.
func (c *compiler) oneLane(keys []strictyaml.Located[string]) {
	var first string
	for _, k := range keys {
		lane := c.lane(k.Value)
		switch {
		case lane == "":
		case first == "":
			first = k.Value
		case lane != c.lane(first):
			c.fail(k.Pos, "%s is a %s key but %s is a %s key; one rule never mixes lanes, write two rules",
				k.Value, lane, first, c.lane(first))
			return
		}
	}
}
