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
		newest, err := v.NewestIntent(t.Context())
		require.NoError(t, err)
		require.True(t, newest.IsZero())

		begin := func(in ledger.Intent) ledger.Intent {
			in, err := l.Begin(t.Context(), in)
			require.NoError(t, err)
			require.NoError(t, l.Sealed(t.Context(), in.ID, signatures(in, "x")))
			return in
		}
		bare, logged, other := intent(t, "bare", "release", "sigstore"), loggedIntent(t, "logged", 1), loggedIntent(t, "other", 1)
		other.LogOrigin = "other.example"
		bare, logged, other = begin(bare), begin(logged), begin(other)
		require.NoError(t, l.RememberCheckpoint(t.Context(), origin, 3, []byte("root")))

		newest, err = v.NewestIntent(t.Context())
		require.NoError(t, err)
		require.WithinRange(t, newest, time.Now().Add(-time.Hour), time.Now())
		size, root, err := v.LastCheckpoint(t.Context(), origin)
		require.NoError(t, err)
		require.EqualValues(t, 3, size)
		require.Equal(t, []byte("root"), root)
		made := map[int64]int{}
		require.NoError(t, v.EachMade(t.Context(), func(m ledger.Made) error {
			made[m.IntentID]++
			in := map[int64]ledger.Intent{bare.ID: bare, logged.ID: logged, other.ID: other}[m.IntentID]
			require.Equal(t, in.LogOrigin, m.LogOrigin)
			require.Equal(t, in.Subject, m.Subject)
			require.Equal(t, in.KeySPKI, m.KeySPKI)
			require.Equal(t, in.Ref, m.Ref)
			require.Equal(t, m.Format+"x", string(m.Content))
			require.Equal(t, artifact.Attachment{Content: m.Content}.SHA256(), m.ContentSHA256)
			require.True(t, m.Known)
			require.NoError(t, m.Wrong)
			at, ok, err := v.MadeAt(t.Context(), m.ContentSHA256)
			require.NoError(t, err)
			require.True(t, ok)
			require.False(t, at.IsZero())
			return nil
		}))
		require.Equal(t, map[int64]int{bare.ID: 1, logged.ID: 2, other.ID: 2}, made)
		_, ok, err := v.MadeAt(t.Context(), digest("never"))
		require.NoError(t, err)
		require.False(t, ok)

		require.NoError(t, l.Account(t.Context(), ledger.Accounted{IntentID: logged.ID, Index: 1, Outcome: 4}))
		live, err := l.Begin(t.Context(), loggedIntent(t, "live", 1))
		require.NoError(t, err)
		announced := map[int64]ledger.Announced{}
		require.NoError(t, v.EachAnnounced(t.Context(), func(a ledger.Announced) error { announced[a.ID] = a; return nil }))
		require.Len(t, announced, 3)
		for _, in := range []ledger.Intent{logged, other, live} {
			a := announced[in.ID]
			require.Equal(t, []any{in.GrantID, in.Ref, in.Subject, in.KeyName, in.KeySPKI, in.Formats, in.Policy, in.Rule, in.PolicySet, in.EventID, in.LogOrigin},
				[]any{a.GrantID, a.Ref, a.Subject, a.KeyName, a.KeySPKI, a.Formats, a.Policy, a.Rule, a.PolicySet, a.EventID, a.LogOrigin})
			require.Equal(t, in.ID == live.ID, a.Live)
			require.Equal(t, in.ID != live.ID, a.Sealed)
			require.Equal(t, in.ID == logged.ID, a.Told)
			require.NoError(t, a.Wrong)
		}
	})
}
