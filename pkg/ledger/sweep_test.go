package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func TestSweepIsRemembered(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		at := time.UnixMicro(5_000_000).UTC()
		want := ledger.Sweep{Instance: "main", Repo: "libs", Kind: "manual", Caller: "ci", Rate: 7, Since: at}
		run, err := l.RequestSweep(t.Context(), want)
		require.NoError(t, err)
		require.Equal(t, ledger.SweepWaiting, run.State)
		again, err := l.RequestSweep(t.Context(), want)
		require.ErrorIs(t, err, ledger.ErrSweeping)
		require.Equal(t, run.ID, again.ID)

		run.State, run.At, run.Path, run.Items, run.Findings = ledger.SweepRunning, at, "a/b.tgz", 9, map[string]int64{"orphan": 2}
		found := []ledger.Finding{{Path: "b.sig", Name: "orphan", Reasons: []reason.Reason{{Code: reason.SignatureOrphaned, Message: "alone"}}}, {Path: "a", Name: "unsigned", Repaired: true}}
		require.NoError(t, l.SaveSweep(t.Context(), run, found))
		other, err := l.RequestSweep(t.Context(), ledger.Sweep{Instance: "main", Repo: "libs", Prefix: "a", Kind: "manual"})
		require.NoError(t, err)
		all, err := l.Sweeps(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 2)
		run.RequestedAt = all[0].RequestedAt
		require.Equal(t, run, all[0])
		require.Equal(t, other.ID, all[1].ID)
		list, err := l.Findings(t.Context(), run.ID, 10)
		require.NoError(t, err)
		require.Equal(t, []ledger.Finding{found[1], found[0]}, list)

		run.State, run.SeenUntil = ledger.SweepDone, at
		require.NoError(t, l.SaveSweep(t.Context(), run, nil))
		next, err := l.RequestSweep(t.Context(), want)
		require.NoError(t, err)
		require.NotEqual(t, run.ID, next.ID)
		require.Equal(t, at, next.SeenUntil, "what was compared stays known")
		list, err = l.Findings(t.Context(), run.ID, 10)
		require.NoError(t, err)
		require.Empty(t, list, "of the newest run only")
	})
}

func TestOneReplicaHasTheTurn(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		mine, err := l.TakeTurn(t.Context(), "sweep")
		require.NoError(t, err)
		require.True(t, mine)
		_, err = l.SQL().ExecContext(t.Context(), "UPDATE turn SET replica = 'other'")
		require.NoError(t, err)
		mine, err = l.TakeTurn(t.Context(), "sweep")
		require.NoError(t, err)
		require.False(t, mine)
		require.NoError(t, l.YieldTurn(t.Context(), "sweep"), "another's turn stays")
		mine, err = l.TakeTurn(t.Context(), "sweep")
		require.NoError(t, err)
		require.False(t, mine)
		_, err = l.SQL().ExecContext(t.Context(), "UPDATE turn SET held_at = held_at - 121000000")
		require.NoError(t, err)
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if mine, err := l.TakeTurn(context.Background(), "sweep"); err == nil && mine {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 4, won.Load(), "one replica, its own again")
		require.NoError(t, l.YieldTurn(t.Context(), "sweep"))
	})
}

// Many places at once: more than a query takes, and not a multiple of it.
func TestManyPlacesAtOnce(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		var paths []string
		for i := range 230 {
			place := ref(t, fmt.Sprintf("app/%03d.tgz", i))
			paths = append(paths, place.Path)
			if i%2 == 0 {
				continue
			}
			require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: place, Subject: digest("old"), State: ledger.Denied, At: time.UnixMicro(1)}))
			require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: place, Subject: digest(place.Path), State: ledger.Signed, At: time.UnixMicro(2)}))
		}
		place := ref(t, paths[0])
		known, err := l.Known(t.Context(), place.Instance, place.Repo, paths)
		require.NoError(t, err)
		require.Len(t, known, 115)
		require.Equal(t, ledger.Known{State: ledger.Signed, Subject: digest(paths[229])}, known[paths[229]])
		elsewhere, err := l.Known(t.Context(), place.Instance, "other", paths)
		require.NoError(t, err)
		require.Empty(t, elsewhere)

		in, err := l.Begin(t.Context(), intent(t, "b", "release", "sigstore"))
		require.NoError(t, err)
		require.NoError(t, l.Sealed(t.Context(), in.ID, signatures(in, "content")))
		kept, err := l.SignaturesOf(t.Context(), []artifact.Digest{digest("a"), digest("b")})
		require.NoError(t, err)
		require.Len(t, kept, 1)
		require.Equal(t, []byte("sigstorecontent"), kept[digest("b")][0].Content)
		none, err := l.SignaturesOf(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, none)
	})
}
