package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// SigningPolicy is the YAML form of a policy that says which artifacts are signed, and with what.
type SigningPolicy struct {
	Header `yaml:",inline"`
	Mode   strictyaml.Located[string] `yaml:"mode" default:"enforce" oneof:"enforce,warn" doc:"warn signs although checks fail or others than submitters brought it, and tells so"`
	Match  Match                      `yaml:"match" required:"true" doc:"which artifacts the policy is about; all lines must hold"`
	Images Images                     `yaml:"images" doc:"what is signed of images with several platforms"`

	Require       []Check                    `yaml:"require" doc:"checks that must hold before anything is signed"`
	Configuration strictyaml.Located[string] `yaml:"configuration" doc:"name of the SigningConfiguration to sign with; either this or sign"`
	Sign          []SignLine                 `yaml:"sign" doc:"what to sign with, a line for each signature, with keys of no configuration"`
}

// SignLine is one key, or several that take turns, and what it makes.
type SignLine struct {
	Pos     strictyaml.Pos
	Key     strictyaml.Located[string]   `yaml:"key" doc:"name of a configured key; either this or keys"`
	Keys    []strictyaml.Located[string] `yaml:"keys" doc:"names of configured keys of one lane that take turns: of those whose time it is (keys[].from, keys[].retired in the configuration) the one signs whose time began last"`
	Formats []strictyaml.Located[string] `yaml:"formats" required:"true" doc:"one signature file is stored per format"`
}

// named are the keys of the line.
func (y SignLine) named() []strictyaml.Located[string] {
	if y.Key.Value != "" {
		return append([]strictyaml.Located[string]{y.Key}, y.Keys...)
	}
	return y.Keys
}

// modeWarn tells instead of refusing.
const modeWarn = "warn"

// Images says what is signed of an index besides itself.
type Images struct {
	Platforms []strictyaml.Located[string] `yaml:"platforms" default:"all" doc:"platforms such as linux/arm64 whose manifests are signed besides the index; linux/arm64 means all its variants, * stands for any characters but /"`
}

// signingRule is a SigningPolicy that was checked.
type signingRule struct {
	name, owner   string
	rule          string         // file:line (name)
	at            strictyaml.Pos // of match
	match         match
	platforms     []string // none means all
	warn          bool
	checks        []*check
	configuration *configuration // nil: signs with orders of its own
	lines         []line
	lane          string // of its keys
	needs         Needs

	named strictyaml.Located[string] // the configuration, until all documents are read
	sign  []SignLine
}

func (c *compiler) signing(src source, p SigningPolicy) *signingRule {
	c.header(p.Header)
	r := &signingRule{
		name: p.Name.Value, owner: p.Owner.Value,
		rule:  place(src.short, p.Pos.Line, p.Name.Value),
		at:    p.Match.Pos,
		match: c.match(p.Match), warn: p.Mode.Value == modeWarn,
		named: p.Configuration, sign: p.Sign,
	}
	r.platforms = c.globs("platforms", p.Images.Platforms, checkPathGlob)
	r.checks = c.checks(src, p.Header, p.Require)
	if (p.Configuration.Value != "") == (len(p.Sign) > 0) && !c.partial {
		c.fail(p.Pos, "write either configuration: the name of a SigningConfiguration, or sign: a list of keys with their formats")
	}
	r.lines = c.lines(p.Sign)
	var keys []strictyaml.Located[string]
	for _, l := range p.Sign {
		keys = append(keys, l.named()...)
	}
	c.oneLane(keys)
	if len(keys) > 0 {
		r.lane = c.lane(keys[0].Value)
	}
	return r
}

// configured gives the policies the configurations that they name, once all documents are read, and holds that a key of a
// configuration is used through it alone.
func (c *compiler) configured(set *Set) {
	names, owner := []string{}, map[string]*configuration{}
	for _, conf := range set.configurations {
		names = append(names, conf.name)
		for _, l := range conf.lines {
			for _, k := range l.keys {
				owner[k] = conf
			}
		}
	}
	for _, p := range set.signing {
		for _, l := range p.sign {
			for _, k := range l.named() {
				if conf := owner[k.Value]; conf != nil {
					c.fail(k.Pos, "the key %s belongs to the configuration %s; write configuration: %s instead of sign", k.Value, conf.rule, conf.name)
				}
			}
		}
		if p.named.Value != "" && c.known("configuration", p.named, names) {
			p.configuration = set.configurations[slices.Index(names, p.named.Value)]
			p.lines, p.lane = p.configuration.lines, p.configuration.lane
		}
		p.named, p.sign = strictyaml.Located[string]{}, nil
		p.needs = p.match.needs() | p.configuration.needs() | needsAll(p.checks)
	}
}

// takes reports whether a manifest that an index lists is to be signed, too.
func (p *signingRule) takes(s artifact.Subject) bool {
	platform := s.Image.Platform
	if platform == "" || len(p.platforms) == 0 || firstMatch(p.platforms, platform) != "" {
		return true
	}
	parts := strings.SplitN(platform, "/", 3) // linux/arm64/v8 is linux/arm64, too
	return len(parts) == 3 && firstMatch(p.platforms, parts[0]+"/"+parts[1]) != ""
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

// agree reports whether two policies decide alike about what both match.
func agree(a, b *signingRule) bool { return slices.Equal(a.decides(), b.decides()) }

// decides lists all that makes a difference to whether and how an artifact is signed. Keys count in their order, because
// the first key of a format takes the plain file name.
func (p *signingRule) decides() []string {
	out := []string{fmt.Sprintf("warn %v, configuration", p.warn)}
	if p.configuration != nil {
		out = append(out, p.configuration.name)
	}
	for _, l := range p.lines {
		out = append(append(append(append(out, "key"), l.keys...), "formats"), l.formats...)
	}
	out = append(append(out, "platforms"), p.platforms...)
	for _, ch := range p.checks {
		out = append(out, "check", ch.name, ch.text())
	}
	return out
}

// outcome is what decides says, for people.
func (p *signingRule) outcome() string {
	text := "signs with " + linesText(p.lines)
	if p.configuration != nil {
		text += ", configuration " + p.configuration.name
	}
	if len(p.platforms) > 0 {
		text += ", of images the platforms " + strings.Join(clip(p.platforms), ", ")
	}
	for i, ch := range p.checks {
		if i == 0 {
			text += ", requires "
		} else {
			text += "; "
		}
		text += ch.name + " (" + ch.text() + ")"
	}
	if p.warn {
		text += ", warns only"
	}
	return text
}
