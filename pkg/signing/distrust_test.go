package signing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Nothing is signed with a distrusted key, and what it signed since is not said to be signed any more; what it signed before
// is.
func TestADistrustedKeySignsNothing(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		r.upload("app/before.tgz", "before")
		require.NoError(t, r.do("app/before.tgz"))
		pub, ok := r.keys.Key(key)
		require.True(t, ok)
		say := func(from time.Time, lift bool) {
			_, err := r.ledger.Distrust(t.Context(), ledger.Distrust{KeyName: key, KeySPKI: pub.SPKI, From: from, Lifted: lift, By: "alice", Why: "stolen"})
			require.NoError(t, err)
		}
		say(time.Now(), false)
		r.upload("app/since.tgz", "since")
		require.NoError(t, r.do("app/since.tgz"))
		out := r.outcome("app/since.tgz")
		require.Equal(t, ledger.Denied, out.State)
		require.Equal(t, reason.KeyDistrusted, out.Reasons[0].Code)
		require.Contains(t, out.Reasons[0].Found, "by the word of alice: stolen")
		require.Contains(t, out.Reasons[0].Fix, "hallmark keys distrust "+key+" --lift")
		require.Equal(t, 1, r.uses())
		require.NoError(t, r.do("app/before.tgz"))
		require.Equal(t, ledger.Signed, r.outcome("app/before.tgz").State, "it was signed before")

		s := r.sweeper(atHand)
		run := s.run(ledger.Sweep{})
		require.Zero(t, run.Repaired, "%+v", run.Findings)
		require.EqualValues(t, 1, run.Findings["refused"])

		say(time.Now().Add(-time.Hour), false) // from before all that it signed
		run = s.run(ledger.Sweep{})
		require.EqualValues(t, 1, run.Repaired, "so that it is not said to be signed any more")
		r.settled("app/before.tgz", ledger.Denied)
		require.Zero(t, s.run(ledger.Sweep{}).Repaired, "once")
		require.Equal(t, 1, r.uses())

		say(time.Time{}, true)
		require.NoError(t, r.do("app/since.tgz"))
		require.Equal(t, ledger.Signed, r.outcome("app/since.tgz").State)
	})
}
