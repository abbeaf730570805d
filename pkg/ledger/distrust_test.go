package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestDistrustIsOnRecord(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		key, other := digest("key"), digest("other")
		now := func() map[artifact.Digest]ledger.Distrust {
			m, err := l.Distrusted(t.Context())
			require.NoError(t, err)
			return m
		}
		require.Empty(t, now())
		_, err := l.Distrust(t.Context(), ledger.Distrust{KeyName: "k", KeySPKI: key, Lifted: true, By: "alice"})
		require.ErrorIs(t, err, ledger.ErrTrusted)

		said, err := l.Distrust(t.Context(), ledger.Distrust{KeyName: "k", KeySPKI: key, From: from, By: "alice", Why: "stolen"})
		require.NoError(t, err)
		require.WithinDuration(t, time.Now(), said.At, time.Minute)
		require.Equal(t, map[artifact.Digest]ledger.Distrust{key: said}, now())
		require.True(t, now()[key].Refuses(from))
		require.True(t, now()[key].Refuses(time.Time{}), "nobody knows when")
		require.False(t, now()[key].Refuses(from.Add(-time.Microsecond)))
		require.False(t, ledger.Distrust{}.Refuses(time.Time{}), "a key that is not distrusted")

		_, err = l.Distrust(t.Context(), ledger.Distrust{KeyName: "k", KeySPKI: key, From: from.Add(time.Hour), By: "bob"})
		require.ErrorIs(t, err, ledger.ErrLaxer)
		require.ErrorContains(t, err, "2026-03-01T12:00:00Z")
		require.Equal(t, from, now()[key].From)
		_, err = l.Distrust(t.Context(), ledger.Distrust{KeyName: "k", KeySPKI: key, From: from.Add(-time.Hour), By: "bob"})
		require.NoError(t, err, "stricter is always possible")
		require.Equal(t, from.Add(-time.Hour), now()[key].From)

		// A use of the key is not begun, and one of another is.
		in := ledger.Intent{GrantID: "g", Ref: ref(t, "a"), Subject: digest("a"), KeyName: "k", KeySPKI: key, Formats: []string{"raw"}}
		_, err = l.Begin(t.Context(), in)
		require.ErrorIs(t, err, ledger.ErrDistrusted)
		in.KeySPKI = other
		_, err = l.Begin(t.Context(), in)
		require.NoError(t, err)

		lifted, err := l.Distrust(t.Context(), ledger.Distrust{KeyName: "k", KeySPKI: key, Lifted: true, By: "alice", Why: "found in the safe"})
		require.NoError(t, err)
		require.Equal(t, from.Add(-time.Hour), lifted.From)
		require.False(t, lifted.Refuses(time.Time{}))
		require.Empty(t, now())
		in.KeySPKI = key
		_, err = l.Begin(t.Context(), in)
		require.NoError(t, err)

		all, err := l.Distrusts(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 3, "what was refused is not on record, and nothing is taken back")
		require.Equal(t, []string{"alice", "bob", "alice"}, []string{all[0].By, all[1].By, all[2].By})
		require.Equal(t, "stolen", all[0].Why)
		require.True(t, all[2].Lifted)
	})
}

// What a key signed is found with all places, page by page.
func TestAffected(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		sign := func(path string, key artifact.Digest, at time.Time) {
			in, err := l.Begin(t.Context(), ledger.Intent{GrantID: "g", Ref: ref(t, path), Subject: digest(path), KeyName: "k", KeySPKI: key, Formats: []string{"raw", "sigstore"}})
			require.NoError(t, err)
			var made []ledger.Signature
			for _, f := range in.Formats {
				made = append(made, ledger.Signature{Subject: digest(path), KeyName: "k", KeySPKI: key, Format: f, Content: []byte(f + path), MadeAt: at})
			}
			require.NoError(t, l.Sealed(t.Context(), in.ID, made))
		}
		key := digest("key")
		sign("before", key, from.Add(-time.Microsecond))
		sign("by another", digest("other"), from)
		sign("since", key, from)
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "a copy"), Subject: digest("since"), State: ledger.Signed, At: from}))
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "denied"), Subject: digest("since"), State: ledger.Denied, At: from}))
		to := ref(t, "since")
		to.Repo = "release"
		p, err := l.BeginPromotion(t.Context(), ledger.Promotion{Instance: to.Instance, TargetRepo: "release", Items: []ledger.PromotionItem{
			{Source: ref(t, "since"), Target: to, Subject: digest("since"), State: ledger.ItemWaiting},
			{Source: ref(t, "a copy"), Target: ref(t, "nowhere"), Subject: digest("since"), State: ledger.ItemWaiting},
		}})
		require.NoError(t, err)
		require.NoError(t, l.PromotionItem(t.Context(), p.ID, 0, ledger.ItemDone, nil))

		page, more, err := l.Affected(t.Context(), key, from, artifact.Digest{})
		require.NoError(t, err)
		require.False(t, more)
		require.Len(t, page, 1)
		require.Equal(t, digest("since"), page[0].Subject)
		require.Equal(t, []string{"raw", "sigstore"}, page[0].Formats)
		require.Equal(t, from, page[0].MadeAt)
		require.Equal(t, []artifact.Ref{ref(t, "since"), ref(t, "a copy")}, page[0].Places)
		require.Len(t, page[0].Promoted, 1, "what only waits stands nowhere")
		require.Equal(t, to, page[0].Promoted[0].Target)
		require.Equal(t, p.ID, page[0].Promoted[0].Promotion)

		for i := range 120 {
			sign("many/"+time.Duration(i).String(), key, from)
		}
		n, err := l.CountAffected(t.Context(), key, from)
		require.NoError(t, err)
		require.EqualValues(t, 121, n)
		seen := map[artifact.Digest]bool{}
		after := artifact.Digest{}
		for more = true; more; {
			page, more, err = l.Affected(t.Context(), key, from, after)
			require.NoError(t, err)
			for _, a := range page {
				require.False(t, seen[a.Subject])
				seen[a.Subject], after = true, a.Subject
			}
		}
		require.Len(t, seen, 121)
	})
}
