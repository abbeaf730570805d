package job_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func idle(context.Context, job.Work) error { return nil }

func TestABurstIsStoredWhole(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		const events, callers = 1000, 100
		var commits atomic.Int64
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), CommitHook: func(p ledger.CommitPhase) error {
			if p == ledger.AfterCommit {
				commits.Add(1)
			}
			return nil
		}})
		q := newQueue(t, l, job.Config{}, idle)
		var next atomic.Int64
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for n := next.Add(1); n <= events; n = next.Add(1) {
					if err := q.Accept(t.Context(), event(int(n))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.Len(t, outcomes(t, l), events)
		require.Less(t, commits.Load(), int64(events/4), "a burst must share its commits")
		var jobs, ids int
		require.NoError(t, l.Reader().QueryRow("SELECT count(*), count(DISTINCT id) FROM river_job").Scan(&jobs, &ids))
		require.Equal(t, []int{events, events}, []int{jobs, ids})
	})
}

func TestWhatCannotBeStoredIsNotAccepted(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		broken := errors.New("disk is full")
		var fail atomic.Bool
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), CommitHook: func(p ledger.CommitPhase) error {
			if fail.Load() && p == ledger.BeforeCommit {
				return broken
			}
			return nil
		}})
		worked := make(chan string, 10)
		q := newQueue(t, l, fast(), func(_ context.Context, w job.Work) error {
			worked <- w.Event.Path
			return nil
		})
		fail.Store(true)
		require.ErrorIs(t, q.Accept(t.Context(), event(1)), broken)
		fail.Store(false)
		require.Empty(t, outcomes(t, l), "no event without its work, no work without its event")
		require.NoError(t, q.Accept(t.Context(), event(2)))
		require.NoError(t, q.Start(t.Context()))
		require.Equal(t, event(2).Path, next(t, worked))
		require.NoError(t, q.Stop(t.Context()))
		require.Empty(t, worked)
	})
}

func TestCallerThatGivesUpGetsItsError(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.SQLite)
	q := newQueue(t, l, fast(), idle)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, q.Accept(ctx, event(1)), context.Canceled)
	require.Empty(t, outcomes(t, l))
}

func TestFullBacklogTurnsEventsAway(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		cfg := fast()
		cfg.MaxBacklog = 2
		block := make(chan struct{})
		reg := prometheus.NewRegistry()
		q, err := job.New(l, cfg, job.Options{Registerer: reg}, func(context.Context, job.Work) error {
			<-block
			return nil
		})
		require.NoError(t, err)
		for i := range 5 {
			require.NoError(t, q.Accept(t.Context(), event(i)))
		}
		require.NoError(t, q.Start(t.Context())) // counts before it takes any
		require.ErrorIs(t, q.Accept(t.Context(), event(6)), job.ErrFull)
		require.InDelta(t, 5, counter(t, reg, "hallmark_queue_depth", "upload"), 0)
		require.Less(t, counter(t, reg, "hallmark_queue_oldest_seconds", "upload"), 60.0)
		close(block)
		require.NoError(t, q.Stop(t.Context()))
	})
}

func TestBacklogAgeIsTold(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		reg := prometheus.NewRegistry()
		q, err := job.New(l, fast(), job.Options{Registerer: reg}, idle)
		require.NoError(t, err)
		require.NoError(t, q.Accept(t.Context(), event(1)))
		old := time.Now().Add(-time.Hour).UTC()
		_, err = l.SQL().Exec("UPDATE river_job SET scheduled_at = $1", old.Format("2006-01-02 15:04:05.000"))
		require.NoError(t, err)
		require.NoError(t, q.Start(t.Context()))
		require.InDelta(t, 3600, counter(t, reg, "hallmark_queue_oldest_seconds", "upload"), 60)
		require.NoError(t, q.Stop(t.Context()))
	})
}
