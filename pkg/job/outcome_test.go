package job_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestHowAnAttemptEndsDecidesWhatFollows(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		result   func(attempt int) error
		attempts []int // as told to the work
		outcomes map[string]float64
	}{
		"done":      {func(int) error { return nil }, []int{1}, map[string]float64{"done": 1}},
		"permanent": {func(int) error { return job.Permanent(broken) }, []int{1}, map[string]float64{"failed": 1}},
		"given up":  {func(int) error { return broken }, []int{1, 2, 3}, map[string]float64{"retry": 2, "failed": 1}},
		"healed": {func(n int) error {
			if n < 3 {
				return broken
			}
			return nil
		}, []int{1, 2, 3}, map[string]float64{"retry": 2, "done": 1}},
		"panic": {func(n int) error {
			if n == 1 {
				panic("at the disco")
			}
			return nil
		}, []int{1, 2}, map[string]float64{"retry": 1, "done": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
				l := ledgertest.Open(t, d)
				reg := prometheus.NewRegistry()
				var log bytes.Buffer
				attempts := make(chan int, 100)
				cfg := fast()
				cfg.MaxAttempts = 3
				q, err := job.New(l, cfg, job.Options{Registerer: reg, Log: slog.New(slog.NewJSONHandler(&log, nil))}, func(_ context.Context, w job.Work) error {
					attempts <- w.Attempt
					return c.result(w.Attempt)
				})
				require.NoError(t, err)
				require.NoError(t, q.Accept(t.Context(), event(1)))
				require.NoError(t, q.Start(t.Context()))
				for _, want := range c.attempts {
					require.Equal(t, want, next(t, attempts))
				}
				require.Eventually(t, func() bool { return pending(t, l, event(1)) == "" }, waitFor, tick)
				require.NoError(t, q.Stop(t.Context()))
				require.Empty(t, attempts)
				for outcome, want := range c.outcomes {
					require.InDelta(t, want, counter(t, reg, "hallmark_job_total", outcome), 0, outcome)
				}
				requireOneLinePerAttempt(t, log.Bytes(), len(c.attempts))
				problems, err := testutil.GatherAndLint(reg)
				require.NoError(t, err)
				require.Empty(t, problems)
			})
		})
	}
}

// pending is the state of the event's job, or "" when its work has ended.
func pending(t *testing.T, l *ledger.Ledger, e ledger.Event) string {
	t.Helper()
	st, err := l.Status(t.Context(), place(e))
	if errors.Is(err, ledger.ErrUnknown) {
		return ""
	}
	require.NoError(t, err)
	if st.Pending {
		return "pending"
	}
	return ""
}

func counter(t *testing.T, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s %s", name, label)
	return 0
}

func requireOneLinePerAttempt(t *testing.T, log []byte, attempts int) {
	t.Helper()
	lines := 0
	for line := range bytes.Lines(log) {
		var l map[string]any
		require.NoError(t, json.Unmarshal(line, &l))
		if l["msg"] != "job" {
			continue
		}
		lines++
		require.Equal(t, event(1).Repo, l["repo"])
		require.Equal(t, event(1).Path, l["path"])
		require.Contains(t, l, "took")
		require.InDelta(t, lines, l["attempt"], 0)
		require.NotEmpty(t, l["outcome"])
	}
	require.Equal(t, attempts, lines)
}

func TestAfterIsNotAFailedAttempt(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		var runs atomic.Int64
		done := make(chan time.Duration, 1)
		started := time.Now()
		cfg := fast()
		cfg.MaxAttempts = 2
		q := newQueue(t, l, cfg, func(_ context.Context, w job.Work) error {
			if runs.Add(1) <= 4 {
				return job.After(50*time.Millisecond, nil)
			}
			if w.Attempt == 1 {
				done <- time.Since(started)
			}
			return nil
		})
		require.NoError(t, q.Accept(t.Context(), event(1)))
		require.NoError(t, q.Start(t.Context()))
		require.GreaterOrEqual(t, next(t, done), 200*time.Millisecond)
	})
}
