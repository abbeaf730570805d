package ledger_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestRenewedLeaseKeepsOthersAway(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), Lease: time.Minute})
		require.Equal(t, time.Minute, l.Lease())
		old := intent(t, "a", "release", "sigstore")
		old.StartedAt = time.Now().Add(-2 * time.Minute)
		old, err := l.Begin(t.Context(), old)
		require.NoError(t, err)
		require.NoError(t, l.Renew(t.Context(), old.ID))
		_, err = l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
		require.ErrorIs(t, err, ledger.ErrBusy)

		require.NoError(t, l.Sealed(t.Context(), old.ID, signatures(old, "x")))
		require.ErrorIs(t, l.Renew(t.Context(), old.ID), ledger.ErrNotLive)
		require.ErrorIs(t, l.Renew(t.Context(), 4711), ledger.ErrNotLive)
	})
}

func TestLostLeaseCannotBeRenewed(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), Lease: time.Minute})
		old := intent(t, "a", "release", "sigstore")
		old.StartedAt = time.Now().Add(-2 * time.Minute)
		old, err := l.Begin(t.Context(), old)
		require.NoError(t, err)
		_, err = l.Begin(t.Context(), intent(t, "a", "release", "sigstore"))
		require.NoError(t, err)
		require.ErrorIs(t, l.Renew(t.Context(), old.ID), ledger.ErrNotLive)
	})
}

// The answer to a commit got lost: the intent is durable, its caller does not know, and nobody must wait for its lease.
func TestIntentWhoseCommitWasNotHeardOfIsWithdrawn(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		var deaf atomic.Bool
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), CommitHook: func(p ledger.CommitPhase) error {
			if p == ledger.AfterCommit && deaf.Swap(false) {
				return errors.New("connection lost")
			}
			return nil
		}})
		first := intent(t, "a", "release", "sigstore")
		first.GrantID = "first"
		deaf.Store(true)
		_, err := l.Begin(t.Context(), first)
		require.ErrorContains(t, err, "connection lost")
		second := intent(t, "a", "release", "sigstore")
		second.GrantID = "second"
		second, err = l.Begin(t.Context(), second)
		require.NoError(t, err)

		deaf.Store(true)
		third := intent(t, "a", "release", "sigstore")
		third.GrantID = "third"
		_, err = l.Begin(t.Context(), third)
		require.ErrorContains(t, err, "connection lost")
		require.NoError(t, l.Renew(t.Context(), second.ID), "another's intent is left alone")
	})
}
