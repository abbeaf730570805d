package webhook

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// other is the label of everything outside a closed set.
const other = "other"

type metrics struct {
	events       *prometheus.CounterVec
	authFailures *prometheus.CounterVec
	seconds      prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, instances map[string]Instance) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		events: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hallmark_webhook_events_total",
			Help: "Webhook deliveries by instance, event domain, event type and what became of them.",
		}, []string{"instance", "domain", "type", "outcome"}),
		authFailures: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hallmark_webhook_auth_failures_total",
			Help: "Deliveries without proof of a configured secret. JFrog does not repeat them: each may be a lost event.",
		}, []string{"instance"}),
		seconds: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "hallmark_webhook_seconds",
			Help:    "Time from a delivery's arrival to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
	}
	for name := range instances { // a counter that alerts must be there before it is needed
		m.authFailures.WithLabelValues(name)
		for _, t := range Types() {
			if t.Ignored == "" {
				m.events.WithLabelValues(name, t.Domain, t.Name, string(unavailable))
			}
		}
	}
	return m
}

// labels maps a delivery's words onto the closed sets of the tables.
func labels(domain, typ string) (string, string) {
	d, ok := domains[domain]
	if !ok {
		return other, other
	}
	if _, ok := d.types[typ]; !ok {
		return domain, other
	}
	return domain, typ
}
