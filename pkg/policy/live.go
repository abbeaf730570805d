package policy

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const (
	lookEvery   = 2 * time.Second        // how often the directory is read
	settleTime  = 500 * time.Millisecond // how long a change must have stood still before it is taken
	settleTries = 20                     // looks at a directory that never stands still, before the next tick
)

// errUnsettled says that a directory was written to all the time.
var errUnsettled = errors.New("the policy directory changes all the time; it is looked at again soon")

// Live is the policy set of a directory, kept up to date while the directory changes. The set in force is replaced as a
// whole or not at all: one that does not load never replaces one that did, and a directory is taken only after it was
// read twice with the same content, so that nothing half written comes into force. Whoever works asks for the set once,
// at the start, and keeps it to the end. A Live is safe for concurrent use.
type Live struct {
	dir        string
	noMatch    NoMatch
	vocabulary Vocabulary
	log        *slog.Logger
	metrics    liveMetrics
	set        atomic.Pointer[Set]

	mu      sync.Mutex                 // held by the one who looks at the directory
	refused string                     // content that was refused last; empty when the directory holds what is in force
	why     error                      // it was refused
	pause   func(context.Context) bool // until the second look; false when the context ended first
}

type liveMetrics struct {
	failures prometheus.Counter
	refused  prometheus.Gauge
	loaded   prometheus.Gauge
}

// Open loads the directory like Load and registers the metrics of what happens to it from then on.
func Open(dir string, noMatch NoMatch, v Vocabulary, log *slog.Logger, reg prometheus.Registerer) (*Live, error) {
	set, err := Load(dir, noMatch, v)
	if err != nil {
		return nil, err
	}
	f := promauto.With(reg)
	l := &Live{dir: dir, noMatch: noMatch, vocabulary: v, log: log, pause: settle, metrics: liveMetrics{
		failures: f.NewCounter(prometheus.CounterOpts{
			Name: "hallmark_policy_reload_failures_total",
			Help: "Changed contents of the policy directory that could not be taken up, so that the policies before them stayed in force.",
		}),
		refused: f.NewGauge(prometheus.GaugeOpts{
			Name: "hallmark_policy_reload_refused",
			Help: "1 while the policy directory holds something broken and older policies are in force, else 0.",
		}),
		loaded: f.NewGauge(prometheus.GaugeOpts{
			Name: "hallmark_policy_loaded_timestamp_seconds",
			Help: "When the policies in force were loaded.",
		}),
	}}
	l.enforce(set)
	return l, nil
}

// Set is the set in force now. It never blocks and is never nil.
func (l *Live) Set() *Set { return l.set.Load() }

// Run looks at the directory every few seconds, and at once when something comes from now, until ctx ends.
func (l *Live) Run(ctx context.Context, now <-chan os.Signal) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-now:
			l.log.InfoContext(ctx, "asked to look at the policies", slog.String("dir", l.dir))
		case <-tick.C:
		}
		if err := l.Reload(ctx); errors.Is(err, errUnsettled) {
			l.log.WarnContext(ctx, "policies are not taken up yet", slog.String("dir", l.dir), slog.Any("err", err))
		}
	}
}

// Reload takes up what the directory holds, if that is new and sound. Its error says why the set before stayed in force;
// what is broken is logged and counted once per content, however often it is looked at.
func (l *Live) Reload(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := lookAt(l.dir)
	if seen.content() == l.refused {
		return l.why
	}
	if seen.content() != l.inForce() {
		var err error
		if seen, err = l.settled(ctx, seen); err != nil {
			return err
		}
	}
	switch seen.content() {
	case l.inForce():
		if l.refused != "" {
			l.accept()
			l.log.InfoContext(ctx, "the policy directory holds the policies in force again", slog.String("dir", l.dir))
		}
		return nil
	case l.refused:
		return l.why
	}
	set, err := seen.load(l.dir, l.noMatch, l.vocabulary)
	if err != nil {
		l.refused, l.why = seen.content(), err
		l.metrics.failures.Inc()
		l.metrics.refused.Set(1)
		l.log.ErrorContext(ctx, "changed policies are broken; those before them stay in force", slog.String("dir", l.dir),
			slog.String("policy_set", l.Set().Digest().String()), slog.Any("err", err))
		return err
	}
	before := l.Set().Digest()
	l.enforce(set)
	l.log.InfoContext(ctx, "changed policies are in force", slog.String("dir", l.dir),
		slog.String("policy_set", set.Digest().String()), slog.String("before", before.String()))
	return nil
}

func (l *Live) enforce(set *Set) {
	l.set.Store(set)
	l.metrics.loaded.SetToCurrentTime()
	l.accept()
}

func (l *Live) accept() {
	l.refused, l.why = "", nil
	l.metrics.refused.Set(0)
}

func (l *Live) inForce() string { return l.Set().Digest().String() }

// settled looks until two looks in a row see the same.
func (l *Live) settled(ctx context.Context, seen look) (look, error) {
	for range settleTries {
		if !l.pause(ctx) {
			return look{}, context.Cause(ctx)
		}
		again := lookAt(l.dir)
		if again.content() == seen.content() {
			return again, nil
		}
		seen = again
	}
	return look{}, errUnsettled
}

func settle(ctx context.Context) bool {
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
