package signing

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// A sweep that is always due must not keep the one that somebody waits for from getting on.
func TestEveryKindGetsOn(t *testing.T) {
	t.Parallel()
	w := &Sweeper{}
	open := []ledger.Sweep{{ID: 1, Kind: SweepPeriodic}, {ID: 2, Kind: SweepPeriodic}, {ID: 3, Kind: SweepManual}, {ID: 4, Kind: SweepBackfill}}
	served := map[int64]int{}
	for range 10 {
		served[w.pick(open).ID]++
	}
	require.Equal(t, map[int64]int{1: 5, 3: 5}, served)
	require.Equal(t, int64(1), w.pick(open[:2]).ID)
	require.Equal(t, int64(1), w.pick(open[:2]).ID, "alone, the most urgent has every page")
}
