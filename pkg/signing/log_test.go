package signing_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

// The log has one line per job, at every level, that says how far it came and how it ended.
func TestOneLinePerJob(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{noMatch: policy.Deny})
	signed := r.upload("app/signed.tgz", "hello").String()
	denied := r.upload("other/denied.tgz", "hello").String()
	r.upload("app/later.tgz", "later")
	r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/api/storage/*/app/later.tgz", Status: http.StatusTooManyRequests, RetryAfter: time.Second})
	r.art.Fail(standin.Fault{Method: http.MethodPatch, Path: "/artifactory/api/metadata/*/app/signed.tgz", Status: http.StatusBadGateway})
	want := map[string][]map[string]any{
		"app/signed.tgz": {
			{"level": "WARN", "outcome": "retry", "stage": "attach", "state": "failed", "digest": signed},
			{"level": "INFO", "outcome": "done", "stage": "record", "state": "signed", "digest": signed},
		},
		"other/denied.tgz": {{"level": "INFO", "outcome": "done", "stage": "record", "state": "denied", "digest": denied}},
		"app/gone.tgz":     {{"level": "INFO", "outcome": "done", "stage": "resolve", "state": "gone", "digest": ""}},
		"app/later.tgz": {
			{"level": "INFO", "outcome": "later", "stage": "resolve", "state": "failed"},
			{"level": "INFO", "outcome": "done", "stage": "record", "state": "signed"},
		},
		"app/bad;path": {{"level": "WARN", "outcome": "failed", "stage": "resolve", "state": "failed"}},
	}
	q := r.queue()
	for path := range want {
		require.NoError(t, q.Accept(context.Background(), r.event(path)))
	}
	require.NoError(t, q.Start(t.Context()))
	for path, lines := range want {
		state, _ := lines[len(lines)-1]["state"].(string)
		r.settled(path, ledger.State(state))
	}
	require.NoError(t, q.Stop(t.Context())) // a line is written after the work has ended

	got := map[string][]map[string]any{}
	for _, line := range r.log.all(t) {
		require.Equal(t, "job", line["msg"], "a line that is not a job's: %v", line)
		require.Equal(t, "main", line["instance"])
		require.Equal(t, line["path"] != "other", line["repo"] == repo)
		require.Positive(t, line["took"])
		require.Positive(t, line["job"])
		require.Equal(t, line["outcome"] == "done", line["error"] == nil, "%v", line)
		path, _ := line["path"].(string)
		got[path] = append(got[path], line)
	}
	require.Len(t, got, len(want))
	for path, lines := range want {
		require.Len(t, got[path], len(lines), "%v", got[path])
		for i, line := range lines {
			for k, v := range line {
				require.Equal(t, v, got[path][i][k], "%s of %v", k, got[path][i])
			}
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.upload("app/a.tgz", "hello")
	ev := r.event("app/a.tgz")
	ev.ReceivedAt = time.Now().Add(-time.Minute)
	require.NoError(t, r.service.Do(t.Context(), ev))
	require.NoError(t, r.do("app/gone.tgz"))
	problems, err := testutil.GatherAndLint(r.metrics)
	require.NoError(t, err)
	require.Empty(t, problems)
	require.InDelta(t, 1, sum(t, r.metrics, "hallmark_event_to_signed_seconds"), 0, "signed, not gone")
	require.InDelta(t, 2, sum(t, r.metrics, "hallmark_signing_outcomes_total"), 0)
	require.Zero(t, sum(t, r.metrics, "hallmark_seal_self_check_failures_total"))
	families, err := r.metrics.Gather()
	require.NoError(t, err)
	steps := map[string]uint64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "hallmark_event_to_signed_seconds":
				require.Greater(t, m.GetHistogram().GetSampleSum(), 60.0, "from the event's receipt")
			case "hallmark_signing_step_seconds":
				steps[m.GetLabel()[0].GetValue()] = m.GetHistogram().GetSampleCount()
			}
		}
	}
	require.Equal(t, map[string]uint64{"resolve": 2, "decide": 1, "intend": 1, "pull": 1, "seal": 1, "check": 1, "attach": 1, "record": 1}, steps)

	ev = r.event("app/a.tgz")
	ev.ReceivedAt = time.Time{}
	require.NoError(t, r.service.Do(t.Context(), ev))
	require.InDelta(t, 1, sum(t, r.metrics, "hallmark_event_to_signed_seconds"), 0, "of unknown age")
}

func TestAServiceWithoutAPartDoesNotStart(t *testing.T) {
	t.Parallel()
	require.Error(t, (&signing.Service{Ledger: &ledger.Ledger{}}).Init(nil))
}
