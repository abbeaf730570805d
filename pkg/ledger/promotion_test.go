package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func TestPromotionsAreOnRecord(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		to := func(path string) artifact.Ref {
			r := ref(t, path)
			r.Repo = "release"
			return r
		}
		begun := time.UnixMicro(5000).UTC()
		begin := func(move bool, paths ...string) ledger.Promotion {
			p := ledger.Promotion{Instance: ref(t, "x").Instance, Kind: "build", Name: "app/1", TargetRepo: "release", Move: move, Caller: "ci", PolicySet: digest("set"), StartedAt: begun}
			for _, path := range paths {
				p.Items = append(p.Items, ledger.PromotionItem{
					Source: ref(t, path), Target: to(path), Subject: digest(path), Files: []string{path + ".sig"}, Rule: "gate.yaml:1 (g)", State: ledger.ItemWaiting,
				})
			}
			p, err := l.BeginPromotion(t.Context(), p)
			require.NoError(t, err)
			return p
		}
		_, err := l.Promotion(t.Context(), 1)
		require.ErrorIs(t, err, ledger.ErrUnknown)
		_, known, err := l.Promoted(t.Context(), ref(t, "a"), to("a"))
		require.NoError(t, err)
		require.False(t, known)

		first := begin(true, "a", "b", "c")
		why := []reason.Reason{{Code: reason.ArtifactChanged, Message: "m"}}
		require.NoError(t, l.PromotionItem(t.Context(), first.ID, 0, ledger.ItemCopied, nil))
		require.NoError(t, l.PromotionItem(t.Context(), first.ID, 1, ledger.ItemWithdrawn, why))
		require.NoError(t, l.EndPromotion(t.Context(), first.ID, ledger.PromotionIncomplete))
		p, err := l.Promotion(t.Context(), first.ID)
		require.NoError(t, err)
		require.Equal(t, ledger.PromotionIncomplete, p.State)
		require.True(t, p.Move)
		require.Equal(t, []any{"build", "app/1", "ci", digest("set"), begun}, []any{p.Kind, p.Name, p.Caller, p.PolicySet, p.StartedAt})
		require.False(t, p.EndedAt.IsZero())
		require.Equal(t, []ledger.ItemState{ledger.ItemCopied, ledger.ItemWithdrawn, ledger.ItemWaiting},
			[]ledger.ItemState{p.Items[0].State, p.Items[1].State, p.Items[2].State})
		require.Equal(t, why, p.Items[1].Reasons)
		require.Equal(t, []string{"c.sig"}, p.Items[2].Files)

		half := func() (paths []string) {
			items, err := l.HalfMoved(t.Context(), ref(t, "a").Instance, ref(t, "a").Repo, "release")
			require.NoError(t, err)
			for _, it := range items {
				require.Equal(t, digest(it.Source.Path), it.Subject)
				paths = append(paths, it.Source.Path)
			}
			return paths
		}
		require.Equal(t, []string{"a"}, half())

		second := begin(true, "a")
		require.Greater(t, second.ID, first.ID)
		require.Empty(t, half(), "the newest item of a pair of places counts")
		require.NoError(t, l.PromotionItem(t.Context(), second.ID, 0, ledger.ItemCopied, nil))
		require.Equal(t, []string{"a"}, half())
		require.NoError(t, l.PromotionItem(t.Context(), second.ID, 0, ledger.ItemDone, nil))
		require.Empty(t, half())
		it, known, err := l.Promoted(t.Context(), ref(t, "a"), to("a"))
		require.NoError(t, err)
		require.True(t, known && it.Move && it.State == ledger.ItemDone)
		at, known, err := l.PromotedTo(t.Context(), to("a"))
		require.NoError(t, err)
		require.True(t, known)
		require.Equal(t, it, at)
		_, known, err = l.PromotedTo(t.Context(), ref(t, "a"))
		require.NoError(t, err)
		require.False(t, known)

		claimed := func(besides int64, since time.Time) bool {
			yes, err := l.Claimed(t.Context(), to("a"), besides, since)
			require.NoError(t, err)
			return yes
		}
		require.True(t, claimed(first.ID, begun), "by the second")
		require.False(t, claimed(first.ID, time.Now().Add(time.Hour)))
		third := begin(true, "e")
		yes, err := l.Claimed(t.Context(), to("e"), 0, begun)
		require.NoError(t, err)
		require.False(t, yes, "nothing was done there yet")
		require.NoError(t, l.PromotionItem(t.Context(), third.ID, 0, ledger.ItemFailed, nil))
		for besides, want := range map[int64]bool{third.ID: false, first.ID: true} {
			yes, err := l.Claimed(t.Context(), to("e"), besides, begun)
			require.NoError(t, err)
			require.Equal(t, want, yes)
		}

		copied := begin(false, "d")
		require.NoError(t, l.PromotionItem(t.Context(), copied.ID, 0, ledger.ItemCopied, nil))
		require.Empty(t, half(), "a copy leaves nothing to delete")
		none := begin(false)
		p, err = l.Promotion(t.Context(), none.ID)
		require.NoError(t, err)
		require.Empty(t, p.Items)
	})
}
