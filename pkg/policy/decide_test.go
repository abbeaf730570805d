package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// two signing policies that overlap in shared/, which the load cannot tell, and a third that agrees with the first in all/.
const overlapping = `
kind: SigningPolicy
name: tars
owner: alice
match: {repositories: [libs], paths: ["{shared,all}/*"]}
sign: [{key: release-2026, formats: [sigstore, raw]}]
---
kind: SigningPolicy
name: shared
owner: bob
match: {repositories: [libs], paths: [shared/**], exclude: ` + policytest.HardExclude + `}
sign: [{key: release-2027, formats: [sigstore]}]
---
kind: SigningPolicy
name: all
owner: carol
match: {repositories: [libs], paths: [all/**]}
sign: [{key: release-2026, formats: [raw, sigstore, raw]}]
`

func TestDecide(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, path, event string
		noMatch           policy.NoMatch
		granted           string // policy
		denied            reason.Code
		skipped           bool
	}{
		{name: "one", path: "all/deep/x", granted: "all"},
		{name: "two that agree", path: "all/x", granted: "tars"},
		{name: "two that differ", path: "shared/" + policytest.HardName, denied: reason.PolicyConflict},
		{name: "none, skip", path: "x", skipped: true},
		{name: "none, deny", path: "x", noMatch: policy.Deny, denied: reason.NoPolicy},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if tc.noMatch == "" {
				tc.noMatch = policy.Skip
			}
			set := load(t, tc.noMatch, overlapping)
			s := subject(t, "libs/"+tc.path)
			d := set.Decide(policy.Request{Subject: s, Event: "artifact/deployed"})
			require.Equal(t, 1, b2i(d.Grant != nil)+b2i(len(d.Denied) > 0)+b2i(d.Skip != ""), "exactly one answer: %+v", d)
			require.Equal(t, tc.skipped || tc.denied == reason.NoPolicy, len(d.Matched) == 0)
			require.Equal(t, tc.skipped, d.Skip != "")
			if tc.denied != "" {
				require.Len(t, d.Denied, 1)
				r := d.Denied[0]
				require.Equal(t, tc.denied, r.Code)
				for _, field := range []string{r.Message, r.Found, r.Expected, r.Fix, r.Who} {
					require.NotEmpty(t, field, "%+v", r)
				}
			}
			if tc.granted != "" {
				require.Equal(t, tc.granted, d.Policy)
				require.Equal(t, tc.granted, d.Grant.Policy())
				require.Equal(t, d.Rule, d.Grant.Rule())
				require.Equal(t, s, d.Grant.Subject())
				require.Equal(t, set.Digest(), d.Grant.SetDigest())
			}
		})
	}
}

func TestConflictNamesBothPlaces(t *testing.T) {
	t.Parallel()
	d := load(t, policy.Skip, overlapping).Decide(policy.Request{Subject: subject(t, "libs/shared/"+policytest.HardName)})
	require.Nil(t, d.Grant)
	require.Equal(t, "policies/p.yaml:2 (tars) and policies/p.yaml:8 (shared)", d.Denied[0].Rule)
	require.Equal(t, "alice, bob", d.Denied[0].Who)
	require.Contains(t, d.Denied[0].Found, "release-2026 (sigstore, raw)")
	require.Contains(t, d.Denied[0].Found, "release-2027 (sigstore)")
}

func TestEventsFilterOnlyEvents(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, `
kind: SigningPolicy
name: a
owner: o
match: {repositories: [libs], events: [artifact/deployed]}
sign: [{key: dev-2026, formats: [raw]}]
`)
	s := subject(t, "libs/x")
	require.NotNil(t, set.Decide(policy.Request{Subject: s, Event: "artifact/deployed"}).Grant)
	require.Nil(t, set.Decide(policy.Request{Subject: s, Event: "artifact/moved"}).Grant)
	require.NotNil(t, set.Decide(policy.Request{Subject: s}).Grant, "asked for by name")
	require.NotNil(t, set.Decide(policy.Request{Subject: s, Event: "request/sign"}).Grant, "asked for by name")
}

func TestNoGrantWithoutADigest(t *testing.T) {
	t.Parallel()
	s := subject(t, "libs/all/x")
	s.SHA256 = artifact.Digest{}
	d := load(t, policy.Skip, overlapping).Decide(policy.Request{Subject: s})
	require.Nil(t, d.Grant)
	require.Equal(t, reason.DigestUnknown, d.Denied[0].Code)
}

// A set that was never loaded must not become an open door.
func TestZeroSetDenies(t *testing.T) {
	t.Parallel()
	var set policy.Set
	require.Equal(t, reason.NoPolicy, set.Decide(policy.Request{Subject: subject(t, "libs/x")}).Denied[0].Code)
	require.True(t, set.Covers("main", "libs", "x", ""))
	demand, ok := set.Demand(ref(t, "libs/x"))
	require.False(t, ok)
	require.NotEmpty(t, demand.Judge(nil))
	require.NotEmpty(t, policy.Demand{}.Judge([]policy.Evidence{{Format: "raw", Key: "release-2026"}}))
}

func TestLaneOfAKeyMustBeKnown(t *testing.T) {
	t.Parallel()
	_, err := policy.Load(examples, policy.Skip, policy.Vocabulary{Keys: []policy.Key{{Name: "k", Lane: "prod"}}})
	require.ErrorContains(t, err, `the key "k" has the lane "prod"; configure it with lane: development or lane: release`)
}
