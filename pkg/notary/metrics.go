package notary

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	seconds  *prometheus.HistogramVec
	failures *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, owed func() float64) *metrics {
	f := promauto.With(reg)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hallmark_notary_outcomes_owed",
		Help: "Uses of keys that have ended and that the log could not be told about yet. It goes back to 0 when the log can be written.",
	}, owed)
	return &metrics{
		seconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hallmark_notary_seconds",
			Help:    "Time to attest: intent, draft (of a certificate), certificate, stamp, record (the log entry with its proof), outcome, start.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2.5, 11),
		}, []string{"what"}),
		failures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hallmark_notary_failures_total",
			Help: "Attempts to attest that failed; nothing was signed or published without.",
		}, []string{"what"}),
	}
}

// time measures until the returned function is called with the outcome.
func (m *metrics) time(what string) func(*error) {
	start := time.Now()
	return func(err *error) {
		if *err != nil {
			m.failures.WithLabelValues(what).Inc()
			return
		}
		m.seconds.WithLabelValues(what).Observe(time.Since(start).Seconds())
	}
}
