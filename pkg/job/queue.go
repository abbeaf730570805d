package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// Options are what a queue is given by its process. All fields may be zero.
type Options struct {
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Instances  int // of Artifactory; when there are several, none can hold up the others
	// Outage tells of an attempt's error whether it means that Artifactory itself failed: it cannot be reached, is
	// overloaded or breaks down. It must not keep the error. Nil means that no error does.
	Outage  func(error) bool
	Silence time.Duration // how long Artifactory may be silent before a request is given up; default 30 s
}

// Queue accepts events and has them worked on. Make one per ledger.
type Queue struct {
	cfg     Config
	log     *slog.Logger
	ledger  *ledger.Ledger
	client  *river.Client[*sql.Tx]
	intake  *ledger.Group[[]*ledger.Event]
	metrics *metrics
	depth   [lowest + 1]atomic.Int64 // waiting events by lane, as last counted
	work    func(context.Context, Work) error

	slots    *slots
	shares   *shares
	patience time.Duration
	draining chan struct{} // closed when no more work may begin
	stopping atomic.Bool   // running work is being interrupted
	rounds   sync.WaitGroup
	cancel   context.CancelFunc
}

// New brings the queue's tables up to date. Work is called for one event at a time per worker, never before Start. Its
// context ends at Config.Timeout and when a drain took too long. Its result decides what happens next: nil ends the
// work; Permanent ends it as failed; After has it tried again later; any other error has it tried again with growing,
// jittered pauses, up to Config.MaxAttempts.
func New(l *ledger.Ledger, cfg Config, opts Options, work func(ctx context.Context, w Work) error) (*Queue, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring queue: %w", err)
	}
	q := &Queue{cfg: cfg, log: opts.Log, ledger: l, metrics: newMetrics(opts.Registerer), work: work, patience: patience}
	q.slots, q.draining = newSlots(cfg.Workers, cfg.ReservedWorkers, cfg.BackfillWorkers), make(chan struct{})
	if q.log == nil {
		q.log = slog.New(slog.DiscardHandler)
	}
	q.shares = newShares(opts, q.slots, q.log)
	var driver riverdriver.Driver[*sql.Tx] = riverdatabasesql.New(l.SQL())
	if l.Dialect() == ledger.SQLite {
		driver = newSQLiteDriver(l)
	}
	logger := slog.New(&errorsOnly{q.log.Handler()})
	if err := migrate(driver, l, logger); err != nil {
		return nil, err
	}
	var err error
	if q.client, err = river.NewClient(driver, q.riverConfig(logger)); err != nil {
		return nil, fmt.Errorf("configuring queue: %w", err)
	}
	q.intake = ledger.NewGroup(l, "accept", q.accept)
	l.WatchWaiting(q.waiting)
	return q, nil
}

func migrate(driver riverdriver.Driver[*sql.Tx], l *ledger.Ledger, logger *slog.Logger) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: logger})
	if err != nil {
		return fmt.Errorf("bringing the queue's schema up to date: %w", err)
	}
	if _, err := m.Migrate(context.Background(), rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("bringing the queue's schema up to date: %w", err)
	}
	// All jobs are of one kind; an index over it only costs.
	if _, err := l.SQL().ExecContext(context.Background(), "DROP INDEX IF EXISTS river_job_kind"); err != nil {
		return fmt.Errorf("bringing the queue's schema up to date: %w", err)
	}
	return nil
}

func (q *Queue) riverConfig(logger *slog.Logger) *river.Config {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{q: q})
	conf := &river.Config{
		ID:                q.ledger.Replica(),
		Logger:            logger,
		Workers:           workers,
		Queues:            q.queues(),
		Hooks:             hooks(),
		MaxAttempts:       q.cfg.MaxAttempts,
		RetryPolicy:       &backoff{base: q.cfg.RetryBase, limit: q.cfg.RetryMax},
		PollOnly:          true,
		FetchCooldown:     min(fetchCooldown, q.cfg.PollInterval),
		FetchPollInterval: q.cfg.PollInterval,
		// The worker sets its own deadline; the library's would cost a goroutine and a timer per job.
		JobTimeout:                  -1,
		RescueStuckJobsAfter:        q.cfg.Timeout + time.Minute,
		CompletedJobRetentionPeriod: completedFor,
	}
	if q.ledger.Dialect() == ledger.SQLite {
		conf.ReindexerSchedule = never{} // would stop all writing, for no gain
	}
	return conf
}

func (q *Queue) queues() map[string]river.QueueConfig {
	queues := make(map[string]river.QueueConfig, len(lanes))
	for i, l := range lanes {
		queues[l.queue] = river.QueueConfig{MaxWorkers: fetchAhead * q.slots.limit[i]}
	}
	// Backfill can wait to be noticed; to look for it often would only cost.
	backfill := queues[lanes[lowest].queue]
	backfill.FetchPollInterval = max(q.cfg.PollInterval, backfillPoll)
	queues[lanes[lowest].queue] = backfill
	return queues
}

const (
	// backfillPoll is how often the last lane is looked at when nothing of it is being done.
	backfillPoll = 250 * time.Millisecond
	// fetchCooldown is the shortest pause between two fetches. Each is a transaction, so a fetch should find several jobs.
	fetchCooldown = 5 * time.Millisecond
	// fetchAhead is how many times more events are fetched than worked on, so that workers need not wait for a fetch.
	fetchAhead = 2
	// completedFor is how long finished jobs are kept; the ledger's own tables remember what matters.
	completedFor = time.Minute
	// roundInterval is the pause between looks at the backlog and at other replicas.
	roundInterval = 5 * time.Second
)

type never struct{}

func (never) Next(t time.Time) time.Time { return t.AddDate(100, 0, 0) }

// Start begins to work; call it once. Work that an earlier run of this replica was killed in is taken up at once. Start returns when
// workers are running; ctx is for starting only.
func (q *Queue) Start(ctx context.Context) error {
	if err := q.release(ctx); err != nil {
		return fmt.Errorf("starting queue: %w", err)
	}
	if err := q.count(ctx); err != nil {
		return fmt.Errorf("starting queue: %w", err)
	}
	if err := q.ledger.Ping(ctx); err != nil { // a sign of life before the first job
		return fmt.Errorf("starting queue: %w", err)
	}
	running := context.WithoutCancel(ctx)
	if err := q.client.Start(running); err != nil {
		return fmt.Errorf("starting queue: %w", err)
	}
	running, q.cancel = context.WithCancel(running)
	q.rounds.Go(func() { q.makeRounds(running) })
	return nil
}

// Stop lets running work end, for at most Config.Drain or until ctx ends, then interrupts it; interrupted work is tried
// again at the next start. Accept still works afterwards, until the ledger is closed; a stopped queue cannot be started
// again.
func (q *Queue) Stop(ctx context.Context) error {
	if q.cancel == nil {
		return nil
	}
	q.cancel()
	q.cancel = nil
	q.rounds.Wait()
	close(q.draining)
	drain, cancel := context.WithTimeout(ctx, q.cfg.Drain)
	defer cancel()
	err := q.client.Stop(drain)
	if err == nil {
		return nil
	}
	q.stopping.Store(true)
	hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), hardStop)
	defer cancel()
	if err := q.client.StopAndCancel(hard); err != nil {
		return fmt.Errorf("stopping queue: work does not end though it was interrupted: %w", err)
	}
	return nil
}

// hardStop bounds how long interrupted work may take to return.
const hardStop = 10 * time.Second

func (q *Queue) makeRounds(ctx context.Context) {
	t := time.NewTicker(roundInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if err := errors.Join(q.count(ctx), q.rescue(ctx)); err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "looking after the queue failed", slog.Any("error", err))
		}
	}
}
