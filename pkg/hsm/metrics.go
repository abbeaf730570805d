package hsm

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// metrics of one Keyring. Key names come from the configuration, so every label has a closed set of values.
type metrics struct {
	seconds   map[string]prometheus.Observer // by key
	errors    map[class]prometheus.Counter
	stuck     prometheus.Gauge
	selfCheck prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, keys []KeyConfig) *metrics {
	f := promauto.With(reg)
	seconds := f.NewHistogramVec(prometheus.HistogramOpts{
		Name: "hallmark_hsm_sign_seconds", Help: "Time from asking for a signature to having it verified, by key; successes only.",
		Buckets: []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
	}, []string{"key"})
	failures := f.NewCounterVec(prometheus.CounterOpts{
		Name: "hallmark_hsm_errors_total", Help: "Failed attempts to sign, by class of cause.",
	}, []string{"class"})
	m := &metrics{
		seconds: map[string]prometheus.Observer{},
		errors:  map[class]prometheus.Counter{},
		stuck: f.NewGauge(prometheus.GaugeOpts{
			Name: "hallmark_hsm_sessions_stuck", Help: "Calls into a PKCS#11 module that have not returned within the sign timeout.",
		}),
		selfCheck: f.NewCounter(prometheus.CounterOpts{
			Name: "hallmark_signature_self_check_failures_total", Help: "Signatures from a token that did not verify. Must stay 0.",
		}),
	}
	for _, k := range keys {
		m.seconds[k.Name] = seconds.WithLabelValues(k.Name)
	}
	for _, c := range classes {
		m.errors[c] = failures.WithLabelValues(string(c))
	}
	return m
}

func (m *metrics) failed(err error) {
	if c, ok := m.errors[classify(err)]; ok {
		c.Inc()
	}
}
