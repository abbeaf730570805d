package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

// The example policies do what their cases say, and no rule of theirs is without a case.
func TestExamplePoliciesPass(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tooltest.RepoRoot(t), "policies")
	r := command(t, "policy", "test", dir, "--config", "", "-o", "json")
	require.Equal(t, exitOK, r.code, r.out+r.err)
	var report trial.Report
	require.NoError(t, json.Unmarshal([]byte(r.out), &report))
	require.Empty(t, report.Untested)
	require.Greater(t, report.Passed, 25)
	require.NotContains(t, r.out, "null")

	examples, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	for _, file := range examples {
		if !strings.HasSuffix(file, trial.Suffix) {
			require.FileExists(t, strings.TrimSuffix(file, ".yaml")+trial.Suffix, "every example has cases")
		}
	}
}

const soundCases = `signing:
  - {name: staging is signed, artifact: staging/a, expect: {outcome: sign, sign: [{key: release-2026, formats: [sigstore]}]}}
gates:
  - {name: nothing unsigned enters, target: release/a, expect: {outcome: refuse, reasons: [signature-missing]}}
`

func TestPolicyTest(t *testing.T) {
	t.Parallel()
	words := "keys: [{name: release-2026, lane: release}]\nnoMatch: skip\n"
	dir := write(t, map[string]string{
		"hallmark.yaml": sound, "policies/a.yaml": soundPolicy, "policies/a_test.yaml": soundCases,
		"failing/a.yaml": strings.Replace(soundPolicy, "lane: release", "lane: development", 1), "failing/a_test.yaml": strings.Replace(soundCases, "outcome: refuse, reasons: [signature-missing]", "outcome: allow", 1),
		"bare/a.yaml": soundPolicy, "alone/a.yaml": soundPolicy, "alone/a_test.yaml": words + soundCases,
		"broken/a.yaml": soundPolicy, "broken/a_test.yaml": "gtaes: []\n", "unsound/a.yaml": "kind: [", "unsound/a_test.yaml": soundCases,
	})
	config := filepath.Join(dir, "hallmark.yaml")
	test := func(code int, args ...string) string {
		t.Helper()
		r := command(t, append([]string{"policy", "test", "--config", config}, args...)...)
		require.Equal(t, code, r.code, r.out+r.err)
		return r.out + r.err
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	out := test(exitOK)
	require.Contains(t, out, "ok    "+at("policies/a_test.yaml")+":2  staging is signed\n")
	require.Contains(t, out, "2 passed, 0 failed, 0 rules untested")
	require.Contains(t, test(exitOK, "--run", "^staging"), "1 passed")

	out = test(exitRefused, at("failing"))
	require.Contains(t, out, "FAIL  "+at("failing/a_test.yaml")+":4  nothing unsigned enters\n  outcome\n    found     refuse (signature-missing)\n    expected  allow\n")
	require.Contains(t, out, "expected  1 signature by a development key (dev-2026)")
	require.Contains(t, test(exitRefused, at("failing"), "-o", "json"), `"failed": 1`)

	require.Contains(t, test(exitUndecided, at("bare")), "holds no case")
	require.Contains(t, test(exitUndecided, "--run", "elsewhere"), `none of the 2 cases`)
	require.Contains(t, test(exitUndecided, "--run", "["), "reading --run")
	require.Contains(t, test(exitUndecided, at("broken")), `a_test.yaml:1:1: unknown key "gtaes"; did you mean "gates"?`)
	require.Contains(t, test(exitUndecided, at("unsound")), "this is not YAML")
	require.Contains(t, test(exitUndecided, at("nowhere")), "nowhere")
	require.Contains(t, test(exitUndecided, "--config", at("nowhere.yaml")), "nowhere.yaml")

	require.Contains(t, test(exitUndecided, "--config", "", at("policies")), "no configuration is given")
	require.Contains(t, test(exitOK, "--config", "", at("alone")), "2 passed")
}

func TestPolicyDiff(t *testing.T) {
	t.Parallel()
	open := strings.Replace(soundPolicy, "repositories: [release]", "repositories: [release, vault]", 1)
	dir := write(t, map[string]string{
		"hallmark.yaml": sound, "old/a.yaml": soundPolicy, "old/a_test.yaml": soundCases, "same/a.yaml": "\n" + soundPolicy,
		"open/a.yaml": open, "laneless/a.yaml": strings.Replace(soundPolicy, "lane: release", "lane: development", 1), "vault.txt": "vault/app.tgz\n",
	})
	at := func(name string) string { return filepath.Join(dir, name) }
	diff := func(code int, new string, args ...string) string {
		t.Helper()
		r := command(t, append([]string{"policy", "diff", "--config", at("hallmark.yaml"), at("old"), at(new)}, args...)...)
		require.Equal(t, code, r.code, r.out+r.err)
		return r.out + r.err
	}
	require.Contains(t, diff(exitOK, "same"), "none added, removed or changed")
	require.Contains(t, diff(exitOK, "open"), "+ target: repositories release, vault", "no case and no inventory speaks of the vault")
	require.Contains(t, diff(exitRefused, "open", "--inventory", at("vault.txt")), "NEWLY ALLOWED by a gate: 1\n  vault/app.tgz, release-2026 (sigstore-key)\n")
	require.Contains(t, diff(exitOK, "open", "--inventory", at("vault.txt"), "--allow-newly-allowed"), "1 newly allowed")
	require.Contains(t, diff(exitRefused, "laneless"), "dev-2026 (sigstore-key)", "the case has no signature; a development key's opens the gate all the same")

	var d trial.Diff
	require.NoError(t, json.Unmarshal([]byte(diff(exitRefused, "laneless", "-o", "json")), &d))
	require.Equal(t, 1, d.NewlyAllowed)
	require.NotContains(t, diff(exitOK, "same", "-o", "json"), "null")
	require.Contains(t, diff(exitUndecided, "nowhere"), "nowhere")
	require.Contains(t, diff(exitUndecided, "open", "--inventory", at("nowhere.txt")), "reading the inventory")
	require.NoError(t, os.WriteFile(at("vault.txt"), []byte("vault\n"), 0o600))
	require.Contains(t, diff(exitUndecided, "open", "--inventory", at("vault.txt")), "vault.txt:1: ")
}
