package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// A view reads beside the process that writes, what it has written up to now.
func TestView(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		cfg := ledger.Config{URL: ledgertest.URL(t, d), Replica: "one"}
		if d == ledger.SQLite {
			_, err := ledger.OpenView(t.Context(), cfg)
			require.ErrorContains(t, err, "there is no ledger")
		}
		l := ledgertest.OpenConfig(t, cfg)
		v, err := ledger.OpenView(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, v.Close()) })
		last, err := v.LastIntent(t.Context())
		require.NoError(t, err)
		require.Zero(t, last)

		begin := func(in ledger.Intent) ledger.Intent {
			in, err := l.Begin(t.Context(), in)
			require.NoError(t, err)
			require.NoError(t, l.Sealed(t.Context(), in.ID, signatures(in, "x")))
			return in
		}
		before := time.Now()
		bare, logged, other := intent(t, "bare", "release", "sigstore"), loggedIntent(t, "logged", 1), loggedIntent(t, "other", 1)
		other.LogOrigin = "other.example"
		bare, logged, other = begin(bare), begin(logged), begin(other)
		require.NoError(t, l.RememberCheckpoint(t.Context(), origin, 3, []byte("root")))

		last, err = v.LastIntent(t.Context())
		require.NoError(t, err)
		require.Equal(t, other.ID, last)
		size, root, err := v.LastCheckpoint(t.Context(), origin)
		require.NoError(t, err)
		require.EqualValues(t, 3, size)
		require.Equal(t, []byte("root"), root)
		kept, err := v.SignaturesOf(t.Context(), []artifact.Digest{logged.Subject})
		require.NoError(t, err)
		require.Len(t, kept[logged.Subject], 2)
		require.Equal(t, logged.ID, kept[logged.Subject][0].IntentID)

		made := func(replicas []string, from time.Time) map[int64]int {
			found := map[int64]int{}
			require.NoError(t, v.EachMade(t.Context(), origin, replicas, from, func(m ledger.Made) error {
				found[m.IntentID]++
				require.Equal(t, m.IntentID == logged.ID, m.LogOrigin == origin)
				require.False(t, m.Subject.IsZero() || m.KeySPKI.IsZero() || m.MadeAt.IsZero())
				return nil
			}))
			return found
		}
		require.Equal(t, map[int64]int{logged.ID: 2, bare.ID: 1}, made([]string{"one"}, before.Add(-time.Minute)))
		require.Equal(t, map[int64]int{logged.ID: 2}, made([]string{"two"}, before.Add(-time.Minute)))
		require.Equal(t, map[int64]int{logged.ID: 2}, made([]string{"one"}, time.Now().Add(time.Minute)))
	})
}
