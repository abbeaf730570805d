package job

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// MaxBatch is how many events AcceptMany takes at once: as many as everybody else's writes can wait for.
const MaxBatch = 1000

// Accept stores the event and its work durably, together with what other callers bring at the same moment. An event with
// the key of one whose work has not started is recorded as a duplicate and causes no work of its own: the work to come
// will look at the artifact after this call. It waits in the better of the two events' lanes. On any error, also
// ErrFull, the event may not be stored, and the sender must be told to try again.
func (q *Queue) Accept(ctx context.Context, e ledger.Event) error {
	return q.AcceptMany(ctx, []ledger.Event{e})
}

// AcceptMany is Accept for up to MaxBatch events that belong together: all are stored, or none is. Who has more brings
// them in pages; a page that is brought again joins the work that waits. Many callers that bring one event each need it
// not: they share their transactions anyway. A lane is full when it and those before it
// hold Config.MaxBacklog events, so that what comes in bulk never turns away what cannot wait.
func (q *Queue) AcceptMany(ctx context.Context, events []ledger.Event) error {
	if len(events) == 0 {
		return nil
	}
	if len(events) > MaxBatch {
		return fmt.Errorf("accepting events: %d are too many at once, the limit is %d", len(events), MaxBatch)
	}
	many := make([]*ledger.Event, len(events))
	for i, e := range events {
		if e.Lane == "" {
			e.Lane = Upload
		}
		if !slices.Contains(Lanes(), e.Lane) {
			return fmt.Errorf("accepting event: there is no lane %q; there are %q", e.Lane, Lanes())
		}
		if q.backlog(rankOf(e.Lane)) > int64(q.cfg.MaxBacklog) {
			return fmt.Errorf("accepting event: backlog: %w", ErrFull)
		}
		many[i] = &e
	}
	if err := q.intake.Do(ctx, many); err != nil {
		return fmt.Errorf("accepting event: %w", err)
	}
	return nil
}

// backlog is how many events wait in a lane and those before it, as last counted.
func (q *Queue) backlog(r rank) (n int64) {
	for i := range r + 1 {
		n += q.depth[i].Load()
	}
	return n
}

func (q *Queue) accept(ctx context.Context, tx *sql.Tx, batches [][]*ledger.Event) error {
	events := slices.Concat(batches...)
	q.metrics.batch.Observe(float64(len(events)))
	id, err := ledger.Numbers(ctx, tx, "event", len(events))
	if err != nil {
		return err
	}
	c := &coalescer{tx: tx, fresh: make(map[task]int, len(events))}
	for i, e := range events {
		original, err := c.join(ctx, e)
		if err != nil {
			return err
		}
		e.ID, e.Outcome = original, ledger.EventDuplicate
		if original == 0 {
			e.ID, e.Outcome = id+int64(i), ledger.EventAccepted
			c.add(e)
		}
		if err := ledger.InsertEvent(ctx, tx, e); err != nil {
			return err
		}
	}
	return q.insert(ctx, tx, c.jobs)
}

func (q *Queue) insert(ctx context.Context, tx *sql.Tx, jobs []taskArgs) error {
	if len(jobs) == 0 {
		return nil
	}
	if q.ledger.Dialect() == ledger.SQLite {
		return insertJobs(ctx, tx, jobs, q.cfg.MaxAttempts)
	}
	params := make([]river.InsertManyParams, len(jobs))
	for i, j := range jobs {
		params[i].Args = j
	}
	if _, err := q.client.InsertManyTx(ctx, tx, params); err != nil {
		return fmt.Errorf("storing work: %w", err)
	}
	return nil
}

// taskArgs is what a job carries: the whole event, so that a worker needs no look at the ledger to begin.
type taskArgs struct{ ledger.Event }

// Kind implements river.JobArgs.
func (taskArgs) Kind() string { return "event" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a taskArgs) InsertOpts() river.InsertOpts { return river.InsertOpts{Queue: a.queue()} }

func (a taskArgs) queue() string { return lanes[rankOf(a.Lane)].queue }

// numbering gives a job the number of its event. Numbers are never used twice, while those of SQLite's own making are
// when the newest jobs have been cleaned away.
type numbering struct{ river.HookDefaults }

// InsertBegin implements rivertype.HookInsertBegin.
func (*numbering) InsertBegin(_ context.Context, p *rivertype.JobInsertParams) error {
	args, ok := p.Args.(taskArgs)
	if !ok {
		return fmt.Errorf("job of kind %q is not ours", p.Kind)
	}
	p.ID = &args.ID
	return nil
}

func hooks() []rivertype.Hook { return []rivertype.Hook{&numbering{}} }
