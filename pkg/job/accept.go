package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// Accept stores the event and its work durably, together with what other callers bring at the same moment. An event with
// the key of one whose work has not started is recorded as a duplicate and causes no work of its own: the work to come
// will look at the artifact after this call. On any error, also ErrFull, the event may not be stored, and the sender
// must be told to try again.
func (q *Queue) Accept(ctx context.Context, e ledger.Event) error {
	if q.depth.Load() > int64(q.cfg.MaxBacklog) {
		return fmt.Errorf("accepting event: backlog: %w", ErrFull)
	}
	if err := q.intake.Do(ctx, &e); err != nil {
		return fmt.Errorf("accepting event: %w", err)
	}
	return nil
}

// recent is how many of a place's newest events are looked at for a duplicate and for waiting work.
const recent = "8"

// openJob finds the job of a recent event of a place. $1 to $3 are repo, path, instance.
const openJob = `SELECT j.id, j.state FROM (SELECT id, key FROM event WHERE repo = $1 AND path = $2 AND instance = $3 ORDER BY id DESC LIMIT ` + recent + `) e
	JOIN river_job j ON j.id = e.id WHERE `

const (
	notStarted = openJob + `j.state = 'available' AND e.key = $4 LIMIT 1`
	notEnded   = openJob + `j.state IN ('available', 'running', 'retryable', 'scheduled', 'pending') ORDER BY j.id DESC LIMIT 1`
)

func (q *Queue) accept(ctx context.Context, tx *sql.Tx, events []*ledger.Event) error {
	q.metrics.batch.Observe(float64(len(events)))
	id, err := ledger.Numbers(ctx, tx, "event", len(events))
	if err != nil {
		return err
	}
	jobs := make([]river.InsertManyParams, 0, len(events))
	fresh := make(map[task]int64, len(events))
	for i, e := range events {
		of := task{Instance: e.Instance, Repo: e.Repo, Path: e.Path, Key: e.Key}
		original, err := q.original(ctx, tx, of, fresh)
		if err != nil {
			return err
		}
		e.ID, e.Outcome = original, ledger.EventDuplicate
		if original == 0 {
			e.ID, e.Outcome = id+int64(i), ledger.EventAccepted
			fresh[of] = e.ID
			jobs = append(jobs, river.InsertManyParams{Args: taskArgs{*e}})
		}
		if err := ledger.InsertEvent(ctx, tx, e); err != nil {
			return err
		}
	}
	return q.insert(ctx, tx, jobs)
}

func (q *Queue) insert(ctx context.Context, tx *sql.Tx, jobs []river.InsertManyParams) error {
	if len(jobs) == 0 {
		return nil
	}
	if q.ledger.Dialect() == ledger.SQLite {
		return insertJobs(ctx, tx, jobs, q.cfg.MaxAttempts)
	}
	if _, err := q.client.InsertManyTx(ctx, tx, jobs); err != nil {
		return fmt.Errorf("storing work: %w", err)
	}
	return nil
}

// task is what two events must have in common for the one work to serve both.
type task struct{ Instance, Repo, Path, Key string }

// original returns the number of the event that this one repeats, or 0. What it finds waiting may be started by another
// process at this very moment; that is harmless, because it starts after this event had arrived.
func (q *Queue) original(ctx context.Context, tx *sql.Tx, t task, fresh map[task]int64) (int64, error) {
	if id, ok := fresh[t]; ok {
		return id, nil
	}
	var id int64
	var state string
	err := tx.QueryRowContext(ctx, notStarted, t.Repo, t.Path, t.Instance, t.Key).Scan(&id, &state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("looking for a duplicate: %w", err)
	}
	return id, nil
}

// waiting returns the number of a recent event whose work has not ended, or 0, and whether that work has begun.
func (q *Queue) waiting(ctx context.Context, ref artifact.Ref) (event int64, begun bool, err error) {
	var state string
	err = q.ledger.Reader().QueryRowContext(ctx, notEnded, ref.Repo, ref.Path, ref.Instance).Scan(&event, &state)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("looking for waiting work: %w", err)
	}
	return event, state == string(rivertype.JobStateRunning), nil
}

// taskArgs is what a job carries: the whole event, so that a worker needs no look at the ledger to begin.
type taskArgs struct{ ledger.Event }

// Kind implements river.JobArgs.
func (taskArgs) Kind() string { return "event" }

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
