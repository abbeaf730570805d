// Package ledger is the product's memory: events that arrived, intents to use a key, signatures that were made, how
// each artifact ended, and what the gate said. The same SQL runs on SQLite (embedded, one process) and PostgreSQL (many
// replicas).
//
// Every write is durable when its call returns nil, survives the loss of power, and shares its transaction with
// whatever other writes waited at the same moment (group commit), so a burst costs few flushes. Reads see everything
// whose write returned before the read began. All methods are safe for concurrent use.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrFull means that more writes wait than the ledger will hold; the caller should come back later.
var ErrFull = errors.New("ledger: too many writes are waiting")

// ErrClosed is returned by writes after Close.
var ErrClosed = errors.New("ledger: closed")

// Options are what a ledger is given by its process. All fields may be zero.
type Options struct {
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Ledger is an open database. Close it when done.
type Ledger struct {
	cfg     Config
	log     *slog.Logger
	dialect Dialect
	write   *sql.DB // SQLite: one connection, shared with the queue
	read    *sql.DB
	unlock  func() error
	commit  *committer
	waiting atomic.Pointer[Waiting]

	intents    *Group[*beginOp]
	sealings   *Group[*sealOp]
	renewals   *Group[*renewOp]
	abandoned  *Group[*abandonOp]
	outcomes   *Group[*Outcome]
	verdicts   *Group[*Verdict]
	promotions *Group[promotionOp]
	heartbeats *Group[time.Time]
	sweeps     *Group[sweepWrite]
	distrusts  *Group[*distrustOp]

	checkpoints  *Group[*checkpointOp]
	certificates *Group[*certificateOp]
	accounts     *Group[*Accounted]
	beliefs      *Group[[]Belief]
}

// Open connects, brings the schema up to date and releases the leases that an earlier run of the same replica left
// behind. An SQLite file belongs to one process at a time; a second Open fails and says who is in the way.
func Open(ctx context.Context, cfg Config, opts Options) (*Ledger, error) {
	l, err := open(ctx, cfg, opts)
	if err != nil {
		return nil, fmt.Errorf("opening ledger: %w", err)
	}
	if err := l.releaseLeases(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("opening ledger: %w", err), l.Close())
	}
	return l, nil
}

func open(ctx context.Context, cfg Config, opts Options) (_ *Ledger, err error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Ledger{cfg: cfg, log: opts.Log}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if err := l.connect(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.disconnect())
		}
	}()
	if err := migrate(ctx, l.write, l.dialect); err != nil {
		return nil, err
	}
	l.commit = newCommitter(l.write, cfg.CommitHook, l.log, newMetrics(opts.Registerer))
	l.intents = NewGroup(l, "begin", begin)
	l.sealings = NewGroup(l, "sealed", seal)
	l.renewals = NewGroup(l, "renew", renew)
	l.abandoned = NewGroup(l, "abandon", abandon)
	l.outcomes = NewGroup(l, "finish", finish)
	l.verdicts = NewGroup(l, "verdict", recordVerdicts)
	l.promotions = NewGroup(l, "promotion", writePromotions)
	l.heartbeats = NewGroup(l, "ping", heartbeat(cfg.Replica))
	l.sweeps = NewGroup(l, "sweep", applySweeps)
	l.distrusts = NewGroup(l, "distrust", distrust)
	l.checkpoints = NewGroup(l, "checkpoint", rememberCheckpoints)
	l.certificates = NewGroup(l, "certificate", noteCertificates)
	l.accounts = NewGroup(l, "account", account)
	l.beliefs = NewGroup(l, "belief", believe)
	l.commit.start()
	return l, nil
}

// Close waits for the writes under way, refuses new ones, and closes the connections. Stop the queue first.
func (l *Ledger) Close() error {
	l.commit.stop()
	return l.disconnect()
}

func (l *Ledger) disconnect() error {
	errs := []error{l.write.Close()}
	if l.read != l.write {
		errs = append(errs, l.read.Close())
	}
	if l.unlock != nil {
		errs = append(errs, l.unlock())
	}
	return errors.Join(errs...)
}

// SQL is the pool for writing. On SQLite it holds a single connection: whoever keeps a transaction open on it stops
// everybody else. It is there for the queue, which keeps its jobs in the same database.
func (l *Ledger) SQL() *sql.DB { return l.write }

// Reader is the pool for reading; on SQLite it cannot write.
func (l *Ledger) Reader() *sql.DB { return l.read }

// Dialect says which database this is.
func (l *Ledger) Dialect() Dialect { return l.dialect }

// Replica is the name under which this process holds leases and jobs.
func (l *Ledger) Replica() string { return l.cfg.Replica }

// Waiting returns the number of the newest event of an artifact whose work has not ended, or 0, and whether that work has
// begun. Only the queue knows.
type Waiting func(ctx context.Context, ref artifact.Ref) (event int64, begun bool, err error)

// WatchWaiting gives the ledger what Status asks about waiting work.
func (l *Ledger) WatchWaiting(w Waiting) { l.waiting.Store(&w) }

// Ping proves that the ledger can be written now, by writing.
func (l *Ledger) Ping(ctx context.Context) error {
	if err := l.heartbeats.Do(ctx, time.Now()); err != nil {
		return fmt.Errorf("writing to the ledger: %w", err)
	}
	return nil
}

func heartbeat(replica string) func(context.Context, *sql.Tx, []time.Time) error {
	return func(ctx context.Context, tx *sql.Tx, at []time.Time) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO replica (name, seen_at) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at`, replica, micros(at[len(at)-1]))
		return err
	}
}

// micros is how the ledger stores time: microseconds since 1970, UTC; the zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
