package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// loading tells why a policy does not load.
func loading(t *testing.T, yaml string) error {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(yaml), 0o600))
	_, err := policy.Load(dir, policy.Skip, vocabulary)
	return err
}

// Two policies whose version checks look at different parts of the path decide differently: neither may hide the other.
func TestVersionsOfDifferentPartsDiffer(t *testing.T) {
	t.Parallel()
	lax := requiring(`{name: c, version: {in: '(?:[^/]+/)*[^/]+?([0-9.]+)tgz', pattern: '.*'}}`)
	strict := strings.Replace(requiring(`{name: c, version: {in: 'app/([^/]+)/.*', pattern: '.*'}}`), "name: p", "name: q", 1)
	require.ErrorContains(t, loading(t, lax+"---\n"+strict), "decide differently")

	a, b := load(t, policy.Skip, lax).Rules(), load(t, policy.Skip, strings.Replace(strict, "name: q", "name: p", 1)).Rules()
	require.NotEqual(t, a[0].Means, b[0].Means, "policy diff has to show the change")
}

// A regular expression matches all of a text or nothing, however it is written.
func TestPatternsMatchTheWholeText(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{`zip)|(?:app`, `app)|(?:.*`} {
		require.ErrorContains(t, loading(t, requiring(`{name: c, fileName: {pattern: '`+pattern+`'}}`)), "unexpected )", pattern)
	}
	for _, pattern := range []string{`app|tgz`, `app\.|tgz`, `(?m)app`, `(?m:^app$)`, `(?s)app.`} {
		set := load(t, policy.Skip, requiring(`{name: c, fileName: {pattern: '`+pattern+`'}}`))
		require.Nil(t, set.Decide(asked(t, policy.Facts{})).Grant, pattern)
	}
	// A version that the expression leaves open is none.
	set := load(t, policy.Skip, requiring(`{name: c, version: {in: 'lib/([^/]+)/.*|app/.*', pattern: '.*'}}`))
	require.Nil(t, set.Decide(asked(t, policy.Facts{})).Grant)
}

// Artifactory has names in lower case. A manager is one however the policy writes the name, and nobody is a submitter who
// did not log in.
func TestManagersInAnyCase(t *testing.T) {
	t.Parallel()
	configured := func(people string) string {
		return "kind: SigningConfiguration\nname: c\nowner: o\nlane: release\n" + people + "\nsign: [{key: release-2026, formats: [raw]}]\n---\n" +
			"kind: SigningPolicy\nname: p\nowner: o\nmatch: {repositories: [staging]}\nconfiguration: c\n"
	}
	for _, managers := range []string{"{users: [Erin]}", "{groups: [Firmware-Managers]}"} {
		set := load(t, policy.Skip, configured("managers: "+managers))
		d := set.Decide(asked(t, policy.Facts{Actors: []policy.Actor{{User: "erin", Role: policy.Creator, Groups: []string{"firmware-managers"}}}}))
		require.Nil(t, d.Grant, managers)
		require.Equal(t, []reason.Code{reason.TriggerRefused}, codesOf(d.Denied))
	}
	// A manager may not submit in a role that submitters are not held to either.
	set := load(t, policy.Skip, configured("managers: {users: [erin]}\nsubmitters: {users: [ci], as: [promoter]}"))
	require.Nil(t, set.Decide(asked(t, policy.Facts{Actors: []policy.Actor{{User: "erin", Role: policy.Creator}, {User: "ci", Role: policy.Promoter}}})).Grant)
	require.NotNil(t, set.Decide(asked(t, policy.Facts{Actors: []policy.Actor{{User: "eve", Role: policy.Creator}, {User: "ci", Role: policy.Promoter}}})).Grant)

	require.ErrorContains(t, loading(t, configured("managers: {users: [Erin]}\nsubmitters: {users: [erin]}")), "is a manager and a submitter")
	require.ErrorContains(t, loading(t, configured("submitters: {users: [Anonymous]}")), "did not log in")
}

// A signature whose record says that it is still to be made has no age.
func TestSignaturesOfTheFuture(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, "kind: GatePolicy\nname: g\nowner: o\ntarget: {repositories: [release]}\nrequire:\n  signatures: [{keys: [release-2026], maxAge: 1h}]\n")
	demand, _ := set.Demand(ref(t, "release/a"))
	made := func(after time.Duration) []reason.Reason {
		return demand.At(sunday).Judge([]policy.Evidence{{File: "a.sig", Format: "raw", Key: "release-2026", At: sunday.Add(after)}})
	}
	require.Empty(t, made(0))
	require.Empty(t, made(time.Minute), "clocks differ")
	refused := made(24 * time.Hour)
	require.Equal(t, []reason.Code{reason.SignatureUndated}, codesOf(refused))
	require.Contains(t, refused[0].Found, "still to come")
}

// Explain tells all that a gate asks for.
func TestExplainTellsAllOfAGate(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, `kind: GatePolicy
name: g
owner: o
mode: warn
target: {repositories: [release]}
require:
  signatures: [{keys: [release-2026]}]
  forbidden: {lane: development}
  checks: [{name: small, size: {max: 1KB}}]
`)
	said := set.Explain(ref(t, "release/a"), "").Gates[0].Why
	for _, want := range []string{"demands 1 signature by release-2026", "forbids dev-2026", "requires small (at most 1000B)", "warns only"} {
		require.Contains(t, said, want)
	}
}

// Mistakes in expressions are told at their own line and column of the file, however the text is written there.
func TestPlacesWithinExpressions(t *testing.T) {
	t.Parallel()
	head := "kind: SigningPolicy\nname: p\nowner: o\nmatch: {repositories: [staging]}\nsign: [{key: release-2026, formats: [raw]}]\nrequire:\n"
	for check, want := range map[string]string{
		"  - {name: c, message: m, fix: f, expression: 'artifact.nam == \"\"'}\n":                                               "p.yaml:7:56: expression: undefined field 'nam' (did you mean 'name'?)",
		"  - name: c\n    message: m\n    fix: f\n    expression: artifact.nam == \"\"\n":                                       "p.yaml:10:25: expression: undefined",
		"  - name: c\n    message: m\n    fix: f\n    expression: |\n      artifact.size > 3 &&\n      artifact.nam == ''\n":    "p.yaml:12:15: expression: undefined",
		"  - name: c\n    message: m\n    fix: f\n    expression: |-\n      artifact.size > 3 &&\n        artifact.nam == ''\n": "p.yaml:12:17: expression: undefined",
		"  - name: c\n    message: m\n    fix: f\n    expression: >\n      artifact.size > 3 &&\n      artifact.nam == ''\n":    "p.yaml:10:17: expression: character 30: undefined",
		"  - name: c\n    message: m\n    fix: f\n    expression: 'artifact.size'\n":                                            "p.yaml:10:17: expression: is of the type int",
	} {
		require.ErrorContains(t, loading(t, head+check), want, check)
	}
}

// Policies with many expressions load in bounded time: equal ones are compiled once, and too many different ones refused.
func TestManyExpressions(t *testing.T) {
	t.Parallel()
	policies := func(number func(p, i int) int) string {
		var b strings.Builder
		for p := range 100 {
			fmt.Fprintf(&b, "---\nkind: SigningPolicy\nname: p%d\nowner: o\nmatch: {repositories: [r%d]}\nsign: [{key: release-2026, formats: [raw]}]\nrequire:\n", p, p)
			for i := range 64 {
				fmt.Fprintf(&b, "  - {name: c%d, message: m, fix: f, expression: 'artifact.size > %d'}\n", i, number(p, i))
			}
		}
		return b.String()
	}
	require.NoError(t, loading(t, policies(func(_, i int) int { return i })))
	require.ErrorContains(t, loading(t, policies(func(p, i int) int { return 1000*p + i })), "more than 4000 different expressions")
}

// An empty list reads as "none" and would mean "all": it is refused wherever a policy has one.
func TestEmptyListsAreRefused(t *testing.T) {
	t.Parallel()
	signing := "kind: SigningPolicy\nname: p\nowner: o\nmatch: {repositories: [staging], %s}\nsign: [{key: release-2026, formats: [raw]}]\n"
	for _, line := range []string{"kinds: []", "projects: []", "instances: []", "paths: []", "exclude: []", "events: []", "properties: {}"} {
		require.ErrorContains(t, loading(t, fmt.Sprintf(signing, line)), "is empty, which is the same as if it were not there", line)
	}
	for _, check := range []string{`property: {name: qa, values: []}`, `build: {names: []}`, `window: {days: [], from: "08:00"}`, `signatures: {keys: [release-2026], formats: []}`} {
		require.ErrorContains(t, loading(t, requiring("{name: c, "+check+"}")), "is empty", check)
	}
	require.ErrorContains(t, loading(t, "kind: SigningConfiguration\nname: c\nowner: o\nlane: release\nsubmitters: {users: [ci], as: []}\nsign: [{key: release-2026, formats: [raw]}]\n"), "is empty")
	require.ErrorContains(t, loading(t, "kind: SigningConfiguration\nname: c\nowner: o\nlane: release\nmanagers: {users: []}\nsign: [{key: release-2026, formats: [raw]}]\n"), "is empty")
}
