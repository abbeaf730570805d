package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// What is wrong with an expression is said when it is loaded, where it is wrong.
func TestExpressionMistakes(t *testing.T) {
	t.Parallel()
	loop := `artifact.properties.all(a, artifact.properties.all(b, artifact.properties.all(c, artifact.properties.all(d, a + b + c + d != ""))))`
	for source, want := range map[string]string{
		`artifact.sise > 3`:                                        "character 9: undefined field 'sise' (did you mean 'size'?)",
		"artifact.size > 3 &&\n  artifact.nam == ''":               "line 2, character 11: undefined field 'nam' (did you mean 'name'?)",
		`actors.map(a, [a.groups]) == []`:                          "cannot be compared",
		`[[1], [2]].exists(x, x in [[1]])`:                         "cannot be compared",
		`dyn(actors).size() == 0`:                                  "dyn is not available",
		`[1, "a"].exists(x, x == x)`:                               "cannot be compared",
		`"%s".format([artifact.name]) == ""`:                       "format is not available",
		`artifact.name.matches(artifact.path)`:                     "must be written out",
		`artifact.name.matches("(?:a{1000}){1}b{1000}")`:           "the limit is 1000",
		`matches(artifact.name, "a{1000}b{1000}")`:                 "the limit is 1000",
		`artifact.properties["a"] == ["b"] && build.name in ["c"]`: "",
		`artifact.size > "3"`:                                      "found no matching overload",
		`artifact.size`:                                            "is of the type int and must be true or false",
		`artifact.name ==`:                                         "Syntax error",
		`secret == "x"`:                                            "undeclared reference to 'secret'",
		``:                                                         "Syntax error",
		strings.Repeat("(", 1500) + "true" + strings.Repeat(")", 1500): "recursion",
		strings.Repeat("true && ", 600) + "true":                       "limit is",
		loop:                                                           "loops within loops",
		`actors.map(a, a.groups.map(g, g + g)).size() == 0`:            "",
		`artifact.name.matches("(a+)+$")`:                              "",
		`now < timestamp("2026-12-01T00:00:00Z")`:                      "",
		`artifact.created < now - duration("24h")`:                     "",
	} {
		_, err := compileExpression(source)
		if want == "" {
			require.NoError(t, err, source)
			continue
		}
		require.ErrorContains(t, err, want, source[:min(len(source), 60)])
	}
}

// However large the facts are, an expression ends soon, with a no.
func TestExpressionsAreBounded(t *testing.T) {
	t.Parallel()
	e, err := compileExpression(`artifact.properties.all(a, artifact.properties.all(b, a + b != "x"))`)
	require.NoError(t, err)
	facts := Facts{Properties: map[string][]string{}}
	for i := range 20_000 {
		facts.Properties[strings.Repeat("p", i%500)+time.Duration(i).String()] = []string{"v"}
	}
	q := question{subject: artifact.Subject{}, facts: &facts, at: time.Now()}
	_, err = e.holds(&q)
	require.ErrorContains(t, err, "cost limit exceeded")
}

// What CEL does not count the cost of ends no service: it is not available.
func TestExpressionsThatExplode(t *testing.T) {
	t.Parallel()
	grow := func(start, by string) string {
		return "[" + start + "]" + strings.Repeat(".map(x, "+by+")", 25)
	}
	for _, source := range []string{
		grow("artifact.path", `"%s%s%s%s".format([x, x, x, x])`) + `.exists(x, x == "a")`,
		grow("repositories", `[x, x]`) + `.exists(x, x == x)`,
		grow("repositories", `{"a": x, "b": x}`) + `.exists(x, x == x)`,
		grow("repositories", `[x, x]`) + `.exists(x, x in [x])`,
		grow("repositories", `[dyn(x), dyn(x)]`) + `.exists(x, x == x)`,
		grow("repositories", `x + x`) + `.exists(x, x == x)`,
		grow("artifact.path", `x.replace("", x)`) + `.exists(x, x == "a")`,
		grow("artifact.path", `[x, x, x].join(x)`) + `.exists(x, x == "a")`,
		grow("artifact.path", `strings.quote(x)`) + `.exists(x, x == "a")`,
	} {
		_, err := compileExpression(source)
		require.Error(t, err, source[:60])
	}
}

// The checks of one decision together cost no more than a few of the dearest: the rest is a no.
func TestDecisionsAreBounded(t *testing.T) {
	t.Parallel()
	e, err := compileExpression(`artifact.properties.all(a, artifact.properties.all(b, a + b != "x"))`)
	require.NoError(t, err)
	facts := Facts{Properties: map[string][]string{}}
	for i := range 100 {
		facts.Properties[time.Duration(i).String()] = []string{"v"}
	}
	q := question{facts: &facts, at: time.Now()}
	refused := 0
	for range maxChecks {
		if _, err := e.holds(&q); err != nil {
			refused++
		}
	}
	require.Greater(t, refused, maxChecks/2)
	require.Less(t, refused, maxChecks)

	// A short expression may stand for a long one.
	e, err = compileExpression(`["", "", "", "", "", "", "", "", "", ""].all(y, !artifact.path.matches("(?:.*a){190}b"))`)
	require.NoError(t, err)
	q = question{subject: artifact.Subject{Info: artifact.Info{Ref: artifact.Ref{Path: strings.Repeat("a", 1000)}}}, facts: &Facts{}}
	_, err = e.holds(&q)
	require.ErrorContains(t, err, "cost limit exceeded")

	var c compiler
	hard, ok := c.pattern("pattern", strictyaml.Located[string]{Value: "(?:a?){200}(?:a){400}b"})
	require.True(t, ok, "%v", c.errs)
	q = question{subject: artifact.Subject{Info: artifact.Info{Ref: artifact.Ref{Path: strings.Repeat("a", 1000)}}}, facts: &Facts{}}
	checks := make([]*check, maxChecks)
	for i := range checks {
		checks[i] = &check{test: nameTest{"x", hard}}
	}
	said := failed(checks, &q)
	require.Len(t, said, maxChecks)
	require.Contains(t, said[maxChecks-1].Message, "took all the work")

	_, ok = c.pattern("pattern", strictyaml.Located[string]{Value: strings.Repeat("a{1000}", 70)})
	require.False(t, ok)
	require.ErrorContains(t, c.errs[0], "the limit is 1000")
}

// FuzzExpression holds that nothing that compiles panics or answers anything but yes, no or why not.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{`true`, `artifact.property("a") == ""`, `actors.exists(a, "x" in a.groups)`, `signatures.all(s, s.level > 2)`, `build.started < now`, `[1, 2].map(x, x * 2) == [2, 4]`, `artifact.properties["a"][0].matches("(a+)+$")`} {
		f.Add(s)
	}
	q := question{
		subject: artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: artifact.Ref{Instance: "main", Repo: "r", Path: "p/a"}, Size: 7}}, at: time.Unix(1, 0),
		facts: &Facts{Properties: map[string][]string{"a": {strings.Repeat("a", 30) + "b"}}, Actors: []Actor{{User: "u", Role: Creator, Groups: []string{"g"}}}, Signatures: []Evidence{{Key: "k", Format: "raw"}}},
	}
	f.Fuzz(func(t *testing.T, source string) {
		e, err := compileExpression(source)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		_, _ = e.holds(&q)
		_ = e.needs.String()
	})
}
