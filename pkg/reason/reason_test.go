package reason_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Every code that is declared is explained, and none is explained that is not declared.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	require.NoError(t, err)
	declared := map[reason.Code]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
			value, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			declared[reason.Code(value)] = true
		}
		return true
	})
	require.NotEmpty(t, declared)
	for code := range declared {
		require.NotEmpty(t, reason.Codes[code], "%s needs a line in Codes", code)
		require.True(t, strings.HasSuffix(reason.Codes[code], "."), "%s is explained in one sentence", code)
	}
	require.Len(t, reason.Codes, len(declared))
}

func TestText(t *testing.T) {
	t.Parallel()
	r := reason.Reason{
		Code: reason.SignatureMissing, Message: "there is none", Found: "nothing", Expected: "one", Fix: "hallmark sign x/y",
		Who: "release-managers", Rule: "gate.yaml:3 (libs)",
	}
	require.Equal(t, `  signature-missing   gate.yaml:3 (libs)
    there is none
    found     nothing
    expected  one
    fix       hallmark sign x/y
    who       release-managers
`, r.Text())
	require.Equal(t, "  undecided\n    no\n", reason.Reason{Code: reason.Undecided, Message: "no"}.Text(), "what is not known is left out")
	refused := &reason.Refused{Reasons: []reason.Reason{r, {Code: reason.Undecided, Message: "no"}}}
	require.EqualError(t, refused, "signature-missing: there is none; undecided: no")
}
