package trial_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

const demanding = `kind: SigningConfiguration
name: releases
owner: security
lane: release
submitters: {groups: [robots]}
sign: [{key: release-2026, formats: [raw]}]
---
kind: SigningPolicy
name: careful
owner: release-managers
match: {repositories: [staging]}
require:
  - {name: approved, property: {name: qa, values: [approved]}}
  - {name: built, build: {names: ["app-*"]}}
  - {name: hours, window: {days: [mon], from: "08:00", to: "18:00"}}
  - {name: small, size: {max: 1MiB}}
  - {name: came-through-dev, history: {repositories: [dev]}}
  - {name: signed-before, signatures: {keys: [dev-2026], maxAge: 7d}}
  - {name: acme, expression: 'artifact.project == "acme"', message: only acme, fix: move it}
configuration: releases
---
kind: GatePolicy
name: strict
owner: release-managers
target: {repositories: [release]}
require:
  signatures: [{lane: release, count: 1, maxAge: 30d}]
  trustLevel: 3
  forbidden: {keys: [dev-2026]}
  checks: [{name: approved, property: {name: qa, values: [approved]}}]
---
kind: GatePolicy
name: soon
owner: release-managers
mode: warn
target: {repositories: [release]}
require: {signatures: [{lane: release, count: 2}]}
`

const sound = `properties: {qa: [open, approved]}, build: {name: app-main, number: "7"}, project: acme, repositories: [dev, staging],
     actors: [{user: ci, role: creator, groups: [robots]}], signatures: [{key: dev-2026, format: raw, age: 2d}]`

func TestGivenFacts(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ section, given, expect string }{
		"all is well":    {"signing", sound, "outcome: sign, sign: [{key: release-2026, formats: [raw]}], rule: careful"},
		"nothing is":     {"signing", "at: 2026-01-04T12:00:00Z, size: 2MiB", "outcome: deny, reasons: [trigger-refused, check-failed, check-failed, check-failed, check-failed, check-failed, check-failed, signature-missing]"},
		"one rule":       {"signing", sound + ", size: 2MiB", "outcome: deny, reasons: [check-failed], rule: careful/small"},
		"too late":       {"signing", sound + `, at: "2026-01-05T18:00:00Z"`, "outcome: deny, reasons: [check-failed], rule: careful/hours"},
		"let in, a word": {"gates", "properties: {qa: [approved]}, evidence: [{key: release-2026, format: raw, level: 3, age: 30d}]", "outcome: allow, warnings: [signature-missing], rule: strict"},
		"too old":        {"gates", "properties: {qa: [approved]}, evidence: [{key: release-2026, format: raw, level: 3, age: 31d}, {key: release-2027, format: raw}]", "outcome: refuse, reasons: [trust-level-low]"},
		"stale":          {"gates", "properties: {qa: [approved]}, evidence: [{key: release-2026, format: raw, level: 3, age: 31d}]", "outcome: refuse, reasons: [signature-stale], warnings: [signature-missing]"},
		"undated":        {"gates", "properties: {qa: [approved]}, evidence: [{key: release-2026, format: raw, level: 3, dated: \"no\"}]", "outcome: refuse, reasons: [signature-undated], warnings: [signature-missing]"},
		"forbidden":      {"gates", "properties: {qa: [approved]}, evidence: [{key: release-2026, format: raw, level: 3}, {key: dev-2026, format: raw}]", "outcome: refuse, reasons: [key-forbidden], warnings: [signature-missing]"},
		"check at gate":  {"gates", "evidence: [{key: release-2026, format: raw, level: 3}]", "outcome: refuse, reasons: [check-failed], rule: strict/approved, warnings: [signature-missing]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			place := "artifact: staging/a"
			if tc.section == "gates" {
				place = "target: release/a"
			}
			got, err := trial.Read(dir(t, map[string]string{"p.yaml": demanding, "p_test.yaml": head + tc.section + ":\n  - {name: it, " + place + ", " + tc.given + ", expect: {" + tc.expect + "}}\n"}), words)
			require.NoError(t, err)
			r := got.Run(nil)
			var text bytes.Buffer
			r.Text(&text)
			require.True(t, r.OK, text.String())
		})
	}
}

// Each check that no case misses is listed.
func TestUntestedChecksAreListed(t *testing.T) {
	t.Parallel()
	got, err := trial.Read(dir(t, map[string]string{"p.yaml": demanding, "p_test.yaml": head + "signing: [{name: it, artifact: staging/a, " + sound + ", size: 2MiB, expect: {outcome: deny, reasons: [check-failed]}}]\n"}), words)
	require.NoError(t, err)
	var rules []string
	for _, u := range got.Run(nil).Untested {
		rules = append(rules, u.Rule)
	}
	require.Equal(t, []string{
		"policies/p.yaml:13 (careful/approved)", "policies/p.yaml:14 (careful/built)", "policies/p.yaml:15 (careful/hours)", "policies/p.yaml:17 (careful/came-through-dev)",
		"policies/p.yaml:18 (careful/signed-before)", "policies/p.yaml:19 (careful/acme)",
		"policies/p.yaml:27 (strict)", "policies/p.yaml:30 (strict/approved)", "policies/p.yaml:29 (strict)", "policies/p.yaml:37 (soon)",
	}, rules)
}

// Whatever checks look at, cases can tell.
func TestCasesTellAllThatChecksLookAt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(`kind: SigningPolicy
name: p
owner: o
match: {repositories: [r]}
require:
  - {name: quiet, message: m, fix: f, expression: 'now - artifact.modified > duration("1h") && artifact.created < artifact.modified'}
  - {name: built, message: m, fix: f, expression: 'build.project == "acme" && build.started < artifact.created'}
sign: [{key: k, formats: [raw]}]
---
kind: GatePolicy
name: g
owner: o
target: {repositories: [r]}
require: {signatures: [{keys: [k]}], forbidden: {keys: [d]}}
`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p_test.yaml"), []byte(`keys: [{name: k, lane: release}, {name: d, lane: development}]
noMatch: skip
signing:
  - name: a quiet one
    artifact: r/a
    created: 2026-01-05T08:00:00Z
    modified: 2026-01-05T09:00:00Z
    build: {name: b, number: "1", project: acme, started: 2026-01-05T07:00:00Z}
    expect: {outcome: sign, sign: [{key: k, formats: [raw]}]}
  - name: one that is written to
    artifact: r/a
    created: 2026-01-05T08:00:00Z
    modified: 2026-01-05T11:30:00Z
    build: {name: b, number: "1", project: other}
    expect: {outcome: deny, reasons: [check-failed, check-failed]}
gates:
  - name: what the ledger alone remembers counts against it
    target: r/a
    evidence: [{key: k, format: raw}, {key: d, format: raw, stands: "no"}]
    expect: {outcome: refuse, reasons: [key-forbidden]}
  - name: and never for it
    target: r/a
    evidence: [{key: k, format: raw, stands: "no"}]
    expect: {outcome: refuse, reasons: [signature-missing]}
`), 0o600))
	one, err := trial.Read(dir, trial.Language{Vocabulary: policy.Vocabulary{Formats: []string{"raw"}}})
	require.NoError(t, err)
	report := one.Run(nil)
	require.True(t, report.OK, "%+v", report.Cases)
	require.Empty(t, report.Untested)
}
