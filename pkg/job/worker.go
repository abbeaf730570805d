package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// How an attempt ended, as it stands in logs and metrics.
const (
	outcomeDone        = "done"
	outcomeRetry       = "retry"
	outcomeLater       = "later"
	outcomeFailed      = "failed"
	outcomeInterrupted = "interrupted"
)

// patience is how long work that was fetched ahead waits for a place before it goes back. It must end before the library
// takes the work for stuck; and work that went back can move up.
const patience = 30 * time.Second

type worker struct {
	river.WorkerDefaults[taskArgs]
	q *Queue
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, j *river.Job[taskArgs]) error {
	r := rankOfQueue(j.Queue) // it may have moved up since it was stored
	back, ok := w.q.shares.enter(j.Args.Instance, r, w.q.draining)
	if !ok {
		return river.JobSnooze(back)
	}
	outcome := ""
	var err error
	defer func() { w.q.shares.leave(j.Args.Instance, r, outcome, err) }()
	if !w.q.slots.take(r, w.q.draining, w.q.patience) {
		return river.JobSnooze(0) // fetched ahead and not begun: it goes back
	}
	defer w.q.slots.give(r)
	j.Args.Lane = lanes[r].name
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, w.q.cfg.Timeout)
	defer cancel()
	said := &notes{}
	err = w.q.attempt(context.WithValue(ctx, notesKey{}, said), Work{Event: j.Args.Event, Attempt: j.Attempt})
	var verdict error
	outcome, verdict = w.q.judge(j.JobRow, err)
	w.q.metrics.ended[outcome].Inc()
	w.q.report(ctx, j, outcome, time.Since(started), said, err)
	return verdict
}

func (q *Queue) attempt(ctx context.Context, w Work) (err error) {
	defer func() {
		if p := recover(); p != nil {
			q.log.ErrorContext(ctx, "work panicked", slog.Int64("job", w.Event.ID), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("work panicked: %v", p)
		}
	}()
	return q.work(ctx, w)
}

// judge turns the result of an attempt into the library's terms.
func (q *Queue) judge(row *rivertype.JobRow, err error) (outcome string, verdict error) {
	var perm *permanent
	var later *after
	switch {
	case err == nil:
		return outcomeDone, nil
	case q.stopping.Load():
		return outcomeInterrupted, river.JobSnooze(0)
	case errors.As(err, &perm):
		return outcomeFailed, river.JobCancel(err)
	case errors.As(err, &later):
		return outcomeLater, river.JobSnooze(later.wait)
	case row.Attempt >= row.MaxAttempts:
		return outcomeFailed, err
	default:
		return outcomeRetry, err
	}
}

func (q *Queue) report(ctx context.Context, j *river.Job[taskArgs], outcome string, took time.Duration, said *notes, err error) {
	level := slog.LevelInfo
	attrs := append([]slog.Attr{
		slog.Int64("job", j.ID), slog.String("instance", j.Args.Instance), slog.String("repo", j.Args.Repo), slog.String("path", j.Args.Path),
		slog.String("lane", string(j.Args.Lane)), slog.String("outcome", outcome), slog.Duration("took", took), slog.Int("attempt", j.Attempt),
	}, said.attrs...)
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
		if outcome == outcomeFailed || outcome == outcomeRetry {
			level = slog.LevelWarn
		}
	}
	q.log.LogAttrs(ctx, level, "job", attrs...)
}

// backoff doubles the pause with every failed attempt and spreads it by a quarter to either side.
type backoff struct{ base, limit time.Duration }

// NextRetry implements river.ClientRetryPolicy.
func (b *backoff) NextRetry(row *rivertype.JobRow) time.Time {
	pause := b.limit
	if n := len(row.Errors); n < 30 && b.base<<n < b.limit && b.base<<n > 0 {
		pause = b.base << n
	}
	return time.Now().UTC().Add(pause*3/4 + rand.N(pause/2+1)) // #nosec G404 -- spreading load needs no secret
}

// errorsOnly lets the library's errors through to our log and nothing else; what happens to jobs is logged here.
type errorsOnly struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h *errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h *errorsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &errorsOnly{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *errorsOnly) WithGroup(name string) slog.Handler {
	return &errorsOnly{h.Handler.WithGroup(name)}
}
