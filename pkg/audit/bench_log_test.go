package audit_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// BenchmarkAppend measures from a Rekord to its verified proof: with the log's key in software, and in SoftHSM.
func BenchmarkAppend(b *testing.B) {
	body, err := rekord(b, sealtest.NewKey(b, "P-256", "artifact"), "content", true).Marshal()
	require.NoError(b, err)
	for _, at := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("key=software/at-once=%d", at), func(b *testing.B) { benchAppend(b, newRig(b).open(b), body, at) })
	}
}

func benchAppend(b *testing.B, l *audit.Log, leaf []byte, atOnce int) {
	_, err := l.Append(b.Context(), leaf) // the first tile and the first checkpoint
	require.NoError(b, err)
	took := make([][]time.Duration, atOnce)
	work := make(chan struct{}, b.N)
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	b.ResetTimer()
	var wait sync.WaitGroup
	for i := range atOnce {
		wait.Go(func() {
			for range work {
				start := time.Now()
				if _, err := l.Append(b.Context(), leaf); err != nil {
					b.Errorf("append: %v", err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(all[len(all)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(all[len(all)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}
