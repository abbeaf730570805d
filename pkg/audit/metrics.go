package audit

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	entries       prometheus.Counter
	size          prometheus.Gauge
	signedSize    prometheus.Gauge
	publishedSize prometheus.Gauge
	signatures    prometheus.Counter
	refused       prometheus.Counter
	seconds       map[bool]prometheus.Observer // by whether a proof was waited for
	failures      map[string]prometheus.Counter
}

// stages are where a leaf or a checkpoint can fail: nobody waits for it any more, the directory, the key or the memory, publishing.
var stages = []string{"waiting", "write", "prove", "publish"}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	seconds := f.NewHistogramVec(prometheus.HistogramOpts{
		Name: "hallmark_log_append_seconds", Help: "Time until a leaf was durable in the log (until=durable), or proven under a signed checkpoint (until=proven); successes only.",
		Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
	}, []string{"until"})
	failures := f.NewCounterVec(prometheus.CounterOpts{
		Name: "hallmark_log_failures_total", Help: "Leaves and checkpoints that failed, by stage.",
	}, []string{"stage"})
	m := &metrics{
		entries:       f.NewCounter(prometheus.CounterOpts{Name: "hallmark_log_entries_total", Help: "Leaves added to the log by this process."}),
		size:          f.NewGauge(prometheus.GaugeOpts{Name: "hallmark_log_size", Help: "Leaves in the log."}),
		signedSize:    f.NewGauge(prometheus.GaugeOpts{Name: "hallmark_log_signed_size", Help: "Leaves under the last signed checkpoint."}),
		publishedSize: f.NewGauge(prometheus.GaugeOpts{Name: "hallmark_log_published_size", Help: "Leaves under the checkpoint that monitors read; far behind hallmark_log_size when witnesses do not sign."}),
		signatures:    f.NewCounter(prometheus.CounterOpts{Name: "hallmark_log_checkpoint_signatures_total", Help: "Checkpoints signed."}),
		refused:       f.NewCounter(prometheus.CounterOpts{Name: "hallmark_log_checkpoints_refused_total", Help: "Checkpoints that were not signed because the log on disk contradicts what was signed before. Must stay 0."}),
		seconds:       map[bool]prometheus.Observer{false: seconds.WithLabelValues("durable"), true: seconds.WithLabelValues("proven")},
		failures:      map[string]prometheus.Counter{},
	}
	for _, s := range stages {
		m.failures[s] = failures.WithLabelValues(s)
	}
	return m
}

func (m *metrics) failed(stage string) { m.failures[stage].Inc() }

func (m *metrics) took(proven bool, d time.Duration) { m.seconds[proven].Observe(d.Seconds()) }
