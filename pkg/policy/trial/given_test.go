package trial_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

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
