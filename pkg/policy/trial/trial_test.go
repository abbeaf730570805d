package trial_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

// words is what there is without a configuration.
var words = trial.Language{Vocabulary: policy.Vocabulary{
	Formats: []string{"sigstore", "raw", "cosign"},
	Kinds:   map[string][]artifact.Kind{"sigstore": {artifact.KindFile}, "raw": {artifact.KindFile}, "cosign": {artifact.KindImage}},
	Events:  []string{"artifact/deployed", "artifact/moved"},
}}

const policies = `kind: SigningPolicy
name: staging
owner: release-managers
match: {repositories: [staging], exclude: [tmp/**], events: [artifact/deployed]}
sign: [{key: release-2026, formats: [sigstore, raw]}]
---
kind: SigningPolicy
name: clash
owner: build-team
match: {repositories: [staging], paths: [clash/**], exclude: ` + policytest.HardExclude + `}
sign: [{key: dev-2026, formats: [sigstore]}]
---
kind: GatePolicy
name: release
owner: release-managers
target: {repositories: [release]}
require:
  signatures:
    - {lane: release, formats: [sigstore]}
    - {lane: release, formats: [raw]}
`

const head = `keys: [{name: release-2026, lane: release}, {name: release-2027, lane: release}, {name: dev-2026, lane: development}]
noMatch: skip
`

// dir writes a policy directory.
func dir(t testing.TB, files map[string]string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "policies")
	require.NoError(t, os.Mkdir(name, 0o700))
	for file, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(name, file), []byte(content), 0o600))
	}
	return name
}

func read(t testing.TB, cases string) *trial.Trial {
	t.Helper()
	got, err := trial.Read(dir(t, map[string]string{"p.yaml": policies, "p_test.yaml": head + cases}), words)
	require.NoError(t, err)
	return got
}

// Each case passes as it stands, and fails with what is found as soon as it expects anything else.
func TestRun(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, section, given, sound, wrong, what, found string }{
		{"sign", "signing", "artifact: staging/a", "outcome: sign, sign: [{key: release-2026, formats: [raw, sigstore]}], rule: staging", "outcome: skip", "outcome", "sign with release-2026 (sigstore, raw)"},
		{"fewer-formats", "signing", "artifact: staging/a", "outcome: sign, sign: [{key: release-2026, formats: [sigstore, raw]}]", "outcome: sign, sign: [{key: release-2026, formats: [raw]}]", "sign", "release-2026 (sigstore, raw)"},
		{"other-key", "signing", "artifact: staging/a", "outcome: sign, sign: [{key: release-2026, formats: [sigstore, raw]}]", "outcome: sign, sign: [{key: dev-2026, formats: [sigstore, raw]}]", "sign", "release-2026 (sigstore, raw)"},
		{"skip", "signing", "artifact: staging/tmp/a", "outcome: skip", "outcome: deny, reasons: [no-policy]", "outcome", "skip"},
		{"event", "signing", "artifact: staging/a, event: artifact/moved", "outcome: skip", "outcome: deny, reasons: [no-policy]", "outcome", "skip"},
		{"rule", "signing", "artifact: staging/a", "outcome: sign, sign: [{key: release-2026, formats: [sigstore, raw]}]", "outcome: sign, sign: [{key: release-2026, formats: [sigstore, raw]}], rule: clash", "rule", "policies/p.yaml:1 (staging)"},
		{"no-digest", "signing", "artifact: staging/a, digest: unknown", "outcome: deny, reasons: [digest-unknown], rule: staging", "outcome: deny, reasons: [no-policy]", "reasons", "digest-unknown"},
		{"kind", "signing", "artifact: staging/a/1/manifest.json, kind: image", "outcome: deny, reasons: [format-unfit]", "outcome: skip", "outcome", "deny (format-unfit)"},
		{"conflict", "signing", "artifact: staging/clash/" + policytest.HardName, "outcome: deny, reasons: [policy-conflict], rule: clash", "outcome: deny, reasons: [no-policy]", "reasons", "policy-conflict"},
		{"allow", "gates", "target: release/a, evidence: [{key: release-2026, format: sigstore}, {key: release-2027, format: raw}]", "outcome: allow, rule: release", "outcome: refuse, reasons: [signature-missing]", "outcome", "allow"},
		{"refuse", "gates", "target: release/a, artifact: staging/a", "outcome: refuse, reasons: [signature-missing, signature-missing], rule: release", "outcome: refuse, reasons: [signature-missing]", "reasons", "signature-missing, signature-missing"},
		{"one-of-two", "gates", "target: release/a, evidence: [{key: release-2026, format: sigstore}]", "outcome: refuse, reasons: [signature-missing]", "outcome: allow", "outcome", "refuse (signature-missing)"},
		{"problem", "gates", "target: release/a, evidence: [{key: release-2026, format: sigstore, problem: signature-wrong-bytes}]", "outcome: refuse, reasons: [signature-wrong-bytes, signature-wrong-bytes]", "outcome: allow", "outcome", "refuse (signature-wrong-bytes, signature-wrong-bytes)"},
		{"closed", "gates", "target: elsewhere/a, evidence: [{key: release-2026, format: raw}]", "outcome: refuse, reasons: [no-gate-policy]", "outcome: refuse, reasons: [no-gate-policy], rule: release", "rule", "none"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			one := func(expect string) (trial.Report, string) {
				r := read(t, tc.section+":\n  - {name: it, "+tc.given+", expect: {"+expect+"}}\n").Run(nil)
				var text bytes.Buffer
				r.Text(&text)
				require.Len(t, r.Cases, 1)
				return r, text.String()
			}
			sound, text := one(tc.sound)
			require.True(t, sound.OK, text)
			require.Regexp(t, `(?m)^ok    .*p_test\.yaml:4  it$`, text)

			wrong, text := one(tc.wrong)
			require.False(t, wrong.OK)
			require.Equal(t, 1, wrong.Failed)
			require.Equal(t, tc.what, wrong.Cases[0].Differences[0].What)
			require.Equal(t, tc.found, wrong.Cases[0].Differences[0].Found)
			require.Regexp(t, `(?m)^FAIL  .*p_test\.yaml:4  it$`, text)
			require.Contains(t, text, "  "+tc.what+"\n    found     "+tc.found+"\n    expected  ")
			for _, reason := range wrong.Cases[0].Reasons {
				require.Contains(t, text, reason.Text(), "the whole reason is told")
			}
		})
	}
}

const signed = "signing: [{name: signed, artifact: staging/a, expect: {outcome: sign, sign: [{key: release-2026, formats: [sigstore, raw]}]}}]\n"

// A line of a gate counts as tested when it refuses something: whoever is let in would be so without it, too.
func TestUntestedRulesAreListed(t *testing.T) {
	t.Parallel()
	untested := func(cases string) (out []string) {
		for _, u := range read(t, cases).Run(nil).Untested {
			out = append(out, u.Rule)
		}
		return out
	}
	clash, first, second := "policies/p.yaml:7 (clash)", "policies/p.yaml:19 (release)", "policies/p.yaml:20 (release)"
	require.Equal(t, []string{clash, first, second}, untested(signed))
	gate := func(evidence, expect string) string {
		return "gates: [{name: gate, target: release/a, evidence: [" + evidence + "], expect: {" + expect + "}}]\n"
	}
	sigstore, raw := "{key: release-2026, format: sigstore}", "{key: release-2026, format: raw}"
	require.Equal(t, []string{clash, first, second}, untested(signed+gate(sigstore+", "+raw, "outcome: allow")))
	require.Equal(t, []string{clash, second}, untested(signed+gate(raw, "outcome: refuse, reasons: [signature-missing]")))
	require.Equal(t, []string{clash}, untested(signed+"gates: [{name: gate, target: release/a, expect: {outcome: refuse, reasons: [signature-missing, signature-missing]}}]\n"))

	some := read(t, signed).Run(regexp.MustCompile("^sig"))
	require.True(t, some.Partial)
	require.Empty(t, some.Untested, "who runs some cases is not told about the others")
	require.Len(t, some.Cases, 1)
	require.Empty(t, read(t, signed).Run(regexp.MustCompile("elsewhere")).Cases)
}

// Mistakes are told all at once, each with its place and the nearest name.
func TestMistakes(t *testing.T) {
	t.Parallel()
	for want, cases := range map[string]string{
		`p_test.yaml:3:1: unknown key "sining"; did you mean "signing"?`:                        "sining: []\n",
		`p_test.yaml:3:36: unknown key "artefact" in signing[0]; did you mean "artifact"?`:      "signing: [{name: x, artifact: a/b, artefact: a/b, expect: {outcome: skip}}]\n",
		`p_test.yaml:3:54: signing[0].expect.outcome: "sing" is not one of`:                     "signing: [{name: x, artifact: a/b, expect: {outcome: sing}}]\n",
		`p_test.yaml:3:31: "staging" is not repository/path`:                                    "signing: [{name: x, artifact: staging, expect: {outcome: skip}}]\n",
		`p_test.yaml:3:43: unknown event "artifact/deployd"; did you mean "artifact/deployed"?`: "signing: [{name: x, artifact: a/b, event: artifact/deployd, expect: {outcome: skip}}]\n",
		`unknown key "release-2025"; did you mean "release-2026"?`:                              "signing: [{name: x, artifact: a/b, expect: {outcome: sign, sign: [{key: release-2025, formats: [raw]}]}}]\n",
		`unknown format "sigstor"; did you mean "sigstore"?`:                                    "gates: [{name: x, target: a/b, evidence: [{key: dev-2026, format: sigstor}], expect: {outcome: allow}}]\n",
		`unknown reason code "signature-mising"; did you mean "signature-missing"?`:             "gates: [{name: x, target: a/b, expect: {outcome: refuse, reasons: [signature-mising]}}]\n",
		`unknown rule "stagin"; did you mean "staging"?`:                                        "signing: [{name: x, artifact: a/b, expect: {outcome: skip, rule: stagin}}]\n",
		`outcome: sign needs sign`:                                                              "signing: [{name: x, artifact: a/b, expect: {outcome: sign}}]\n",
		`outcome: refuse needs reasons`:                                                         "gates: [{name: x, target: a/b, expect: {outcome: refuse}}]\n",
		`reasons goes with outcome: refuse, found outcome: allow`:                               "gates: [{name: x, target: a/b, expect: {outcome: allow, reasons: [undecided]}}]\n",
		`either a key that made it or a problem`:                                                "gates: [{name: x, target: a/b, evidence: [{format: raw}], expect: {outcome: allow}}]\n",
		`platform and partOf are for images`:                                                    "signing: [{name: x, artifact: a/b, platform: linux/arm64, expect: {outcome: skip}}]\n",
		`"target" is missing in gates[0]`:                                                       "gates: [{name: x, expect: {outcome: allow}}]\n",
	} {
		_, err := trial.Read(dir(t, map[string]string{"p.yaml": policies, "p_test.yaml": head + cases}), words)
		require.Error(t, err, cases)
		require.Contains(t, err.Error(), want)
		require.Regexp(t, `p_test\.yaml:\d+:\d+: `, err.Error())
	}
}

// Keys come from a configuration or from the files, and never silently from both.
func TestWhereKeysComeFrom(t *testing.T) {
	t.Parallel()
	one := func(l trial.Language, files ...string) error {
		all := map[string]string{"p.yaml": policies}
		for i, f := range files {
			all[string(rune('a'+i))+"_test.yaml"] = f
		}
		_, err := trial.Read(dir(t, all), l)
		return err
	}
	configured := words
	configured.Configured, configured.NoMatch = true, policy.Deny
	configured.Keys = []policy.Key{{Name: "release-2026", Lane: "release"}, {Name: "dev-2026", Lane: "development"}}
	require.NoError(t, one(configured, signed))
	require.NoError(t, one(words, head, signed), "one file speaks for all")
	require.ErrorContains(t, one(words, signed), "no configuration is given, and no *_test.yaml file")
	require.ErrorContains(t, one(words, strings.Replace(head, "noMatch: skip", "", 1)), "has noMatch")
	require.ErrorContains(t, one(words, head, "noMatch: deny\n"), "noMatch is deny here and skip in a file before")
	require.ErrorContains(t, one(words, head, "keys: [{name: dev-2026, lane: release}]\n"), "dev-2026 has the lane release here and development at")
	require.ErrorContains(t, one(configured, head), `the configuration has no key "release-2027"`)
	require.ErrorContains(t, one(configured, "keys: [{name: dev-2026, lane: release}]\n"), "dev-2026 has the lane development in the configuration")
	require.ErrorContains(t, one(configured, "noMatch: skip\n"), "noMatch is deny in the configuration")
	require.ErrorContains(t, one(words, head, ""), "is empty")
}
