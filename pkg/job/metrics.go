package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/riverqueue/river"
)

type metrics struct {
	depth  prometheus.Gauge
	oldest prometheus.Gauge
	ended  map[string]prometheus.Counter
	batch  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	queue := []string{"queue"}
	depth := f.NewGaugeVec(prometheus.GaugeOpts{Name: "hallmark_queue_depth", Help: "Events waiting to be worked on."}, queue)
	oldest := f.NewGaugeVec(prometheus.GaugeOpts{Name: "hallmark_queue_oldest_seconds", Help: "How long the first event in line has been due."}, queue)
	ended := f.NewCounterVec(prometheus.CounterOpts{Name: "hallmark_job_total", Help: "Attempts that ended, by outcome."}, []string{"outcome"})
	m := &metrics{
		depth:  depth.WithLabelValues(river.QueueDefault),
		oldest: oldest.WithLabelValues(river.QueueDefault),
		ended:  map[string]prometheus.Counter{},
		batch: f.NewHistogram(prometheus.HistogramOpts{
			Name: "hallmark_intake_batch_size", Help: "Events that were stored in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 4, 6),
		}),
	}
	for _, o := range []string{outcomeDone, outcomeRetry, outcomeLater, outcomeFailed, outcomeInterrupted} {
		m.ended[o] = ended.WithLabelValues(o)
	}
	return m
}

// count looks at the backlog. It runs every few seconds, not per job: counting reads the whole line.
func (q *Queue) count(ctx context.Context) error {
	var depth int64
	err := q.ledger.Reader().QueryRowContext(ctx, `SELECT count(*) FROM river_job WHERE state = 'available' AND queue = $1`, river.QueueDefault).Scan(&depth)
	if err != nil {
		return fmt.Errorf("counting the backlog: %w", err)
	}
	var due time.Time
	err = q.ledger.Reader().QueryRowContext(ctx, `SELECT scheduled_at FROM river_job WHERE state = 'available' AND queue = $1
		ORDER BY priority, scheduled_at, id LIMIT 1`, river.QueueDefault).Scan(&due)
	age := max(time.Since(due), 0)
	if errors.Is(err, sql.ErrNoRows) {
		age, err = 0, nil
	}
	if err != nil {
		return fmt.Errorf("counting the backlog: %w", err)
	}
	q.depth.Store(depth)
	q.metrics.depth.Set(float64(depth))
	q.metrics.oldest.Set(age.Seconds())
	return nil
}
