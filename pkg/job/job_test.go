package job_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

const (
	waitFor = 30 * time.Second
	tick    = 5 * time.Millisecond
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// fast is a configuration that does not make tests wait.
func fast() job.Config {
	return job.Config{Workers: 4, RetryBase: 10 * time.Millisecond, RetryMax: 50 * time.Millisecond}
}

func newQueue(t *testing.T, l *ledger.Ledger, cfg job.Config, work func(context.Context, job.Work) error) *job.Queue {
	t.Helper()
	q, err := job.New(l, cfg, job.Options{}, work)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Stop(context.Background())) })
	return q
}

// next is what comes through the channel; a test fails, and does not hang, when nothing does.
func next[T any](t *testing.T, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(waitFor):
		require.FailNow(t, "nothing came")
	}
	return v
}

func place(e ledger.Event) artifact.Ref {
	return artifact.Ref{Instance: e.Instance, Repo: e.Repo, Path: e.Path}
}

func outcomes(t *testing.T, l *ledger.Ledger) (list []string) {
	t.Helper()
	rows, err := l.Reader().Query("SELECT outcome FROM event ORDER BY received_at")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	for rows.Next() {
		var o string
		require.NoError(t, rows.Scan(&o))
		list = append(list, o)
	}
	require.NoError(t, rows.Err())
	return list
}

func TestAcceptedWorkIsDone(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		got := make(chan job.Work, 10)
		q := newQueue(t, l, fast(), func(_ context.Context, w job.Work) error {
			got <- w
			return nil
		})
		e := event(1)
		e.Lane = job.Backfill
		require.NoError(t, q.Accept(t.Context(), e))
		st, err := l.Status(t.Context(), place(e))
		require.NoError(t, err)
		require.True(t, st.Pending, "accepted and not begun")

		require.NoError(t, q.Start(t.Context()))
		w := next(t, got)
		require.Equal(t, 1, w.Attempt)
		require.NotZero(t, w.Event.ID)
		require.Equal(t, ledger.EventAccepted, w.Event.Outcome)
		require.True(t, e.ReceivedAt.Equal(w.Event.ReceivedAt))
		e.ID, e.Outcome, e.ReceivedAt = w.Event.ID, w.Event.Outcome, w.Event.ReceivedAt
		require.Equal(t, e, w.Event)
		require.Eventually(t, func() bool {
			_, err := l.Status(t.Context(), place(e))
			return errors.Is(err, ledger.ErrUnknown) // ended, and this work recorded no outcome
		}, waitFor, tick)
		require.NoError(t, q.Accept(t.Context(), event(2)))
		w = next(t, got)
		require.Equal(t, event(2).Path, w.Event.Path)
		require.Equal(t, job.Upload, w.Event.Lane, "an empty lane is that of daily work")
	})
}

func TestDuplicatesAreWorkedOnOnce(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		begun, goOn := make(chan job.Work, 100), make(chan struct{})
		cfg := fast()
		cfg.Workers = 5
		q := newQueue(t, l, cfg, func(_ context.Context, w job.Work) error {
			begun <- w
			<-goOn
			return nil
		})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := q.Accept(t.Context(), event(1)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.NoError(t, q.Accept(t.Context(), event(1)))
		other := event(1)
		other.Key = event(2).Key
		require.NoError(t, q.Accept(t.Context(), other), "other bytes at the same place are no duplicate")
		elsewhere := event(1)
		elsewhere.Instance = "second"
		require.NoError(t, q.Accept(t.Context(), elsewhere), "nor are those of another instance")

		require.NoError(t, q.Start(t.Context()))
		var ids []int64
		for range 3 {
			ids = append(ids, next(t, begun).Event.ID)
		}
		require.NoError(t, q.Accept(t.Context(), event(1)), "what has begun may have looked too early")
		ids = append(ids, next(t, begun).Event.ID)
		close(goOn)
		seen := map[int64]bool{}
		for _, id := range ids {
			seen[id] = true
		}
		require.Len(t, seen, 4)
		require.NoError(t, q.Stop(t.Context()))
		require.Empty(t, begun)

		counts := map[string]int{}
		for _, o := range outcomes(t, l) {
			counts[o]++
		}
		require.Equal(t, map[string]int{ledger.EventAccepted: 4, ledger.EventDuplicate: 50}, counts)
	})
}

func TestAttemptsHaveADeadline(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.SQLite)
	ended := make(chan error, 10)
	cfg := fast()
	cfg.Timeout = 20 * time.Millisecond
	q := newQueue(t, l, cfg, func(ctx context.Context, w job.Work) error {
		if w.Attempt > 1 {
			return nil
		}
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	})
	require.NoError(t, q.Accept(t.Context(), event(1)))
	require.NoError(t, q.Start(t.Context()))
	require.ErrorIs(t, next(t, ended), context.DeadlineExceeded)
}

func TestWorkersAreBounded(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.SQLite)
	var now, most atomic.Int64
	begun, goOn := make(chan struct{}, 40), make(chan struct{})
	q := newQueue(t, l, fast(), func(context.Context, job.Work) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		begun <- struct{}{}
		<-goOn
		return nil
	})
	for i := range 40 {
		require.NoError(t, q.Accept(t.Context(), in(job.Promotion, event(i))))
	}
	require.NoError(t, q.Start(t.Context()))
	defer close(goOn)
	for i := range 40 {
		next(t, begun)
		if i >= 3 { // four are at work, and a fifth begins only when one of them ends
			goOn <- struct{}{}
		}
	}
	require.EqualValues(t, 4, most.Load())
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	require.NoError(t, job.Config{}.Validate())
	err := job.Config{Workers: -1, Timeout: -1, PollInterval: time.Microsecond, MaxAttempts: 2000}.Validate()
	for _, want := range []string{"workers is negative", "timeout is negative", "at least 1ms", "maxAttempts is 2000"} {
		require.ErrorContains(t, err, want)
	}
	require.NoError(t, job.Config{Workers: 1}.Validate())
	require.ErrorContains(t, job.Config{ReservedWorkers: 32}.Validate(), "reservedWorkers is 32 of 32 workers")
	require.ErrorContains(t, job.Config{Workers: 8, ReservedWorkers: 4, BackfillWorkers: 5}.Validate(), "backfillWorkers is 5, more than the 4 workers")
	require.ErrorContains(t, job.Config{Workers: 8, BackfillWorkers: 8}.Validate(), "backfillWorkers is 8, more than the 7 workers")
	_, err = job.New(ledgertest.Open(t, ledger.SQLite), job.Config{Workers: 6000}, job.Options{}, nil)
	require.ErrorContains(t, err, "workers is 6000")
	require.NoError(t, job.Permanent(nil))
	require.ErrorContains(t, job.After(-time.Second, nil), "not yet")
}
