package job_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// BenchmarkWaitDuringBackfill is how long a promotion, and an upload, waits from the moment it is announced until work on
// it begins, while a backfill of 100,000 files runs as fast as the database lets it; and on an idle queue, to compare.
func BenchmarkWaitDuringBackfill(b *testing.B) {
	const backlog, sample = 100_000, 500
	for _, d := range ledgertest.Dialects() {
		for _, lane := range []job.Lane{job.Promotion, job.Upload} {
			for _, files := range []int{0, backlog} {
				b.Run(fmt.Sprintf("%s/%s/backlog-%d", d, lane, files), func(b *testing.B) {
					for b.Loop() {
						b.StopTimer()
						l := ledgertest.Open(b, d)
						begun := make(chan time.Time, 1)
						q, err := job.New(l, job.Config{}, job.Options{}, func(ctx context.Context, w job.Work) error {
							if w.Event.Lane == lane {
								begun <- time.Now()
							}
							return sign(ctx, l, w.Event)
						})
						require.NoError(b, err)
						for n := 0; n < files; n += job.MaxBatch {
							require.NoError(b, q.AcceptMany(b.Context(), many(job.Backfill, n, n+job.MaxBatch)))
						}
						require.NoError(b, q.Start(b.Context()))
						b.StartTimer()
						took := make([]time.Duration, sample)
						for n := range took {
							announced := time.Now()
							require.NoError(b, q.Accept(b.Context(), in(lane, event(backlog+n))))
							took[n] = (<-begun).Sub(announced)
						}
						b.StopTimer()
						slices.Sort(took)
						left := states(b, l)["available"]
						require.True(b, files == 0 || left > 0, "the backfill ended before the measurement")
						require.NoError(b, q.Stop(context.Background()))
						b.ReportMetric(0, "ns/op")
						b.ReportMetric(ms(took[sample/2]), "wait-p50-ms")
						b.ReportMetric(ms(took[sample*99/100]), "wait-p99-ms")
						b.ReportMetric(ms(took[sample-1]), "wait-max-ms")
						b.ReportMetric(float64(files-left), "backfilled")
						b.StartTimer()
					}
				})
			}
		}
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
