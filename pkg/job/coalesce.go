package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/riverqueue/river/rivertype"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// recent is how many of a place's newest events are looked at for a duplicate and for waiting work.
const recent = "8"

// openJob finds the job of a recent event of a place. $1 to $3 are repo, path, instance.
const openJob = `SELECT j.id, j.state, j.queue FROM (SELECT id, key FROM event WHERE repo = $1 AND path = $2 AND instance = $3 ORDER BY id DESC LIMIT ` + recent + `) e
	JOIN river_job j ON j.id = e.id WHERE `

const (
	notStarted = openJob + `j.state = 'available' AND e.key = $4 LIMIT 1`
	notEnded   = openJob + `j.state IN ('available', 'running', 'retryable', 'scheduled', 'pending') ORDER BY j.id DESC LIMIT 1`
)

// task is what two events must have in common for the one work to serve both.
type task struct{ Instance, Repo, Path, Key string }

// coalescer joins the events of one transaction to work that waits, or gathers the work that they cause.
type coalescer struct {
	tx    *sql.Tx
	jobs  []taskArgs
	fresh map[task]int // index in jobs
}

func taskOf(e *ledger.Event) task {
	return task{Instance: e.Instance, Repo: e.Repo, Path: e.Path, Key: e.Key}
}

func (c *coalescer) add(e *ledger.Event) {
	c.fresh[taskOf(e)] = len(c.jobs)
	c.jobs = append(c.jobs, taskArgs{*e})
}

// join returns the number of the event that this one repeats, or 0, and moves the work of that one up to this one's
// lane when it waits in a later one. What it finds waiting may be started by another process at this very moment; that
// is harmless, because it starts after this event had arrived.
func (c *coalescer) join(ctx context.Context, e *ledger.Event) (original int64, err error) {
	if i, ok := c.fresh[taskOf(e)]; ok {
		if rankOf(e.Lane) < rankOf(c.jobs[i].Lane) {
			c.jobs[i].Lane = e.Lane
		}
		return c.jobs[i].ID, nil
	}
	var state, queue string
	err = c.tx.QueryRowContext(ctx, notStarted, e.Repo, e.Path, e.Instance, e.Key).Scan(&original, &state, &queue)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking for a duplicate: %w", err)
	}
	if rankOf(e.Lane) >= rankOfQueue(queue) {
		return original, nil
	}
	_, err = c.tx.ExecContext(ctx, `UPDATE river_job SET queue = $1 WHERE id = $2 AND state = 'available'`, lanes[rankOf(e.Lane)].queue, original)
	if err != nil {
		return 0, fmt.Errorf("moving a duplicate's work up: %w", err)
	}
	return original, nil
}

// waiting returns the number of a recent event whose work has not ended, or 0, and whether that work has begun.
func (q *Queue) waiting(ctx context.Context, ref artifact.Ref) (event int64, begun bool, err error) {
	var state, queue string
	err = q.ledger.Reader().QueryRowContext(ctx, notEnded, ref.Repo, ref.Path, ref.Instance).Scan(&event, &state, &queue)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("looking for waiting work: %w", err)
	}
	return event, state == string(rivertype.JobStateRunning), nil
}
