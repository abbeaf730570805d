package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// CommitPhase tells a CommitHook where it is called.
type CommitPhase int

// The phases. A hook's error at BeforeCommit rolls the transaction back; at AfterCommit the writes are durable and the
// callers are told the error all the same, as when the connection breaks during the commit.
const (
	BeforeCommit CommitPhase = iota
	AfterCommit
)

// batchMax bounds how many writes of one kind share a transaction, so that nobody waits long behind a burst.
const batchMax = 512

// committer gathers what concurrent callers want to write into one transaction at a time. It never waits for company:
// when idle it commits at once, and what arrives during a commit goes into the next.
type committer struct {
	db      *sql.DB
	hook    func(CommitPhase) error
	log     *slog.Logger
	metrics *metrics

	mu      sync.Mutex
	wake    chan struct{}
	queues  []queue
	stopped bool
	done    chan struct{}
}

// queue is one kind of write waiting to be taken. take is called with the committer's lock held.
type queue interface{ take(limit int) batch }

// batch is some writes of one kind. A nil batch has nothing to do.
type batch interface {
	size() int
	apply(ctx context.Context, tx *sql.Tx) error
	split() []batch
	finish(err error)
}

func newCommitter(db *sql.DB, hook func(CommitPhase) error, log *slog.Logger, m *metrics) *committer {
	if hook == nil {
		hook = func(CommitPhase) error { return nil }
	}
	return &committer{db: db, hook: hook, log: log, metrics: m, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

func (c *committer) start() { go c.run() }

// stop refuses new writes and returns when those that were accepted have ended.
func (c *committer) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.signal()
	<-c.done
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *committer) run() {
	defer close(c.done)
	for {
		batches, stopped := c.gather()
		if len(batches) > 0 {
			c.write(context.Background(), batches)
			continue
		}
		if stopped {
			return
		}
		<-c.wake
	}
}

func (c *committer) gather() (batches []batch, stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range c.queues {
		if b := q.take(batchMax); b != nil {
			batches = append(batches, b)
		}
	}
	return batches, c.stopped
}

// write puts all batches into one transaction. When a write is at fault (not the database), each is tried again alone,
// so that one bad write does not fail its neighbours.
func (c *committer) write(ctx context.Context, batches []batch) {
	started := time.Now()
	n := 0
	for _, b := range batches {
		n += b.size()
	}
	bad, err := c.transact(ctx, batches)
	c.metrics.observe(n, time.Since(started), err)
	if err == nil || !bad || n == 1 {
		for _, b := range batches {
			b.finish(err)
		}
		return
	}
	c.log.WarnContext(ctx, "a write failed; trying each of its batch alone", slog.Int("writes", n), slog.Any("error", err))
	for _, b := range batches {
		for _, one := range b.split() {
			_, err := c.transact(ctx, []batch{one})
			one.finish(err)
		}
	}
}

// transact reports with bad whether the error came from applying a write.
func (c *committer) transact(ctx context.Context, batches []batch) (bad bool, err error) {
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // after a commit that went through this does nothing
		}
	}()
	for _, b := range batches {
		if err := b.apply(ctx, tx); err != nil {
			return true, err
		}
	}
	if err := c.hook(BeforeCommit); err != nil {
		return false, fmt.Errorf("committing: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return false, fmt.Errorf("committing: %w", err)
	}
	if err := c.hook(AfterCommit); err != nil {
		return false, fmt.Errorf("committing: %w", err)
	}
	return false, nil
}
