package ledger_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// The list is the newest first, of one instance when one is named, and counts what became of the items.
func TestPromotionsAreListed(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		none, err := l.Promotions(t.Context(), "", 10)
		require.NoError(t, err)
		require.Empty(t, none)

		begin := func(instance string, items int) ledger.Promotion {
			p := ledger.Promotion{Instance: instance, Kind: "build", Name: "app/1", TargetRepo: "release", Move: true, Caller: "ci", PolicySet: digest("set"), StartedAt: time.UnixMicro(5000).UTC()}
			for i := range items {
				at := artifact.Ref{Instance: instance, Repo: "staging", Path: "a" + strconv.Itoa(i)}
				p.Items = append(p.Items, ledger.PromotionItem{Source: at, Target: at, Subject: digest("a"), State: ledger.ItemWaiting})
			}
			p, err := l.BeginPromotion(t.Context(), p)
			require.NoError(t, err)
			return p
		}
		first, second, third := begin("main", 3), begin("other", 1), begin("main", 0)
		require.NoError(t, l.PromotionItem(t.Context(), first.ID, 1, ledger.ItemDone, nil))
		require.NoError(t, l.EndPromotion(t.Context(), first.ID, ledger.PromotionIncomplete))

		all, err := l.Promotions(t.Context(), "", 10)
		require.NoError(t, err)
		ids := func(list []ledger.PromotionSummary) (out []int64) {
			for _, p := range list {
				require.Empty(t, p.Items)
				out = append(out, p.ID)
			}
			return out
		}
		require.Equal(t, []int64{third.ID, second.ID, first.ID}, ids(all))
		require.Equal(t, map[ledger.ItemState]int{ledger.ItemDone: 1, ledger.ItemWaiting: 2}, all[2].States)
		require.Empty(t, all[0].States)
		record, err := l.Promotion(t.Context(), first.ID)
		require.NoError(t, err)
		record.Items = nil
		require.Equal(t, record, all[2].Promotion)

		newest, err := l.Promotions(t.Context(), "", 1)
		require.NoError(t, err)
		require.Equal(t, []int64{third.ID}, ids(newest))
		main, err := l.Promotions(t.Context(), "main", 10)
		require.NoError(t, err)
		require.Equal(t, []int64{third.ID, first.ID}, ids(main))
	})
}
