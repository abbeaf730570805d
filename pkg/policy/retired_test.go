package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const retiring = `kind: SigningPolicy
name: release
owner: alice
match: {repositories: [libs]}
sign: [{key: old, formats: [sigstore]}]
---
kind: GatePolicy
name: gate
owner: alice
target: {repositories: [out]}
require:
  signatures:
    - {keys: [old]}
    - {keys: [old, new], count: 1}
`

// A set that rests on keys whose time is over loads, and tells so.
func TestRetirements(t *testing.T) {
	t.Parallel()
	end := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	v := policy.Vocabulary{
		Formats: []string{"sigstore"},
		Keys:    []policy.Key{{Name: "old", Lane: policy.LaneRelease, Retired: end}, {Name: "new", Lane: policy.LaneRelease}},
	}
	set := policytest.Set(t, policy.Skip, v, map[string]string{"p.yaml": retiring})

	before := set.Retirements(end.Add(-time.Second))
	require.Len(t, before, 1, "a gate still lets in what is signed until then")
	require.Contains(t, before[0], "policies/p.yaml:1 (release) signs with old, which is retired from 2026-06-01 00:00 UTC on")

	after := set.Retirements(end)
	require.Len(t, after, 2, "the second line can be met with the other key")
	require.Contains(t, after[0], "what it matches is denied")
	require.Contains(t, after[1], "policies/p.yaml:13 (gate) demands old, and too few")

	// What is told is what happens.
	request := policy.Request{Subject: subject(t, "libs/x"), At: end.Add(-time.Second)}
	require.NotNil(t, set.Decide(request).Grant)
	request.At = end
	denied := set.Decide(request).Denied
	require.Len(t, denied, 1)
	require.Equal(t, reason.KeyRetired, denied[0].Code)
}
