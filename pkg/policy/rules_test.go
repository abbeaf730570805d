package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Whatever a policy says is in Means, so that no change of it goes unseen; where it is written is not.
func TestRulesTellEverything(t *testing.T) {
	t.Parallel()
	const yaml = `kind: SigningPolicy
name: s
owner: o
match: {instances: [main], repositories: [r], paths: [p], exclude: [x], events: [artifact/deployed]}
images: {platforms: [linux/*]}
sign: [{key: release-2026, formats: [raw, sigstore]}]
---
kind: GatePolicy
name: g
owner: q
target: {repositories: [r], paths: [p], instances: [main]}
require: {signatures: [{lane: release, formats: [raw]}, {keys: [release-2026, release-2027], count: 2}]}
`
	want := []policy.Rule{
		{Policy: "s", Kind: "SigningPolicy", Rule: "policies/p.yaml:1 (s)", Means: []string{
			"match: instances main", "match: repositories r", "match: paths p", "match: exclude x", "match: events artifact/deployed",
			"images: platforms linux/*", "signs with release-2026 (sigstore, raw)", "owner: o",
		}},
		{Policy: "g", Kind: "GatePolicy", Rule: "policies/p.yaml:8 (g)", Means: []string{
			"target: instances main", "target: repositories r", "target: paths p",
			"demands 1 signature by a release key (release-2026, release-2027), format raw",
			"demands signatures by 2 different keys, each by release-2026 or release-2027, format sigstore or raw", "owner: q",
		}, Requirements: []policy.Requirement{
			{Rule: "policies/p.yaml:12 (g)", Keys: []string{"release-2026", "release-2027"}, Formats: []string{"raw"}, Count: 1, Level: 2},
			{Rule: "policies/p.yaml:12 (g)", Keys: []string{"release-2026", "release-2027"}, Formats: []string{"sigstore", "raw"}, Count: 2, Level: 2},
		}},
	}
	set := load(t, policy.Skip, yaml)
	require.Equal(t, want, set.Rules())
	demand, ok := set.Demand(ref(t, "r/p"))
	require.True(t, ok)
	require.Equal(t, want[1].Requirements, demand.Requirements())

	// The lists are the caller's own.
	demand.Requirements()[0].Keys[0] = "stranger"
	require.Equal(t, want, set.Rules())
}

// Whatever a policy says beyond its form is in Means: two that differ there are not taken for the same.
func TestRulesTellChecks(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, `kind: SigningConfiguration
name: c
owner: security
product: router
lane: release
managers: {users: [boss]}
submitters: {users: [ci], groups: [robots], as: [creator]}
sign: [{key: release-2026, formats: [raw]}]
---
kind: SigningPolicy
name: s
owner: o
mode: warn
match: {repositories: [r], kinds: [file], projects: [acme], properties: {channel: [stable]}}
require: [{name: small, size: {max: 1KiB}, message: too big, fix: shrink it, who: you}]
configuration: c
---
kind: GatePolicy
name: g
owner: q
mode: warn
target: {repositories: [r]}
require:
  signatures: [{keys: [release-2026], maxAge: 30d}]
  trustLevel: 3
  forbidden: {lane: development}
  checks: [{name: qa, property: {name: qa}}]
`)
	rules := set.Rules()
	require.Equal(t, []string{
		"match: repositories r", "match: kinds file", "match: projects acme", "match: the property channel is stable", "mode: warn",
		`requires small: at most 1KiB; message "too big", fix "shrink it", who "you"`,
		"configuration: c", "signs with release-2026 (raw)", "owner: o",
	}, rules[0].Means)
	require.Equal(t, []string{"policies/p.yaml:15 (s/small)"}, rules[0].Checks)
	require.Equal(t, []string{
		"target: repositories r", "mode: warn", "forbids dev-2026", `requires qa: the property qa; message "", fix "", who "q"`,
		"demands 1 signature by release-2026, format sigstore or raw, not older than 30d, trust level 3", "owner: q",
	}, rules[1].Means)
	require.Equal(t, []string{"policies/p.yaml:27 (g/qa)", "policies/p.yaml:26 (g)"}, rules[1].Checks)
	require.Equal(t, policy.Rule{Policy: "c", Kind: "SigningConfiguration", Lane: "release", Rule: "policies/p.yaml:1 (c)", Means: []string{
		"lane: release", "product: router", "submitters: ci, group robots, as creator", "managers: boss", "signs with release-2026 (raw)", "owner: security",
	}}, rules[2])
}
