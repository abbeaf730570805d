package trial

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Report is what came of a directory's cases.
type Report struct {
	OK        bool            `json:"ok"`
	Dir       string          `json:"dir"`
	PolicySet artifact.Digest `json:"policySet"`
	Passed    int             `json:"passed"`
	Failed    int             `json:"failed"`
	Cases     []Result        `json:"cases"`
	Untested  []Untested      `json:"untested"` // empty when only some cases were run
	Partial   bool            `json:"partial"`  // only some cases were run
}

// Result is what came of one case.
type Result struct {
	Name        string          `json:"name"`
	File        string          `json:"file"`
	Line        int             `json:"line"`
	OK          bool            `json:"ok"`
	Differences []Difference    `json:"differences"`
	Skip        string          `json:"skip,omitempty"` // why nothing is signed
	Reasons     []reason.Reason `json:"reasons"`        // of what was refused
}

// Difference is one thing that came otherwise than expected.
type Difference struct {
	What     string `json:"what"`
	Found    string `json:"found"`
	Expected string `json:"expected"`
}

// Untested is a rule that no case would miss.
type Untested struct {
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

// Run holds the set to its cases, or to those whose name matches only. A nil only means all of them.
func (t *Trial) Run(only *regexp.Regexp) Report {
	r := Report{Dir: t.Dir, PolicySet: t.Set.Digest(), Cases: []Result{}, Untested: []Untested{}, Partial: only != nil}
	exercised := map[string]bool{}
	for _, c := range t.Cases {
		if only != nil && !only.MatchString(c.Name) {
			continue
		}
		a := ask(t.Set, c)
		if !c.gate || a.outcome == "refuse" {
			for _, rule := range a.rules {
				exercised[rule] = true
			}
		}
		for _, r := range a.warns {
			exercised[r.Rule] = true
		}
		one := c.compare(a)
		r.Cases = append(r.Cases, one)
		if one.OK {
			r.Passed++
		} else {
			r.Failed++
		}
	}
	r.OK = r.Failed == 0
	if !r.Partial {
		r.Untested = t.untested(exercised)
	}
	return r
}

// untested lists signing policies that decide no case, and lines of gates that refuse none: a case that is let in says
// nothing of a line, it would be let in without it too.
func (t *Trial) untested(exercised map[string]bool) []Untested {
	out := []Untested{}
	for _, p := range t.Set.Rules() {
		if p.Kind == policy.SigningKind && !exercised[p.Rule] {
			out = append(out, Untested{p.Rule, "no case is decided by it"})
		}
		for _, line := range p.Requirements {
			if !exercised[line.Rule] {
				out = append(out, Untested{line.Rule, "no case is refused by it"})
			}
		}
		for _, check := range p.Checks {
			if !exercised[check] {
				out = append(out, Untested{check, "no case is refused by it"})
			}
		}
	}
	return out
}

// compare holds an answer against what the case expects.
func (c *Case) compare(a answer) Result {
	r := Result{
		Name: c.Name, File: c.Pos.File, Line: c.Pos.Line, Differences: []Difference{},
		Skip: a.skip, Reasons: append([]reason.Reason{}, a.reasons...),
	}
	differ := func(what, found, expected string) {
		if found == "" {
			found = "none"
		}
		r.Differences = append(r.Differences, Difference{what, found, expected})
	}
	switch {
	case a.outcome != c.want.outcome:
		differ("outcome", a.text(), c.want.text())
	case !sameOrders(a.orders, c.want.orders):
		differ("sign", ordersText(a.orders), ordersText(c.want.orders))
	case !slices.Equal(a.codes(), append([]string{}, c.want.reasons...)):
		differ("reasons", strings.Join(a.codes(), ", "), strings.Join(c.want.reasons, ", "))
	case !slices.Equal(codesOf(a.warns), append([]string{}, c.want.warns...)):
		differ("warnings", strings.Join(codesOf(a.warns), ", "), strings.Join(c.want.warns, ", "))
	}
	if want := c.want.rule.Value; want != "" && !contains(a.rules, want) {
		var places []string
		for _, rule := range a.rules {
			if strings.HasSuffix(rule, ")") && !contains(places, rule) {
				places = append(places, rule)
			}
		}
		differ("rule", strings.Join(places, ", "), want)
	}
	r.OK = len(r.Differences) == 0
	return r
}

func (w want) text() string {
	switch {
	case len(w.orders) > 0:
		return w.outcome + " with " + ordersText(w.orders)
	case len(w.reasons) > 0:
		return w.outcome + " (" + strings.Join(w.reasons, ", ") + ")"
	}
	return w.outcome
}

// Text prints the report, one line a case, as the CLI does.
func (r Report) Text(w io.Writer) {
	for _, c := range r.Cases {
		if c.OK {
			fmt.Fprintf(w, "ok    %s:%d  %s\n", c.File, c.Line, c.Name)
			continue
		}
		fmt.Fprintf(w, "FAIL  %s:%d  %s\n", c.File, c.Line, c.Name)
		for _, d := range c.Differences {
			fmt.Fprintf(w, "  %s\n    found     %s\n    expected  %s\n", d.What, d.Found, d.Expected)
		}
		if c.Skip != "" {
			fmt.Fprintf(w, "  skipped because\n    %s\n", c.Skip)
		}
		for _, reason := range c.Reasons {
			fmt.Fprint(w, reason.Text())
		}
	}
	for _, u := range r.Untested {
		fmt.Fprintf(w, "untested  %s: %s\n", u.Rule, u.Why)
	}
	coverage := fmt.Sprintf(", %d rules untested", len(r.Untested))
	if r.Partial {
		coverage = ""
	}
	fmt.Fprintf(w, "%d passed, %d failed%s  policy set sha256:%s\n", r.Passed, r.Failed, coverage, r.PolicySet)
}
