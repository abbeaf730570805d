package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

const soundPolicy = `kind: SigningPolicy
name: release
owner: release-managers
match: {repositories: [staging]}
sign: [{key: release-2026, formats: [sigstore]}]
---
kind: GatePolicy
name: gate
owner: release-managers
target: {repositories: [release]}
require: {signatures: [{lane: release}]}
`

func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	broken := strings.NewReplacer("key: release-2026", "key: release-2025", "lane: release", "lane: releases").Replace(soundPolicy)
	dir := write(t, map[string]string{
		"hallmark.yaml": sound, "policies/a.yaml": soundPolicy, "broken/a.yaml": broken, "broken/b.yaml": "kind: [\n",
		"names/a.yaml": strings.Replace(soundPolicy, "repositories: [staging]", "repositories: [staging], instances: [mian], events: [artifact/deploid]", 1),
	})
	config := filepath.Join(dir, "hallmark.yaml")
	check := func(code int, args ...string) (policyCheck, string) {
		t.Helper()
		args = append([]string{"policy", "check", "--config", config}, args...)
		text := command(t, args...)
		require.Equal(t, code, text.code, text.out+text.err)
		r := command(t, append(args, "-o", "json")...)
		require.Equal(t, code, r.code)
		var answer policyCheck
		require.NoError(t, json.Unmarshal([]byte(r.out), &answer))
		require.Equal(t, code == exitOK, answer.OK)
		return answer, text.out
	}
	answer, text := check(exitOK)
	require.Contains(t, text, "ok  "+filepath.Join(dir, "policies"))
	require.Contains(t, text, answer.PolicySet.String())
	require.Equal(t, []problem{}, answer.Problems)

	answer, text = check(exitRefused, "--dir", filepath.Join(dir, "broken"))
	require.Nil(t, answer.PolicySet)
	require.Len(t, answer.Problems, 3)
	first := answer.Problems[0]
	require.Equal(t, problem{File: filepath.Join(dir, "broken/a.yaml"), Line: 5, Column: 14, Message: first.Message}, first)
	require.Contains(t, first.Message, `did you mean "release-2026"?`)
	require.Contains(t, text, "broken/a.yaml:5:14: ")
	require.Contains(t, text, "REFUSED")

	answer, _ = check(exitRefused, "--dir", filepath.Join(dir, "names"))
	require.Len(t, answer.Problems, 2, "instances and events are known words, too")
	require.Contains(t, answer.Problems[0].Message+answer.Problems[1].Message, `did you mean "main"?`)

	answer, _ = check(exitRefused, "--dir", filepath.Join(dir, "nowhere"))
	require.Contains(t, answer.Problems[0].Message, "does not exist")
	require.Equal(t, exitUndecided, command(t, "policy", "check", "--config", "nowhere.yaml").code)
}

func TestPolicyExplain(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"hallmark.yaml": sound, "policies/a.yaml": soundPolicy})
	config := filepath.Join(dir, "hallmark.yaml")
	for path, want := range map[string]string{"staging/app.tgz": "sign", "release/app.tgz": "skip", "elsewhere/a/b c;d": "skip"} {
		r := command(t, "policy", "explain", path, "--config", config, "-o", "json")
		require.Equal(t, exitOK, r.code, r.err)
		var e policy.Explanation
		require.NoError(t, json.Unmarshal([]byte(r.out), &e))
		require.Equal(t, want, e.Outcome)
		require.Equal(t, "main", e.Instance)
		require.NotContains(t, r.out, "null")
		r = command(t, "policy", "explain", path, "--config", config)
		require.Equal(t, e.Text(), r.out)
	}
	for _, path := range []string{"staging", "staging/../x", "a b/x"} {
		require.Equal(t, exitUndecided, command(t, "policy", "explain", path, "--config", config).code, path)
	}
}

// The schema needs no configuration.
func TestPolicySchema(t *testing.T) {
	t.Parallel()
	r := command(t, "policy", "schema")
	require.Equal(t, exitOK, r.code, r.err)
	require.Equal(t, string(policy.Schema()), r.out)
}
