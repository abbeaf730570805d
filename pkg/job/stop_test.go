package job_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestStopLetsRunningWorkEnd(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		begun, goOn := make(chan struct{}, 100), make(chan struct{})
		cfg := fast()
		cfg.Workers = 3 // one is kept free for promotions
		q := newQueue(t, l, cfg, func(ctx context.Context, _ job.Work) error {
			begun <- struct{}{}
			<-goOn
			return ctx.Err()
		})
		for i := range 6 {
			require.NoError(t, q.Accept(t.Context(), event(i)))
		}
		require.NoError(t, q.Start(t.Context()))
		next(t, begun)
		next(t, begun)
		stopped := make(chan error, 1)
		go func() { stopped <- q.Stop(context.Background()) }()
		// What was fetched ahead goes back, so that only the two that run are left.
		require.Eventually(t, func() bool { return states(t, l)["running"] == 2 }, waitFor, tick)
		close(goOn)
		require.NoError(t, next(t, stopped))
		require.Empty(t, begun)
		require.Equal(t, 4, states(t, l)["available"])
		require.NoError(t, q.Stop(t.Context()), "stopping twice does nothing")
		require.NoError(t, q.Accept(t.Context(), event(10)), "the intake stays open")
		require.Equal(t, 5, states(t, l)["available"])
	})
}

func states(t testing.TB, l *ledger.Ledger) map[string]int {
	t.Helper()
	rows, err := l.Reader().Query("SELECT state, count(*) FROM river_job GROUP BY state")
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	m := map[string]int{}
	for rows.Next() {
		var state string
		var n int
		require.NoError(t, rows.Scan(&state, &n))
		m[state] = n
	}
	require.NoError(t, rows.Err())
	return m
}

func TestStopInterruptsWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		url := ledgertest.URL(t, d)
		l, err := ledger.Open(t.Context(), ledger.Config{URL: url}, ledger.Options{})
		require.NoError(t, err)
		begun := make(chan struct{})
		cfg := fast()
		cfg.Drain = 10 * time.Millisecond
		q, err := job.New(l, cfg, job.Options{}, func(ctx context.Context, _ job.Work) error {
			close(begun)
			<-ctx.Done()
			return job.Permanent(ctx.Err()) // even so it must not be lost
		})
		require.NoError(t, err)
		require.NoError(t, q.Accept(t.Context(), event(1)))
		require.NoError(t, q.Start(t.Context()))
		next(t, begun)
		require.NoError(t, q.Stop(t.Context()))
		require.NoError(t, l.Close())

		attempts := make(chan int, 1)
		again := newQueue(t, ledgertest.OpenConfig(t, ledger.Config{URL: url}), cfg, func(_ context.Context, w job.Work) error {
			attempts <- w.Attempt
			return nil
		})
		require.NoError(t, again.Start(t.Context()))
		require.Equal(t, 1, next(t, attempts), "an interruption is no failed attempt")
	})
}
