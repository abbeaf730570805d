package policy

import (
	"fmt"
	"regexp"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// maxPattern bounds a regular expression (RE2, so matching is linear) in bytes.
const maxPattern = 512

// pattern is a regular expression that matches the whole text or nothing.
type pattern struct {
	*regexp.Regexp
	steps int // that a character of the text takes at most
}

// affordable reports whether the decision can afford to match a text.
func (p *pattern) affordable(q *question, text string) bool {
	return q.afford(uint64(p.steps*(len(text)+1)) / stepsPerUnit)
}

// pattern compiles a regular expression that must match the whole text.
func (c *compiler) pattern(field string, text strictyaml.Located[string]) (*pattern, bool) {
	if len(text.Value) > maxPattern {
		c.fail(text.Pos, "%s: has %d bytes, the limit is %d", field, len(text.Value), maxPattern)
		return nil, false
	}
	steps, err := checkRegexp(text.Value) // alone first: "a)|(b" would break out of the brackets
	if err == nil {
		var re *regexp.Regexp
		if re, err = regexp.Compile(`\A(?:` + text.Value + `)\z`); err == nil {
			return &pattern{re, steps}, true
		}
	}
	c.fail(text.Pos, "%s: %s", field, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	return nil, false
}

// PatternCheck demands a form.
type PatternCheck struct {
	Pattern strictyaml.Located[string] `yaml:"pattern" required:"true" doc:"a regular expression (RE2) that matches all of it"`
}

func (y *PatternCheck) compile(c *compiler, _ strictyaml.Pos) (test, bool) {
	re, ok := c.pattern("pattern", y.Pattern)
	return nameTest{y.Pattern.Value, re}, ok
}

type nameTest struct {
	source string
	re     *pattern
}

func (nameTest) needs() Needs   { return 0 }
func (t nameTest) text() string { return "a name like " + t.source }

func (t nameTest) run(q *question) *failing {
	name := q.subject.Ref.Name()
	if !t.re.affordable(q, name) {
		return tooMuch()
	}
	if t.re.MatchString(name) {
		return nil
	}
	return &failing{
		message: "the file's name does not have the form that the policy demands", found: name,
		fix: "upload it under a name like " + t.source, would: "with " + t.text(),
	}
}

// VersionCheck demands a version. In has one group, which is the version.
type VersionCheck struct {
	In      strictyaml.Located[string] `yaml:"in" required:"true" doc:"a regular expression (RE2) over the whole path whose first group is the version, such as app/([^/]+)/.*"`
	Pattern strictyaml.Located[string] `yaml:"pattern" default:"any" doc:"a regular expression that matches all of the version"`
	AtLeast strictyaml.Located[string] `yaml:"atLeast" default:"none" doc:"the version, by the rules of semver.org, that it must not be below"`
}

func (y *VersionCheck) compile(c *compiler, at strictyaml.Pos) (test, bool) {
	t := versionTest{written: *y}
	var ok bool
	if t.in, ok = c.pattern("in", y.In); !ok {
		return nil, false
	}
	if t.in.NumSubexp() != 1 {
		c.fail(y.In.Pos, "in: has %d groups and must have one, around the version; others are written (?:…)", t.in.NumSubexp())
		return nil, false
	}
	if y.Pattern.Value == "" && y.AtLeast.Value == "" {
		c.fail(at, "version: write pattern, atLeast or both")
		return nil, false
	}
	if y.Pattern.Value != "" {
		if t.pattern, ok = c.pattern("pattern", y.Pattern); !ok {
			return nil, false
		}
	}
	if v := y.AtLeast.Value; v != "" && !semver.IsValid("v"+strings.TrimPrefix(v, "v")) {
		c.fail(y.AtLeast.Pos, "atLeast: %q is no version; write for example 2.4.0", v)
		return nil, false
	}
	return t, true
}

type versionTest struct {
	written     VersionCheck
	in, pattern *pattern
}

func (versionTest) needs() Needs { return 0 }

func (t versionTest) text() string {
	return fmt.Sprintf("%s, taken from the path by %s", t.wanted(), t.written.In.Value)
}

// wanted is the version alone.
func (t versionTest) wanted() string {
	var parts []string
	if p := t.written.Pattern.Value; p != "" {
		parts = append(parts, "like "+p)
	}
	if v := t.written.AtLeast.Value; v != "" {
		parts = append(parts, "not below "+v)
	}
	return "a version " + strings.Join(parts, " and ")
}

func (t versionTest) run(q *question) *failing {
	if path := q.subject.Ref.Path; !t.in.affordable(q, path) || t.pattern != nil && !t.pattern.affordable(q, path) {
		return tooMuch()
	}
	groups := t.in.FindStringSubmatch(q.subject.Ref.Path)
	f := failing{message: "the path names no version that the policy takes", fix: "upload it under a path with " + t.wanted(), would: "with " + t.wanted()}
	if groups == nil || groups[1] == "" { // none, or in a part of the expression that did not take part
		f.found = fmt.Sprintf("%s has no version by %s", q.subject.Ref.Path, t.written.In.Value)
		return &f
	}
	version := groups[1]
	f.found = "the version " + version
	if t.pattern != nil && !t.pattern.MatchString(version) {
		return &f
	}
	if least := t.written.AtLeast.Value; least != "" {
		v := "v" + strings.TrimPrefix(version, "v")
		if !semver.IsValid(v) {
			f.found += ", which is none by the rules of semver.org"
			return &f
		}
		if semver.Compare(v, "v"+strings.TrimPrefix(least, "v")) < 0 {
			return &f
		}
	}
	return nil
}
