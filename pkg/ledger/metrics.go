package ledger

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	size    prometheus.Histogram
	seconds prometheus.Histogram
	failed  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		size: f.NewHistogram(prometheus.HistogramOpts{
			Name: "hallmark_ledger_commit_writes", Help: "Writes that shared one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "hallmark_ledger_commit_seconds", Help: "Time from the start of a transaction to its end on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}),
		failed: f.NewCounter(prometheus.CounterOpts{
			Name: "hallmark_ledger_commit_failures_total", Help: "Transactions that failed.",
		}),
	}
}

func (m *metrics) observe(writes int, took time.Duration, err error) {
	m.size.Observe(float64(writes))
	m.seconds.Observe(took.Seconds())
	if err != nil {
		m.failed.Inc()
	}
}
