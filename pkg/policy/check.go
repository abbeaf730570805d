package policy

import (
	"cmp"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// Check is one named demand on the facts about an artifact. Exactly one of its tests is written.
type Check struct {
	Pos        strictyaml.Pos
	Name       strictyaml.Located[string] `yaml:"name" required:"true" doc:"a short name, unique in the policy; refusals bear it"`
	Property   *PropertyCheck             `yaml:"property" doc:"a property has one of some values"`
	Build      *BuildCheck                `yaml:"build" doc:"a build's record lists these very bytes"`
	Size       *SizeCheck                 `yaml:"size" doc:"the size is within bounds"`
	FileName   *PatternCheck              `yaml:"fileName" doc:"the file's name has a form"`
	Version    *VersionCheck              `yaml:"version" doc:"the version in the path has a form, or is not below another"`
	Window     *WindowCheck               `yaml:"window" doc:"it is one of some times of the week, or of the calendar"`
	History    *HistoryCheck              `yaml:"history" doc:"the same bytes stand, or stood, in one of some repositories"`
	Signatures *SignatureRequirement      `yaml:"signatures" doc:"verified signatures stand with it already"`
	Expression strictyaml.Located[string] `yaml:"expression" doc:"a CEL expression is true; docs/policies.md lists what it can speak of"`
	Message    strictyaml.Located[string] `yaml:"message" doc:"one sentence for whoever is refused; required with an expression"`
	Fix        strictyaml.Located[string] `yaml:"fix" doc:"what to do about it; required with an expression"`
	Who        strictyaml.Located[string] `yaml:"who" default:"the policy's owner" doc:"who can do that"`
}

// test is one kind of test, checked: adding a kind means adding a file with its YAML form, a field above and a line in
// Check.tests.
type test interface {
	// needs tells which facts the test looks at.
	needs() Needs
	// run returns nil when the test holds, else what is wrong. It is pure.
	run(q *question) *failing
	// text is the test in one phrase.
	text() string
}

// failing is what a test found.
type failing struct {
	code                                 reason.Code // empty: check-failed
	message, found, expected, fix, would string
}

// check is a Check that was checked.
type check struct {
	test
	name, rule        string
	message, fix, who string
}

// tests lists the tests of a check that are written.
func (y *Check) tests() []interface {
	compile(c *compiler, at strictyaml.Pos) (test, bool)
} {
	var out []interface {
		compile(c *compiler, at strictyaml.Pos) (test, bool)
	}
	if y.Property != nil {
		out = append(out, y.Property)
	}
	if y.Build != nil {
		out = append(out, y.Build)
	}
	if y.Size != nil {
		out = append(out, y.Size)
	}
	if y.FileName != nil {
		out = append(out, y.FileName)
	}
	if y.Version != nil {
		out = append(out, y.Version)
	}
	if y.Window != nil {
		out = append(out, y.Window)
	}
	if y.History != nil {
		out = append(out, y.History)
	}
	if y.Signatures != nil {
		out = append(out, y.Signatures)
	}
	if y.Expression.Value != "" {
		out = append(out, expressionCheck{y.Expression})
	}
	return out
}

// maxChecks bounds the checks of one policy.
const maxChecks = 64

// checks compiles the checks of a policy.
func (c *compiler) checks(src source, policy Header, written []Check) []*check {
	var out []*check
	named := map[string]strictyaml.Pos{}
	if len(written) > maxChecks {
		c.fail(written[maxChecks].Pos, "a policy has at most %d checks, this has %d", maxChecks, len(written))
		return nil
	}
	for i := range written {
		y := &written[i]
		if name := y.Name.Value; name != "" {
			if first, taken := named[name]; taken {
				c.fail(y.Name.Pos, "name: the check %q stands twice; the first is on line %d", name, first.Line)
			}
			named[name] = y.Name.Pos
			if !nameShape.MatchString(name) {
				c.fail(y.Name.Pos, "name: %q is not a name; use letters, digits, '.', '-' and '_', at most 63", name)
			}
		}
		tests := y.tests()
		switch {
		case len(tests) != 1:
			if !c.partial || len(tests) > 1 {
				c.fail(y.Pos, "a check has exactly one of property, build, size, fileName, version, window, history, signatures and expression; this has %d", len(tests))
			}
			continue
		case y.Expression.Value != "" && (y.Message.Value == "" || y.Fix.Value == ""):
			c.fail(y.Expression.Pos, "an expression needs a message and a fix for whoever it refuses; write both")
			continue
		}
		c.oneLine("message", y.Message, maxLine)
		c.oneLine("fix", y.Fix, maxLine)
		c.oneLine("who", y.Who, maxOwner)
		if t, ok := tests[0].compile(c, y.Pos); ok {
			out = append(out, &check{
				test: t, name: y.Name.Value, rule: place(src.short, y.Pos.Line, policy.Name.Value+"/"+y.Name.Value),
				message: y.Message.Value, fix: y.Fix.Value, who: cmp.Or(y.Who.Value, policy.Owner.Value),
			})
		}
	}
	return out
}

// ask runs the check. A fact that it needs and that was not looked up is a refusal of its own.
func (ch *check) ask(q *question) *reason.Reason {
	r := reason.Reason{Code: reason.CheckFailed, Who: ch.who, Rule: ch.rule}
	if lacks := q.lacks(ch.needs()); lacks != 0 {
		r.Code, r.Message = reason.Undecided, fmt.Sprintf("%s: what the check looks at is not known, so the answer is no", ch.name)
		r.Found, r.Expected, r.Fix, r.Who = "not looked up: "+lacks.String(), ch.text(), "ask again: hallmark sign "+q.subject.Ref.String(), "platform engineers"
		return &r
	}
	f := ch.run(q)
	if f == nil {
		return nil
	}
	r.Code = cmp.Or(f.code, r.Code)
	r.Message = ch.name + ": " + cmp.Or(ch.message, f.message)
	r.Found, r.Expected, r.Fix, r.Would = f.found, cmp.Or(f.expected, ch.text()), cmp.Or(ch.fix, f.fix), f.would
	return &r
}

// failed runs checks and returns the refusals, in the order of the checks.
func failed(checks []*check, q *question) []reason.Reason {
	var out []reason.Reason
	for _, ch := range checks {
		if r := ch.ask(q); r != nil {
			out = append(out, *r)
		}
	}
	return out
}

func needsAll(checks []*check) Needs {
	var n Needs
	for _, ch := range checks {
		n |= ch.needs()
	}
	return n
}

// again is the end of every advice about signing: what to run when the rest is done.
func again(ref artifact.Ref) string { return "hallmark sign " + ref.String() }

// expressionCheck is a check by a CEL expression.
type expressionCheck struct{ written strictyaml.Located[string] }

func (y expressionCheck) compile(c *compiler, _ strictyaml.Pos) (test, bool) {
	e, ok := c.expression(y.written)
	return expressionTest{e}, ok
}

type expressionTest struct{ expression }

func (t expressionTest) needs() Needs { return t.expression.needs }
func (t expressionTest) text() string { return t.source }

func (t expressionTest) run(q *question) *failing {
	yes, err := t.holds(q)
	switch {
	case err != nil:
		return &failing{message: "the expression has no answer, which is a no", found: err.Error(), fix: "correct the expression in the policy"}
	case yes:
		return nil
	}
	return &failing{found: "false: " + t.source, would: "where " + t.source}
}
