package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// What is wrong with an expression is said when it is loaded, where it is wrong.
func TestExpressionMistakes(t *testing.T) {
	t.Parallel()
	loop := `artifact.properties.all(a, artifact.properties.all(b, artifact.properties.all(c, artifact.properties.all(d, a + b + c + d != ""))))`
	for source, want := range map[string]string{
		`artifact.sise > 3`:   "character 9: undefined field 'sise'",
		`artifact.size > "3"`: "found no matching overload",
		`artifact.size`:       "is of the type int and must be true or false",
		`artifact.name ==`:    "Syntax error",
		`secret == "x"`:       "undeclared reference to 'secret'",
		``:                    "Syntax error",
		strings.Repeat("(", 1500) + "true" + strings.Repeat(")", 1500): "recursion",
		strings.Repeat("true && ", 600) + "true":                       "limit is",
		loop:                                                           "loops within loops",
		`actors.map(a, a.groups.map(g, g + g)) == []`:                  "",
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
