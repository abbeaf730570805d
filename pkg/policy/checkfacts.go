package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// PropertyCheck demands a property. Anybody who may annotate can set it: it is a wish of theirs, and no proof.
type PropertyCheck struct {
	Name   strictyaml.Located[string]   `yaml:"name" required:"true" doc:"the property's name"`
	Values []strictyaml.Located[string] `yaml:"values" default:"any" doc:"patterns, one of which one of its values matches"`
}

func (y *PropertyCheck) compile(c *compiler, _ strictyaml.Pos) (test, bool) {
	return propertyTest{name: y.Name.Value, values: c.globs("values", y.Values, checkGlob)}, y.Name.Value != ""
}

type propertyTest struct {
	name   string
	values []string
}

func (propertyTest) needs() Needs { return NeedProperties }

func (t propertyTest) text() string {
	if len(t.values) == 0 {
		return "the property " + t.name
	}
	return fmt.Sprintf("the property %s is %s", t.name, strings.Join(t.values, " or "))
}

func (t propertyTest) holds(q *question) bool {
	have := q.values(t.name)
	return len(have) > 0 && (len(t.values) == 0 || slices.ContainsFunc(have, func(v string) bool { return firstMatch(t.values, v) != "" }))
}

func (t propertyTest) run(q *question) *failing {
	if t.holds(q) {
		return nil
	}
	have := q.values(t.name)
	want := "VALUE"
	if i := slices.IndexFunc(t.values, isLiteral); i >= 0 {
		want = t.values[i]
	}
	found := "the property " + t.name + " is not set"
	if len(have) > 0 {
		found = fmt.Sprintf("%s=%s", t.name, strings.Join(clip(have), ","))
	}
	return &failing{
		message: "the artifact lacks a property that the policy demands", found: found,
		fix:   fmt.Sprintf("jf rt set-props %q %q, then: %s", q.subject.Ref.String(), t.name+"="+want, again(q.subject.Ref)),
		would: "with the property " + t.name + " set" + to(t.values),
	}
}

func to(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return " to " + strings.Join(values, " or ")
}

// BuildCheck demands that the bytes come from a build: that its record in Artifactory lists them. The properties
// build.name and build.number only say which record to read.
type BuildCheck struct {
	Names   []strictyaml.Located[string] `yaml:"names" default:"any" doc:"patterns of build names"`
	Numbers []strictyaml.Located[string] `yaml:"numbers" default:"any" doc:"patterns of build numbers"`
}

func (y *BuildCheck) compile(c *compiler, _ strictyaml.Pos) (test, bool) {
	return buildTest{names: c.globs("names", y.Names, checkGlob), numbers: c.globs("numbers", y.Numbers, checkGlob)}, true
}

type buildTest struct{ names, numbers []string }

func (buildTest) needs() Needs { return NeedBuild }

func (t buildTest) text() string {
	text := "a build"
	if len(t.names) > 0 {
		text += " named " + strings.Join(t.names, " or ")
	}
	if len(t.numbers) > 0 {
		text += " with the number " + strings.Join(t.numbers, " or ")
	}
	return text + " whose record lists these bytes"
}

func (t buildTest) run(q *question) *failing {
	found := "no build record lists these bytes"
	if b := q.facts.Build; b != nil {
		if matches(t.names, b.Name) && matches(t.numbers, b.Number) {
			return nil
		}
		found = "the build " + b.Name + "/" + b.Number
	}
	return &failing{
		message: "the artifact is not of a build that the policy demands", found: found,
		fix:   "build it in CI, upload it with --build-name and --build-number, and publish the build with jf rt build-publish; then: " + again(q.subject.Ref),
		would: "with " + t.text(),
	}
}

// matches reports whether a value matches one of some patterns; no patterns mean any.
func matches(patterns []string, value string) bool {
	return len(patterns) == 0 || firstMatch(patterns, value) != ""
}

// SizeCheck bounds the size.
type SizeCheck struct {
	Min *Bytes `yaml:"min" doc:"the least size, such as 1KiB"`
	Max *Bytes `yaml:"max" doc:"the largest size, such as 2GiB"`
}

func (y *SizeCheck) compile(c *compiler, at strictyaml.Pos) (test, bool) {
	t := sizeTest{max: -1}
	if y.Min != nil {
		t.min = int64(*y.Min)
	}
	if y.Max != nil {
		t.max = int64(*y.Max)
	}
	switch {
	case c.partial:
		return nil, false
	case y.Min == nil && y.Max == nil:
		c.fail(at, "size: write min, max or both")
		return nil, false
	case t.max >= 0 && t.max < t.min:
		c.fail(at, "size: max is below min, so nothing could ever pass")
		return nil, false
	}
	return t, true
}

type sizeTest struct{ min, max int64 } // max < 0: none

func (sizeTest) needs() Needs { return 0 }

func (t sizeTest) text() string {
	var parts []string
	if t.min > 0 {
		parts = append(parts, "at least "+Bytes(t.min).String())
	}
	if t.max >= 0 {
		parts = append(parts, "at most "+Bytes(t.max).String())
	}
	return cmp.Or(strings.Join(parts, " and "), "any size")
}

func (t sizeTest) run(q *question) *failing {
	if q.subject.Size >= t.min && (t.max < 0 || q.subject.Size <= t.max) {
		return nil
	}
	return &failing{
		message: "the artifact's size is out of bounds", found: fmt.Sprintf("%d bytes", q.subject.Size),
		fix: "upload what was meant, of " + t.text(), would: "with " + t.text(),
	}
}

// HistoryCheck demands that the same bytes stand, or stood, elsewhere: Artifactory finds them by their SHA-256, the
// ledger remembers where it saw them.
type HistoryCheck struct {
	Repositories []strictyaml.Located[string] `yaml:"repositories" required:"true" doc:"repository names; * stands for any characters"`
}

func (y *HistoryCheck) compile(c *compiler, _ strictyaml.Pos) (test, bool) {
	return historyTest{c.globs("repositories", y.Repositories, checkRepositoryGlob)}, len(y.Repositories) > 0
}

type historyTest struct{ repositories []string }

func (historyTest) needs() Needs { return NeedRepositories }

func (t historyTest) text() string {
	return "the same bytes in " + strings.Join(t.repositories, " or ")
}

func (t historyTest) run(q *question) *failing {
	if slices.ContainsFunc(q.facts.Repositories, func(r string) bool { return firstMatch(t.repositories, r) != "" }) {
		return nil
	}
	return &failing{
		message: "these bytes did not come the way that the policy demands", found: "seen in " + cmp.Or(strings.Join(clip(q.facts.Repositories), ", "), "no repository"),
		fix:   "promote the artifact from " + strings.Join(t.repositories, " or ") + " instead of uploading it",
		would: "with " + t.text(),
	}
}

// compile checks signatures that stand with the artifact already. It makes SignatureRequirement a test.
func (y *SignatureRequirement) compile(c *compiler, _ strictyaml.Pos) (test, bool) {
	r, ok := c.requirement(*y)
	return signatureTest{r}, ok
}

type signatureTest struct{ requirement }

func (signatureTest) needs() Needs   { return NeedSignatures }
func (t signatureTest) text() string { return t.expected() }

func (t signatureTest) run(q *question) *failing {
	if len(t.signers(q.facts.Signatures, q.at)) >= t.count {
		return nil
	}
	code := t.code(q.facts.Signatures, q.at)
	return &failing{
		code: code, message: "a signature that must come before this one is not there",
		found: t.found(q.facts.Signatures, q.at), fix: "have it signed with " + t.what() + " first, then: " + again(q.subject.Ref), would: "with " + t.expected(),
	}
}
