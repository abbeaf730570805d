package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// The work of a replica that has gone silent is taken by another, and not a moment before.
func TestWorkOfASilentReplicaIsTaken(t *testing.T) {
	t.Parallel()
	url := ledgertest.URL(t, ledger.Postgres)
	a := ledgertest.OpenConfig(t, ledger.Config{URL: url, Replica: "a"})
	b := ledgertest.OpenConfig(t, ledger.Config{URL: url, Replica: "b"})
	begun := make(chan int, 2)
	q, err := New(b, Config{}, Options{}, func(_ context.Context, w Work) error {
		begun <- w.Attempt
		return nil
	})
	require.NoError(t, err)
	key := sha256.Sum256([]byte("x"))
	require.NoError(t, q.Accept(t.Context(), ledger.Event{Instance: "main", Repo: "r", Path: "p", Key: hex.EncodeToString(key[:]), ReceivedAt: time.Now()}))
	// What a leaves behind when it is killed at work.
	require.NoError(t, a.Ping(t.Context()))
	_, err = a.SQL().Exec("UPDATE river_job SET state = 'running', attempt = 1, attempted_at = now(), attempted_by = ARRAY['b', 'a']")
	require.NoError(t, err)

	require.NoError(t, q.Start(t.Context()), "starting takes only what was its own")
	require.NoError(t, q.rescue(t.Context()))
	var running int
	require.NoError(t, b.SQL().QueryRow("SELECT count(*) FROM river_job WHERE state = 'running' AND attempt = 1").Scan(&running))
	require.Equal(t, 1, running)

	_, err = b.SQL().Exec("UPDATE replica SET seen_at = seen_at - $1 WHERE name = 'a'", (silentFor + time.Second).Microseconds())
	require.NoError(t, err)
	require.NoError(t, q.rescue(t.Context()))
	require.Equal(t, 2, <-begun)
	require.NoError(t, q.Stop(t.Context()))
}

// Work that was fetched ahead and gets no place goes back, and so can still move up.
func TestWorkThatWaitsTooLongForAPlaceGoesBack(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		begun, goOn := make(chan Work, 10), make(chan struct{})
		q, err := New(l, Config{Workers: 1}, Options{}, func(_ context.Context, w Work) error {
			begun <- w
			<-goOn
			return nil
		})
		require.NoError(t, err)
		q.patience = time.Millisecond
		e := ledger.Event{Instance: "main", Repo: "r", Path: "p", Key: "p", ReceivedAt: time.Now()}
		busy := e
		busy.Path, busy.Key = "busy", "busy"
		require.NoError(t, q.Accept(t.Context(), busy))
		require.NoError(t, q.Start(t.Context()))
		<-begun
		e.Lane = Backfill
		require.NoError(t, q.Accept(t.Context(), e))
		wentBack := func() bool {
			var n int
			err := l.Reader().QueryRow("SELECT count(*) FROM river_job WHERE state = 'available' AND CAST(metadata AS TEXT) LIKE '%snoozes%'").Scan(&n)
			return err == nil && n == 1
		}
		require.Eventually(t, wentBack, 30*time.Second, 2*time.Millisecond)
		close(goOn)
		w := <-begun
		require.Equal(t, []any{"p", 1, Backfill}, []any{w.Event.Path, w.Attempt, w.Event.Lane})
		require.NoError(t, q.Stop(t.Context()))
		require.Empty(t, begun, "it is worked on once")
	})
}

func TestPausesGrowToALimitAndAreSpread(t *testing.T) {
	t.Parallel()
	b := &backoff{base: time.Second, limit: 10 * time.Second}
	for failures, want := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 3: 8 * time.Second, 4: 10 * time.Second, 29: 10 * time.Second, 900: 10 * time.Second} {
		seen := map[time.Duration]bool{}
		for range 50 {
			before := time.Now()
			at := b.NextRetry(failedTimes(failures))
			after := time.Now()
			require.GreaterOrEqual(t, at.Sub(before), want*3/4)
			require.LessOrEqual(t, at.Sub(after), want*5/4)
			seen[at.Sub(after).Round(time.Millisecond)] = true
		}
		require.Greater(t, len(seen), 5)
	}
}

func failedTimes(n int) *rivertype.JobRow {
	return &rivertype.JobRow{Errors: make([]rivertype.AttemptError, n)}
}
