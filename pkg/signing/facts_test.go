package signing_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

// byMembers signs what members of a group brought.
const byMembers = `kind: SigningConfiguration
name: releases
owner: security
lane: release
submitters: {groups: [release-engineers]}
sign: [{key: ` + key + `, formats: [raw]}]
---
kind: SigningPolicy
name: release-binaries
owner: release-managers
match: {repositories: [` + repo + `], paths: ["app/**"]}
configuration: releases
`

const byProperty = `kind: SigningPolicy
name: release-binaries
owner: release-managers
match: {repositories: [` + repo + `], paths: ["app/**"]}
require: [{name: channel, property: {name: channel, values: [stable]}}]
sign: [{key: ` + key + `, formats: [raw]}]
`

func (r *rig) bring(by, path, content string, props map[string][]string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Put(by, repo, path, strings.NewReader(content), props))
}

// Who brought it is who Artifactory says did: what the event says of it is not looked at, nor what the caller claims.
func TestWhoBroughtIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: byMembers, token: artifactorytest.Admin})
	r.art.SetUser(standin.User{Name: "rita", Groups: []string{"release-engineers"}})
	r.art.SetUser(standin.User{Name: "mallory", Groups: []string{"developers"}})
	for by, state := range map[string]ledger.State{"rita": ledger.Signed, "mallory": ledger.Denied, "left": ledger.Denied} {
		path := "app/" + by + ".tgz"
		r.bring(by, path, by, nil)
		ev := r.event(path)
		ev.Caller = "rita"
		require.NoError(t, r.service.Do(t.Context(), ev))
		require.Equal(t, state, r.outcome(path).State, by)
		if state == ledger.Denied {
			require.Equal(t, []reason.Code{reason.TriggerRefused}, codes(r.outcome(path)))
			require.Contains(t, r.props(path)["hallmark.reason"][0], "trigger-refused")
		}
	}
	require.Equal(t, 1, r.uses())
}

// Facts that the token may not know, or that are late, are no reason to sign: the work comes back, the status says why.
func TestFactsThatCannotBeLearnt(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: byMembers})
	r.bring("rita", "app/a.tgz", "a", nil)
	require.Error(t, r.do("app/a.tgz"))
	o := r.outcome("app/a.tgz")
	require.Equal(t, ledger.Failed, o.State)
	require.Equal(t, []reason.Code{reason.FactsUnavailable}, codes(o))
	require.Equal(t, artifactory.GroupsNeed, o.Reasons[0].Expected)
	require.Nil(t, o.Asked, "nothing was decided")

	r = newRig(t, setup{policy: byProperty})
	r.bring("rita", "app/a.tgz", "a", map[string][]string{"channel": {"stable"}})
	disarm := r.art.Fail(standin.Fault{Match: func(q *http.Request) bool { return q.Method == http.MethodGet && q.URL.RawQuery == "properties" }, Status: 503, Times: -1})
	require.Error(t, r.do("app/a.tgz"))
	require.Equal(t, []reason.Code{reason.FactsUnavailable}, codes(r.outcome("app/a.tgz")))
	require.Zero(t, r.uses())
	disarm()
	r.converge("app/a.tgz")
	require.Equal(t, ledger.Signed, r.outcome("app/a.tgz").State)
}

// A policy that asks for no facts costs the same requests whether there are others that do or not.
func TestPoliciesWithoutNeedsCostNothing(t *testing.T) {
	t.Parallel()
	cost := func(text string) int {
		r := newRig(t, setup{policy: text})
		r.upload("app/warm.tgz", "warm") // what is remembered of repositories
		require.NoError(t, r.do("app/warm.tgz"))
		r.upload("app/a.tgz", "a")
		r.art.ForgetRequests()
		require.NoError(t, r.do("app/a.tgz"))
		require.Equal(t, ledger.Signed, r.outcome("app/a.tgz").State)
		for _, q := range r.art.Requests() {
			require.NotContains(t, q.Target, "/access/")
			require.NotContains(t, q.Target, "/api/build/")
			require.NotContains(t, q.Target, "/api/search/aql")
		}
		return len(r.art.Requests())
	}
	elsewhere := strings.NewReplacer("release-binaries", "elsewhere", "app/**", "else/**").Replace(byProperty)
	require.Equal(t, cost(oneKey), cost(oneKey+"---\n"+elsewhere))
}

// What a policy that only warns would have refused is signed, told and counted.
func TestWarnings(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: byProperty + "mode: warn\n"})
	r.upload("app/a.tgz", "a")
	require.NoError(t, r.do("app/a.tgz"))
	o := r.outcome("app/a.tgz")
	require.Equal(t, ledger.Signed, o.State)
	require.Len(t, o.Warnings, 1)
	require.Equal(t, reason.CheckFailed, o.Warnings[0].Code)
	require.InDelta(t, 1, sum(t, r.metrics, "hallmark_policy_warnings_total"), 0)
	r.bring("dev", "app/b.tgz", "b", map[string][]string{"channel": {"stable"}})
	require.NoError(t, r.do("app/b.tgz"))
	require.Empty(t, r.outcome("app/b.tgz").Warnings)
	require.InDelta(t, 1, sum(t, r.metrics, "hallmark_policy_warnings_total"), 0)
}

// A property that is set after the upload changes nothing by itself; asking again does.
func TestPropertySetLater(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: byProperty})
	r.upload("app/a.tgz", "a")
	require.NoError(t, r.do("app/a.tgz"))
	require.Equal(t, ledger.Denied, r.outcome("app/a.tgz").State)
	require.NoError(t, r.client.Merge(t.Context(), r.ref("app/a.tgz"), map[string][]string{"channel": {"stable"}}))
	ev := r.event("app/a.tgz")
	ev.Domain, ev.Type = "request", "sign"
	require.NoError(t, r.service.Do(t.Context(), ev))
	require.Equal(t, ledger.Signed, r.outcome("app/a.tgz").State)
}

// A sweep asks about nothing that is settled; of what was denied, only when somebody wants it, and then it finds what has
// changed.
func TestSweepOfSettledFacts(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: byProperty, token: artifactorytest.CI})
	soon := atHand
	soon.Delay = time.Millisecond
	s := r.sweeper(soon)
	const files = 26
	for i := range files {
		path := "app/" + string(rune('A'+i)) + ".tgz"
		props := map[string][]string{"channel": {"stable"}}
		if i%2 == 0 {
			props = nil
		}
		r.bring("dev", path, path, props)
		require.NoError(t, r.do(path))
	}
	asked := func() (n int) {
		for _, q := range r.art.Requests() {
			if strings.Contains(q.Target, "?properties") {
				n++
			}
		}
		return n
	}
	r.art.ForgetRequests()
	run := s.run(ledger.Sweep{Kind: signing.SweepPeriodic})
	require.Equal(t, int64(files/2), run.Findings["refused"], "%v", run.Findings)
	require.Equal(t, int64(files/2), run.Findings["signed"])
	require.Zero(t, run.Repaired)
	require.Zero(t, asked(), "what is settled costs nothing")

	require.NoError(t, r.client.Merge(t.Context(), r.ref("app/A.tgz"), map[string][]string{"channel": {"stable"}}))
	r.art.ForgetRequests()
	run = s.run(ledger.Sweep{Kind: signing.SweepManual})
	require.Equal(t, int64(1), run.Repaired)
	s.idle()
	require.Equal(t, ledger.Signed, r.outcome("app/A.tgz").State)
	require.LessOrEqual(t, asked(), files/2+2)
}

// What was signed in its time window stays signed outside of it.
func TestSweepOutsideTheWindow(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC()
	window := func(before time.Time) string {
		return strings.Replace(byProperty, "property: {name: channel, values: [stable]}", "window: {before: \""+before.Format(time.RFC3339)+"\"}", 1)
	}
	r := newRig(t, setup{policy: window(now.Add(time.Hour)), token: artifactorytest.CI})
	s := r.sweeper(atHand)
	r.upload("app/a.tgz", "a")
	require.NoError(t, r.do("app/a.tgz"))
	then := r.outcome("app/a.tgz")
	require.Equal(t, ledger.Signed, then.State)
	then.Asked.At, then.At = now.Add(-time.Hour), time.Now() // as if it had been signed an hour ago
	require.NoError(t, r.ledger.Finish(t.Context(), then))
	r.setPolicy(policy.Skip, window(now.Add(-time.Minute)))
	run := s.run(ledger.Sweep{})
	require.Equal(t, int64(1), run.Findings["signed"], "%v", run.Findings)
	require.Zero(t, run.Repaired)
}
