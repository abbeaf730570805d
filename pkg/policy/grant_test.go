package policy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
)

func TestGrant(t *testing.T) {
	t.Parallel()
	g := policytest.Grant(t, artifact.Subject{}, policy.Order{Key: "a", Formats: []string{"sigstore", "raw"}}, policy.Order{Key: "b", Formats: []string{"raw"}})
	require.True(t, g.Allows("a"))
	require.True(t, g.Allows("b"))
	require.False(t, g.Allows("c"))
	require.False(t, g.Allows(""))
	require.Regexp(t, regexp.MustCompile(`^[0-9a-f]{32}$`), g.ID())
	require.NotEqual(t, g.ID(), policytest.Grant(t, artifact.Subject{}, policy.Order{Key: "a", Formats: []string{"raw"}}).ID())
}

// The configuration decides the identity in certificates, so it is named by the policy that granted and nothing else.
func TestGrantTellsItsConfiguration(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, configured)
	d := set.Decide(asked(t, policy.Facts{Actors: []policy.Actor{{User: "ci", Role: policy.Creator}}}))
	require.Equal(t, "releases", d.Grant.Configuration())
	require.Empty(t, policytest.Grant(t, artifact.Subject{}, policy.Order{Key: "a", Formats: []string{"raw"}}).Configuration())
}

func TestGrantCannotBeWidened(t *testing.T) {
	t.Parallel()
	g := policytest.Grant(t, artifact.Subject{}, policy.Order{Key: "a", Formats: []string{"raw"}})
	orders := g.Orders()
	orders[0].Key, orders[0].Formats[0] = "stolen", "other"
	require.False(t, g.Allows("stolen"))
	require.Equal(t, []policy.Order{{Key: "a", Formats: []string{"raw"}}}, g.Orders())
}

func TestEmptyGrantsAllowNothing(t *testing.T) {
	t.Parallel()
	for _, g := range []*policy.Grant{nil, {}} {
		require.False(t, g.Allows(""))
		require.False(t, g.Allows("release-2026"))
		require.Empty(t, g.ID())
		require.Empty(t, g.Orders())
		require.Empty(t, g.Policy())
		require.Empty(t, g.Rule())
		require.Empty(t, g.Configuration())
		require.True(t, g.Subject().SHA256.IsZero())
		require.True(t, g.SetDigest().IsZero())
	}
}

// The promise "no grant without policy" rests on two facts of the source: a Grant has no exported field, and the one
// function that fills one is called from Decide alone.
func TestOnlyDecideMakesGrants(t *testing.T) {
	t.Parallel()
	typ := reflect.TypeFor[policy.Grant]()
	for i := range typ.NumField() {
		require.False(t, typ.Field(i).IsExported(), typ.Field(i).Name)
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var callers, literals []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.CallExpr:
					if id, ok := n.Fun.(*ast.Ident); ok && id.Name == "newGrant" {
						callers = append(callers, fn.Name.Name)
					}
				case *ast.CompositeLit:
					if id, ok := n.Type.(*ast.Ident); ok && id.Name == "Grant" {
						literals = append(literals, fn.Name.Name)
					}
				}
				return true
			})
		}
	}
	require.Equal(t, []string{"Decide"}, callers)
	require.Equal(t, []string{"newGrant"}, literals)
}
