package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

const origin = "log.example"

func loggedIntent(t *testing.T, bytes string, from uint64) ledger.Intent {
	t.Helper()
	in := intent(t, bytes, "release", "sigstore", "raw")
	in.LogOrigin, in.LogFrom = origin, from
	return in
}

func TestUnaccountedIntents(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		begin := func(in ledger.Intent) ledger.Intent {
			in, err := l.Begin(t.Context(), in)
			require.NoError(t, err)
			return in
		}
		begin(intent(t, "bare", "release", "sigstore"))
		live, sealed, abandoned := begin(loggedIntent(t, "live", 1)), begin(loggedIntent(t, "sealed", 2)), begin(loggedIntent(t, "abandoned", 3))
		other := loggedIntent(t, "other", 4)
		other.LogOrigin = "other.example"
		begin(other)
		require.NoError(t, l.Sealed(t.Context(), sealed.ID, signatures(sealed, "x")))
		require.NoError(t, l.Abandon(t.Context(), abandoned.ID, "no reason"))

		found, err := l.Unaccounted(t.Context(), origin, 0, 10)
		require.NoError(t, err)
		require.Len(t, found, 3)
		require.Equal(t, []int64{live.ID, sealed.ID, abandoned.ID}, []int64{found[0].ID, found[1].ID, found[2].ID})
		require.True(t, found[0].Live)
		require.WithinDuration(t, time.Now(), found[0].HeldAt, time.Minute)
		require.False(t, found[1].Live || found[2].Live)
		require.Equal(t, "no reason", found[2].Why)
		require.Empty(t, found[0].Signatures)
		require.Empty(t, found[2].Signatures)
		require.Len(t, found[1].Signatures, 2)
		require.Equal(t, "sigstorex", string(found[1].Signatures[1].Content))
		got, want := found[1].Intent, sealed
		got.StartedAt, want.StartedAt = time.Time{}, time.Time{}
		require.Equal(t, want, got)

		page, err := l.Unaccounted(t.Context(), origin, live.ID, 1)
		require.NoError(t, err)
		require.Len(t, page, 1)
		require.Equal(t, sealed.ID, page[0].ID)

		require.NoError(t, l.Account(t.Context(), ledger.Accounted{IntentID: sealed.ID, Index: 2, Outcome: 9}))
		require.NoError(t, l.Account(t.Context(), ledger.Accounted{IntentID: sealed.ID, Index: 7, Outcome: 8}), "once is enough")
		require.NoError(t, l.Account(t.Context(), ledger.Accounted{IntentID: abandoned.ID, Index: -1, Outcome: -1}))
		found, err = l.Unaccounted(t.Context(), origin, 0, 10)
		require.NoError(t, err)
		require.Len(t, found, 1)
		var index, outcome int64
		require.NoError(t, l.Reader().QueryRow(`SELECT log_index, log_outcome FROM intent WHERE id = $1`, sealed.ID).Scan(&index, &outcome))
		require.Equal(t, []int64{2, 9}, []int64{index, outcome})
	})
}

// What was kept first belongs to the intent that made it, whatever became of the others.
func TestUnaccountedTellsWhoseSignaturesWereKept(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), Lease: time.Minute})
		slow := loggedIntent(t, "a", 1)
		slow.StartedAt = time.Now().Add(-2 * time.Minute)
		slow, err := l.Begin(t.Context(), slow)
		require.NoError(t, err)
		quick, err := l.Begin(t.Context(), loggedIntent(t, "a", 2))
		require.NoError(t, err, "the lease of the slow one ran out")
		require.ErrorIs(t, l.Sealed(t.Context(), slow.ID, signatures(slow, "x")), ledger.ErrNotLive)
		require.ErrorIs(t, l.Sealed(t.Context(), quick.ID, signatures(quick, "y")), ledger.ErrSealed)

		found, err := l.Unaccounted(t.Context(), origin, 0, 10)
		require.NoError(t, err)
		require.Len(t, found, 2)
		require.Len(t, found[0].Signatures, 2, "abandoned by its lease, and yet it is what was kept")
		require.Equal(t, "the lease ran out", found[0].Why)
		require.Empty(t, found[1].Signatures)
		require.Empty(t, found[1].Why)
	})
}
