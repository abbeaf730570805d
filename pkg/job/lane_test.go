package job_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func in(lane job.Lane, e ledger.Event) ledger.Event {
	e.Lane = lane
	return e
}

func many(lane job.Lane, from, to int) (list []ledger.Event) {
	for n := from; n < to; n++ {
		list = append(list, in(lane, event(n)))
	}
	return list
}

func TestNoLaneWaitsForOneBehindIt(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		begun, goOn := map[job.Lane]chan string{}, make(chan struct{})
		for _, lane := range job.Lanes() {
			begun[lane] = make(chan string, 1000)
		}
		cfg := fast()
		cfg.Workers, cfg.ReservedWorkers, cfg.BackfillWorkers = 8, 2, 1
		reg := prometheus.NewRegistry()
		q, err := job.New(l, cfg, job.Options{Registerer: reg}, func(_ context.Context, w job.Work) error {
			begun[w.Event.Lane] <- w.Event.Path
			<-goOn
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, q.AcceptMany(t.Context(), many(job.Backfill, 0, 100)))
		require.NoError(t, q.Start(t.Context()))
		require.InDelta(t, 100, counter(t, reg, "hallmark_queue_depth", "backfill"), 0)
		require.Zero(t, counter(t, reg, "hallmark_queue_depth", "upload"))
		next(t, begun[job.Backfill])
		require.NoError(t, q.AcceptMany(t.Context(), many(job.Upload, 100, 200)))
		for range 5 {
			next(t, begun[job.Upload])
		}
		require.NoError(t, q.AcceptMany(t.Context(), many(job.Promotion, 200, 202)))
		for range 2 {
			next(t, begun[job.Promotion])
		}
		for lane, c := range begun {
			require.Empty(t, c, lane) // each has what it may have
		}
		close(goOn)
		for range 99 {
			next(t, begun[job.Backfill])
		}
		require.NoError(t, q.Stop(t.Context()))
	})
}

func TestADuplicateMovesWaitingWorkUpAndNeverDown(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		got := make(chan job.Work, 100)
		q := newQueue(t, l, fast(), func(_ context.Context, w job.Work) error {
			got <- w
			return nil
		})
		want := map[string]job.Lane{}
		orders := [][]job.Lane{
			{job.Backfill, job.Promotion}, {job.Promotion, job.Backfill}, {job.Backfill, ""}, {"", job.Promotion, job.Backfill}, {job.Backfill, job.Backfill},
		}
		best := []job.Lane{job.Promotion, job.Promotion, job.Upload, job.Promotion, job.Backfill}
		for i, lanes := range orders {
			var together []ledger.Event
			for _, lane := range lanes {
				require.NoError(t, q.Accept(t.Context(), in(lane, event(i))))
				together = append(together, in(lane, event(100+i)))
			}
			require.NoError(t, q.AcceptMany(t.Context(), together))
			want[event(i).Path], want[event(100+i).Path] = best[i], best[i]
		}
		elsewhere := in(job.Promotion, event(4))
		elsewhere.Instance = "second"
		require.NoError(t, q.Accept(t.Context(), elsewhere), "moves nothing of another instance")

		require.NoError(t, q.Start(t.Context()))
		lanes := map[string]job.Lane{}
		for range 2*len(orders) + 1 {
			if w := next(t, got); w.Event.Instance == "main" {
				lanes[w.Event.Path] = w.Event.Lane
			}
		}
		require.Equal(t, want, lanes)
		require.NoError(t, q.Stop(t.Context()))
		require.Empty(t, got, "one piece of work for each")
		var asked int
		require.NoError(t, l.Reader().QueryRow(`SELECT count(*) FROM event WHERE lane = 'backfill'`).Scan(&asked))
		require.Equal(t, 12, asked, "the record shows what was asked for")
	})
}

func TestWorkOfAnOlderReleaseIsDone(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		got := make(chan job.Work, 1)
		q := newQueue(t, l, fast(), func(_ context.Context, w job.Work) error {
			got <- w
			return nil
		})
		require.NoError(t, q.Accept(t.Context(), event(1)))
		_, err := l.SQL().Exec(`UPDATE river_job SET args = '{"id": 1, "instance": "main", "repo": "r", "path": "p"}', queue = 'default'`)
		require.NoError(t, err)
		require.NoError(t, q.Start(t.Context()))
		require.Equal(t, ledger.Event{ID: 1, Instance: "main", Repo: "r", Path: "p", Lane: job.Upload}, next(t, got).Event)
	})
}

func TestManyAreStoredWholeOrNotAtAll(t *testing.T) {
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
		q := newQueue(t, l, fast(), idle)
		fail.Store(true)
		require.ErrorIs(t, q.AcceptMany(t.Context(), many(job.Backfill, 0, 50)), broken)
		fail.Store(false)
		require.ErrorContains(t, q.AcceptMany(t.Context(), append(many(job.Upload, 0, 50), in("fast", event(50)))), `there is no lane "fast"`)
		require.ErrorContains(t, q.AcceptMany(t.Context(), make([]ledger.Event, job.MaxBatch+1)), "1001 are too many")
		require.NoError(t, q.AcceptMany(t.Context(), nil))
		require.Empty(t, outcomes(t, l))
		require.Empty(t, states(t, l))

		require.NoError(t, q.AcceptMany(t.Context(), many(job.Backfill, 0, job.MaxBatch)))
		require.Len(t, outcomes(t, l), job.MaxBatch)
		require.Equal(t, map[string]int{"available": job.MaxBatch}, states(t, l))
	})
}

func TestAFullLaneTurnsAwayOnlyItselfAndThoseBehind(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		cfg := fast()
		cfg.MaxBacklog = 2
		block := make(chan struct{})
		q := newQueue(t, l, cfg, func(context.Context, job.Work) error {
			<-block
			return nil
		})
		defer close(block)
		require.NoError(t, q.AcceptMany(t.Context(), many(job.Upload, 0, 20)))
		require.NoError(t, q.Start(t.Context())) // counts before it takes any
		require.ErrorIs(t, q.Accept(t.Context(), in(job.Backfill, event(30))), job.ErrFull)
		require.ErrorIs(t, q.Accept(t.Context(), event(30)), job.ErrFull)
		require.NoError(t, q.Accept(t.Context(), in(job.Promotion, event(30))))
	})
}
