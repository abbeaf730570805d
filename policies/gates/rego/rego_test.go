// Package rego holds the rule for the lifecycle gates of AppTrust to its tests, and to what the platform lets a rule do.
package rego

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

const (
	pack     = "hallmark.rego"
	patience = "100s" // for one case; a busy machine needs more than the five seconds that opa gives it
)

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(content)
}

// opa runs opa in this directory and returns what it printed.
func opa(t *testing.T, args ...string) (string, error) {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	return tooltest.Run(t, here, tooltest.OPA(t), args...)
}

func TestPack(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Glob("*.rego")
	require.NoError(t, err)
	for _, args := range [][]string{{"fmt", "--fail", "--list"}, {"check", "--strict"}, {"test", "--fail-on-empty", "--timeout", patience}} {
		out, err := opa(t, append(args, modules...)...)
		require.NoError(t, err, "opa %v\n%s", args, out)
	}
}

// Each check is there for a reason: without it, a case fails.
func TestPackWithoutACheckFailsItsTests(t *testing.T) {
	t.Parallel()
	whole := read(t, pack)
	for _, line := range []string{
		`	claim.node.verified == true`,
		`	edge.node.predicateType == predicate_type`,
		`	keys[object.get(claim.node, split(alias_path, "."), null)]`,
		`	pins[bodies[claim.node.signingKey.publicKey]]`,
		`	regex.match(` + "`^(sha256:)?[0-9a-fA-F]{64}$`" + `, claim.sha256)`,
		`	lower(trim_prefix(object.get(claim.node, split(digest_path, "."), ""), "sha256:")) == lower(trim_prefix(claim.sha256, "sha256:"))`,
		`	time.now_ns() - time.parse_rfc3339_ns(claim.node.createdAt) >= -300 * 1000000000`,
		`	time.now_ns() - time.parse_rfc3339_ns(claim.node.createdAt) <= ((max_age_days * 24) * 3600) * 1000000000`,
		`	passed[claim.id]`,
		`	manifests[concat("", [trim_suffix(item.path, concat("", ["sha256__", item.sha256])), "manifest.json"])]`,
		`	not all_read`,
		`	not some_artifact[edge]`,
		`	count(items) == listed_in_packages + listed`,
		`	count(items) == count(version.sources)`,
		`	connection.pageInfo.hasNextPage != false`,
		`	connection.totalCount != count(connection.edges)`,
		`	version.releasables.releasablesCount != count(version.releasables.releasablesConnection.edges)`,
		`	written_by_anybody[split(path, ".")[0]]`,
	} {
		t.Run(strings.TrimSpace(line), func(t *testing.T) {
			t.Parallel()
			require.Equal(t, 1, strings.Count(whole, line+"\n"), "the check stands in %s once", pack)
			without := "\ttrue"
			if strings.HasPrefix(line, "\tnot ") || strings.Contains(line, "!=") || strings.Contains(line, "written_by") {
				without = "\tfalse" // what this line finds is a refusal
			}
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, pack), []byte(strings.Replace(whole, line, without, 1)), 0o600))
			for _, name := range []string{"hallmark_test.rego", "sample_test.rego"} {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(read(t, name)), 0o600))
			}
			out, err := tooltest.Run(t, dir, tooltest.OPA(t), "test", "--timeout", patience, ".")
			require.Error(t, err, out)
			require.Regexp(t, `(?m)^FAIL: [1-9]`, out, "a case fails; the pack still loads")
		})
	}
}

// allowedBuiltins is JFrog's List of Valid Rego Operations (docs.jfrog.com/governance/docs/rego-policy-code), by the names
// that these have in OPA, as far as it has them.
var allowedBuiltins = strings.Fields(`
	eq equal neq gt lt gte lte  plus minus mul div abs round ceil floor  and or
	concat contains endswith format_int indexof lower replace split startswith substring trim trim_left trim_prefix trim_right trim_suffix upper
	array.concat array.reverse array.slice  set_diff intersection union  object.get object.keys object.remove object.union object.union_n
	to_number  count sum max min sort all any  json.filter json.patch json.remove json.unmarshal
	base64.encode base64.decode base64url.encode base64url.decode urlquery.encode urlquery.decode
	time.now_ns time.parse_ns time.parse_rfc3339_ns time.parse_duration_ns  units.parse units.parse_bytes
	regex.match regex.find_all_string_submatch_n regex.split  graph.reachable graph.reachable_paths
	is_number is_string is_boolean is_array is_object is_set is_null  type_name`)

// The rule compiles in an OPA that has no other built-in function than the platform allows.
func TestPackNeedsNoOtherBuiltins(t *testing.T) {
	t.Parallel()
	out, err := opa(t, "capabilities", "--current")
	require.NoError(t, err, out)
	var all map[string]any
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	builtins, _ := all["builtins"].([]any)
	all["builtins"] = slices.DeleteFunc(builtins, func(b any) bool {
		name, _ := b.(map[string]any)["name"].(string)
		return !slices.Contains(allowedBuiltins, name)
	})
	content, err := json.Marshal(all)
	require.NoError(t, err)
	few := filepath.Join(t.TempDir(), "capabilities.json")
	require.NoError(t, os.WriteFile(few, content, 0o600))
	out, err = opa(t, "check", "--strict", "--capabilities", few, pack)
	require.NoError(t, err, out)

	// The check bites.
	bad := filepath.Join(t.TempDir(), "bad.rego")
	require.NoError(t, os.WriteFile(bad, []byte("package x\n\ny := http.send({})\n"), 0o600))
	out, err = opa(t, "check", "--capabilities", few, bad)
	require.Error(t, err)
	require.Contains(t, out, "http.send")
}

// JFrog's Terraform provider looks at every expression that is a call, before compilation, and takes the same names only:
// neither := nor a function of one's own may be one.
func TestPackPassesTheTerraformProvider(t *testing.T) {
	t.Parallel()
	out, err := opa(t, "parse", "--format", "json", pack)
	require.NoError(t, err, out)
	var module any
	require.NoError(t, json.Unmarshal([]byte(out), &module))
	calls := expressionCalls(module)
	require.Greater(t, len(calls), 20)
	for _, name := range calls {
		require.Contains(t, allowedBuiltins, name)
	}
	require.Less(t, len(read(t, pack)), 65536, "the platform's limit for a rule's text")
}

// expressionCalls names what the expressions of a parsed module call.
func expressionCalls(node any) (names []string) {
	switch n := node.(type) {
	case []any:
		for _, child := range n {
			names = append(names, expressionCalls(child)...)
		}
	case map[string]any:
		if terms, ok := n["terms"].([]any); ok && len(terms) > 0 {
			if operator, ok := terms[0].(map[string]any); ok && operator["type"] == "ref" {
				var parts []string
				for _, part := range operator["value"].([]any) {
					parts = append(parts, part.(map[string]any)["value"].(string))
				}
				names = append(names, strings.Join(parts, "."))
			}
		}
		for _, child := range n {
			names = append(names, expressionCalls(child)...)
		}
	}
	return names
}

// The rule is about the evidence that this product makes.
func TestPackLooksForOurEvidence(t *testing.T) {
	t.Parallel()
	require.Contains(t, read(t, pack), `predicate_type := "`+seal.EvidencePredicate+`"`)
}

// The request bodies fit the rule and one another, and the example input passes with the example rule's parameters.
func TestRequestBodies(t *testing.T) {
	t.Parallel()
	var template struct{ Parameters []struct{ Name, Type string } }
	var rule struct {
		Parameters []struct{ Name, Value string }
	}
	var input struct {
		Params map[string]string
		Data   any
	}
	for name, into := range map[string]any{"template.json": &template, "rule.json": &rule, "input_example.json": &input, "policy.json": new(any)} {
		require.NoError(t, json.Unmarshal([]byte(read(t, name)), into), name)
	}
	var named []string
	for _, m := range regexp.MustCompile(`params\.([a-z_]+)`).FindAllStringSubmatch(read(t, pack), -1) {
		named = append(named, m[1])
	}
	slices.Sort(named)
	var declared, given []string
	for _, p := range template.Parameters {
		declared = append(declared, p.Name)
		require.Equal(t, "string", p.Type)
	}
	params := map[string]string{}
	for _, p := range rule.Parameters {
		given = append(given, p.Name)
		params[p.Name] = p.Value
	}
	require.Equal(t, declared, given)
	require.ElementsMatch(t, declared, slices.DeleteFunc(slices.Compact(named), func(s string) bool { return s == "public" }))
	require.LessOrEqual(t, len(declared), 20, "the platform's limit")
	require.Equal(t, params, input.Params)

	const query = `data.curation.policies.allow.should_allow with time.now_ns as time.parse_rfc3339_ns(%)`
	for _, subjects := range []string{"sources", "artifacts"} { // the example shows both
		given := filepath.Join(t.TempDir(), "input.json")
		require.NoError(t, os.WriteFile(given, []byte(strings.Replace(read(t, "input_example.json"), `"subjects": "sources"`, `"subjects": "`+subjects+`"`, 1)), 0o600))
		for at, want := range map[string]string{"2026-09-01T00:00:00Z": "true", "2027-09-01T00:00:00Z": "false"} {
			out, err := opa(t, "eval", "--format", "raw", "-d", pack, "-i", given, strings.Replace(query, "%", `"`+at+`"`, 1))
			require.NoError(t, err, out)
			require.Equal(t, want, strings.TrimSpace(out), at)
		}
	}
}
