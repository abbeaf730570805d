package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const turns = `kind: SigningPolicy
name: turns
owner: alice
match: {repositories: [libs]}
sign:
  - {keys: [a, b, c], formats: [sigstore, raw]}
---
kind: SigningPolicy
name: alone
owner: alice
match: {repositories: [alone]}
sign: [{key: b, formats: [sigstore]}]
---
kind: GatePolicy
name: gate
owner: bob
target: {repositories: [out]}
require: {signatures: [{keys: [a, b, c], count: 1}]}
`

func day(month time.Month, d int) time.Time { return time.Date(2026, month, d, 0, 0, 0, 0, time.UTC) }

// turnsSet has a until March, b from February to May, c from June on: a and b overlap, between b and c is a gap.
func turnsSet(t *testing.T) *policy.Set {
	t.Helper()
	return policytest.Set(t, policy.Skip, policy.Vocabulary{
		Formats: []string{"sigstore", "raw"},
		Keys: []policy.Key{
			{Name: "a", Lane: policy.LaneRelease, Retired: day(time.March, 1)},
			{Name: "b", Lane: policy.LaneRelease, From: day(time.February, 1), Retired: day(time.May, 1)},
			{Name: "c", Lane: policy.LaneRelease, From: day(time.June, 1)},
		},
	}, map[string]string{"p.yaml": turns})
}

// Of keys that take turns the one signs whose time began last, and none outside of their time.
func TestKeysTakeTurns(t *testing.T) {
	t.Parallel()
	set := turnsSet(t)
	for name, c := range map[string]struct {
		at    time.Time
		key   string
		code  reason.Code
		found string
	}{
		"the first":           {day(time.January, 1), "a", "", ""},
		"just before the new": {day(time.February, 1).Add(-time.Microsecond), "a", "", ""},
		"both, so the newer":  {day(time.February, 1), "b", "", ""},
		"the older is over":   {day(time.March, 1), "b", "", ""},
		"none":                {day(time.May, 1), "", reason.KeyNotYet, "b, retired since 2026-05-01 00:00 UTC; c, in use from 2026-06-01 00:00 UTC on"},
		"the last":            {day(time.June, 1).AddDate(10, 0, 0), "c", "", ""},
	} {
		request := policy.Request{Subject: subject(t, "libs/x"), At: c.at}
		d := set.Decide(request)
		if c.key == "" {
			require.Equal(t, []reason.Code{c.code}, codesOf(d.Denied), name)
			require.Contains(t, d.Denied[0].Found, c.found, name)
			require.Contains(t, d.Denied[0].Would, "from 2026-06-01 00:00 UTC on", name)
			continue
		}
		require.NotNil(t, d.Grant, "%s: %+v", name, d.Denied)
		require.Len(t, d.Grant.Orders(), 1, name)
		require.Equal(t, c.key, d.Grant.Orders()[0].Key, name)
		require.Equal(t, []string{"sigstore", "raw"}, d.Grant.Orders()[0].Formats)
		require.ElementsMatch(t, []string{"a", "b", "c"}, append(d.Grant.Orders()[0].Others, c.key), name)
		require.True(t, d.Grant.Allows(c.key))
		for _, other := range []string{"a", "b", "c"} {
			require.Equal(t, other == c.key, d.Grant.Allows(other), "%s: a grant opens the key whose turn it is, and no other", name)
		}

		// An old decision is asked again with the moment of then.
		asked := request.Record(d)
		again, err := asked.Request(request.Subject.Ref, request.Subject.SHA256)
		require.NoError(t, err)
		require.Equal(t, d.Grant.Orders(), set.Decide(again).Grant.Orders(), name)
	}
	early := set.Decide(policy.Request{Subject: subject(t, "alone/x"), At: day(time.January, 1)})
	require.Equal(t, []reason.Code{reason.KeyNotYet}, codesOf(early.Denied))
	require.Contains(t, early.Denied[0].Message, "the time of the key b has not begun")
	late := set.Decide(policy.Request{Subject: subject(t, "alone/x"), At: day(time.May, 1)})
	require.Equal(t, []reason.Code{reason.KeyRetired}, codesOf(late.Denied))

	explained := set.Explain(ref(t, "libs/x"), "")
	require.Equal(t, "sign", explained.Outcome)
	require.Equal(t, "c", explained.Orders[0].Key)
	require.Contains(t, explained.Text(), "signs with the one of a, b, c whose time began last: now c, from 2026-06-01 00:00 UTC on")
	require.Equal(t, "deny", set.Explain(ref(t, "alone/x"), "").Outcome)
}

// Whoever checks policies is told in time that nobody takes over.
func TestTurnsThatEnd(t *testing.T) {
	t.Parallel()
	set := turnsSet(t)
	said := func(at time.Time) string { return set.Retirements(at)[0] }
	require.Contains(t, said(day(time.January, 1)), "signs with a or b or c, none of which is in use from 2026-05-01 00:00 UTC on; add a key until then")
	require.Contains(t, said(day(time.May, 2)), "no key of it is in use, so what it matches is denied (a, retired since 2026-03-01 00:00 UTC; b, retired since 2026-05-01 00:00 UTC; c, in use from")
	require.Contains(t, said(day(time.June, 1)), "(alone)", "the turns have no end any more")
}

// A signature counts when it was made in its key's time. One without a date counts once that time has begun, until it ends.
func TestSignaturesInTheirTime(t *testing.T) {
	t.Parallel()
	set := turnsSet(t)
	for name, c := range map[string]struct {
		key      string
		made, at time.Time
		code     reason.Code
		found    string
	}{
		"in its time":             {"b", day(time.February, 1), day(time.December, 1), "", ""},
		"before":                  {"b", day(time.February, 1).Add(-time.Second), day(time.March, 1), reason.KeyNotYet, "which is in use from 2026-02-01 00:00 UTC on"},
		"after":                   {"b", day(time.May, 1), day(time.May, 2), reason.KeyRetired, "retired since 2026-05-01"},
		"undated, in its time":    {"c", time.Time{}, day(time.June, 1), "", ""},
		"undated, before it":      {"c", time.Time{}, day(time.May, 31), reason.KeyNotYet, "which is in use from"},
		"undated, after it":       {"b", time.Time{}, day(time.May, 1), reason.KeyRetired, ""},
		"by a key without a from": {"a", day(time.January, 1).AddDate(-20, 0, 0), day(time.December, 1), "", ""},
	} {
		demand, _ := set.Demand(ref(t, "out/x"))
		got, _ := demand.About(artifact.Subject{Info: artifact.Info{Ref: ref(t, "out/x")}}, policy.Facts{}, c.at).
			Weigh([]policy.Evidence{{File: "f", Format: "raw", Key: c.key, At: c.made}})
		if c.code == "" {
			require.Empty(t, got, name)
			continue
		}
		require.Equal(t, []reason.Code{c.code}, codesOf(got), name)
		require.Contains(t, got[0].Found, c.found, name)
	}
}

// What a set means names all keys that may sign, so that those who compare sets see a change of any of them.
func TestTurnsAreMeant(t *testing.T) {
	t.Parallel()
	set := turnsSet(t)
	var means []string
	for _, r := range set.Rules() {
		means = append(means, r.Means...)
	}
	require.Contains(t, means, "signs with a or b or c (sigstore, raw)")
}
