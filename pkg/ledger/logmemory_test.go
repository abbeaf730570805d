package ledger_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

func TestCheckpointsOnlyGrow(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		size, root, err := l.LastCheckpoint(t.Context(), "log.example")
		require.NoError(t, err)
		require.Zero(t, size)
		require.Empty(t, root)

		a, b := []byte("root of a"), []byte("root of b")
		require.NoError(t, l.RememberCheckpoint(t.Context(), "log.example", 7, a))
		require.NoError(t, l.RememberCheckpoint(t.Context(), "log.example", 7, a), "the same again")
		require.ErrorIs(t, l.RememberCheckpoint(t.Context(), "log.example", 7, b), ledger.ErrCheckpoint, "a fork")
		require.ErrorIs(t, l.RememberCheckpoint(t.Context(), "log.example", 6, a), ledger.ErrCheckpoint, "an older copy")
		require.NoError(t, l.RememberCheckpoint(t.Context(), "other.example", 1, b), "another log")
		require.NoError(t, l.RememberCheckpoint(t.Context(), "log.example", 8, b))
		size, root, err = l.LastCheckpoint(t.Context(), "log.example")
		require.NoError(t, err)
		require.Equal(t, uint64(8), size)
		require.Equal(t, b, root)
	})
}

// Two processes that sign for one log, by mistake or by force, cannot both have one size.
func TestOneRootPerSizeUnderConcurrency(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		for size := uint64(1); size <= 20; size++ {
			var wg sync.WaitGroup
			var won atomic.Int64
			for i := range 4 {
				wg.Go(func() {
					if l.RememberCheckpoint(t.Context(), "log.example", size, fmt.Append(nil, i)) == nil {
						won.Add(1)
					}
				})
			}
			wg.Wait()
			require.Equal(t, int64(1), won.Load())
		}
	})
}

func TestCertificatesAreNotedOnce(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		for _, origin := range []string{"log.example", "log.example", "other.example"} {
			require.NoError(t, l.CertificateLogged(t.Context(), origin, digest("ca"), 3))
		}
		for _, c := range []struct {
			origin, cert string
			want         bool
		}{{"log.example", "ca", true}, {"other.example", "ca", true}, {"third.example", "ca", false}, {"log.example", "tsa", false}} {
			got, err := l.HasCertificate(t.Context(), c.origin, digest(c.cert))
			require.NoError(t, err)
			require.Equal(t, c.want, got, "%+v", c)
		}
	})
}
