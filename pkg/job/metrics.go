package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	depth  [lowest + 1]prometheus.Gauge
	oldest [lowest + 1]prometheus.Gauge
	ended  map[string]prometheus.Counter
	batch  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	lane := []string{"lane"}
	depth := f.NewGaugeVec(prometheus.GaugeOpts{Name: "hallmark_queue_depth", Help: "Events waiting to be worked on, by lane."}, lane)
	oldest := f.NewGaugeVec(prometheus.GaugeOpts{Name: "hallmark_queue_oldest_seconds", Help: "How long the first event of a lane has been due."}, lane)
	ended := f.NewCounterVec(prometheus.CounterOpts{Name: "hallmark_job_total", Help: "Attempts that ended, by outcome."}, []string{"outcome"})
	m := &metrics{
		ended: map[string]prometheus.Counter{},
		batch: f.NewHistogram(prometheus.HistogramOpts{
			Name: "hallmark_intake_batch_size", Help: "Events that were stored in one transaction.", Buckets: prometheus.ExponentialBuckets(1, 4, 6),
		}),
	}
	for i, l := range lanes {
		m.depth[i], m.oldest[i] = depth.WithLabelValues(string(l.name)), oldest.WithLabelValues(string(l.name))
	}
	for _, o := range []string{outcomeDone, outcomeRetry, outcomeLater, outcomeFailed, outcomeInterrupted} {
		m.ended[o] = ended.WithLabelValues(o)
	}
	return m
}

// count looks at the backlog. It runs every few seconds, not per job: counting reads the whole line.
func (q *Queue) count(ctx context.Context) error {
	for i, l := range lanes {
		depth, age, err := q.line(ctx, l.queue)
		if err != nil {
			return fmt.Errorf("counting the backlog: %w", err)
		}
		q.depth[i].Store(depth)
		q.metrics.depth[i].Set(float64(depth))
		q.metrics.oldest[i].Set(age.Seconds())
	}
	return nil
}

// line returns how many jobs of a queue wait and how long the first has been due.
func (q *Queue) line(ctx context.Context, queue string) (depth int64, age time.Duration, err error) {
	err = q.ledger.Reader().QueryRowContext(ctx, `SELECT count(*) FROM river_job WHERE state = 'available' AND queue = $1`, queue).Scan(&depth)
	if err != nil {
		return 0, 0, err
	}
	var due time.Time
	err = q.ledger.Reader().QueryRowContext(ctx, `SELECT scheduled_at FROM river_job WHERE state = 'available' AND queue = $1
		ORDER BY priority, scheduled_at, id LIMIT 1`, queue).Scan(&due)
	if errors.Is(err, sql.ErrNoRows) {
		return depth, 0, nil
	}
	return depth, max(time.Since(due), 0), err
}
