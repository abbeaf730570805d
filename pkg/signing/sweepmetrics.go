package signing

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type sweepMetrics struct {
	items   *prometheus.CounterVec
	lost    prometheus.Counter
	success *prometheus.GaugeVec
}

func newSweepMetrics(reg prometheus.Registerer) *sweepMetrics {
	f := promauto.With(reg)
	m := &sweepMetrics{
		items: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hallmark_sweep_items_total",
			Help: "Files that sweeps looked at, by what they found.",
		}, []string{"finding"}),
		lost: f.NewCounter(prometheus.CounterOpts{
			Name: "hallmark_sweep_lost_events_total",
			Help: "Files that policy covers and whose event never arrived, found by sweeps. Growth means that webhooks do not come through.",
		}),
		success: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "hallmark_sweep_last_success_timestamp_seconds",
			Help: "When the repository of the instance that has waited longest was compared with the ledger last.",
		}, []string{"instance"}),
	}
	for _, name := range findings {
		m.items.WithLabelValues(name)
	}
	return m
}
