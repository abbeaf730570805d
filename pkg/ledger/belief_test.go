package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestBeliefsAreKept(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		numbers := func() ledger.TrustNumbers {
			n, err := l.TrustNumbers(t.Context())
			require.NoError(t, err)
			return n
		}
		require.NoError(t, l.Believe(t.Context()))
		require.Zero(t, numbers())
		key := ledger.Belief{Kind: "key", Subject: "k", Voucher: digest("ca"), Content: "one", Signature: []byte{1, 2}}
		byOther := key
		byOther.Voucher = digest("other ca")
		identity := ledger.Belief{Kind: "identity", Subject: "k", Voucher: digest("ca"), Content: "me", Signature: []byte{3}}
		require.NoError(t, l.Believe(t.Context(), key, byOther, identity))
		require.Equal(t, ledger.TrustNumbers{Belief: 3}, numbers())

		// The same again is nothing new; something else takes its place under a new number.
		require.NoError(t, l.Believe(t.Context(), key, identity))
		require.Equal(t, ledger.TrustNumbers{Belief: 3}, numbers())
		key.Content, key.Signature = "two", []byte{9}
		require.NoError(t, l.Believe(t.Context(), key))
		all, err := l.Beliefs(t.Context())
		require.NoError(t, err)
		for i := range all {
			require.WithinDuration(t, time.Now(), all[i].At, time.Minute)
			all[i].At = time.Time{}
		}
		byOther.Number, identity.Number, key.Number = 2, 3, 4
		require.Equal(t, []ledger.Belief{byOther, identity, key}, all)

		_, err = l.Distrust(t.Context(), ledger.Distrust{KeySPKI: digest("k"), From: time.Now(), By: "ann"})
		require.NoError(t, err)
		require.Equal(t, ledger.TrustNumbers{Belief: 4, Distrust: 1}, numbers())

		// What somebody wrote by hand is told as it is, without a signature that could hold.
		write(t, l, `INSERT INTO belief (number, kind, subject, voucher, content, signature, at) VALUES (7, 'key', 'evil', 'me', 'x', '!', 0)`)
		all, err = l.Beliefs(t.Context())
		require.NoError(t, err)
		require.Equal(t, ledger.Belief{Number: 7, Kind: "key", Subject: "evil", Content: "x", Signature: []byte{}}, all[3])

		require.NoError(t, l.RememberCheckpoint(t.Context(), "b.example", 1, []byte{1}))
		require.NoError(t, l.RememberCheckpoint(t.Context(), "a.example", 1, []byte{1}))
		logs, err := l.Logs(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"a.example", "b.example"}, logs)
	})
}

func write(t *testing.T, l *ledger.Ledger, statement string) {
	t.Helper()
	_, err := l.SQL().ExecContext(t.Context(), statement)
	require.NoError(t, err)
}
