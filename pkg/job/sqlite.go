package job

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// sqliteDriver is River's driver for SQLite with its statements per job made cheap. The original handles one row at a
// time and reads every column back, which costs more than all the rest that the ledger does for a signature. Here
// fetching and completing take part in the ledger's group commit, and a completed job is deleted at once instead of
// being kept and cleaned away later. Everything else is the original's. The interface is River's own and changes with
// its version; the conformance suite runs against it.
type sqliteDriver struct {
	*riversqlite.Driver
	fetches     *ledger.Group[*fetch]
	completions *ledger.Group[[]int64]
}

func newSQLiteDriver(l *ledger.Ledger) *sqliteDriver {
	return &sqliteDriver{
		Driver:      riversqlite.New(l.SQL()),
		fetches:     ledger.NewGroup(l, "fetch", applyFetches),
		completions: ledger.NewGroup(l, "complete", applyCompletions),
	}
}

// GetExecutor implements riverdriver.Driver.
func (d *sqliteDriver) GetExecutor() riverdriver.Executor {
	return &sqliteExecutor{Executor: d.Driver.GetExecutor(), driver: d}
}

type sqliteExecutor struct {
	riverdriver.Executor
	driver *sqliteDriver
}

// JobGetAvailable implements riverdriver.Executor.
func (e *sqliteExecutor) JobGetAvailable(ctx context.Context, p *riverdriver.JobGetAvailableParams) ([]*rivertype.JobRow, error) {
	f := &fetch{queue: p.Queue, limit: p.MaxToLock}
	if err := e.driver.fetches.Do(ctx, f); err != nil {
		return nil, err
	}
	return f.rows, nil
}

// JobSetStateIfRunningMany implements riverdriver.Executor. Only plain completions are ours.
func (e *sqliteExecutor) JobSetStateIfRunningMany(ctx context.Context, p *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	rows := make([]*rivertype.JobRow, 0, len(p.ID))
	completed := make([]int64, 0, len(p.ID))
	rest := &riverdriver.JobSetStateIfRunningManyParams{Now: p.Now, Schema: p.Schema}
	for i, id := range p.ID {
		if p.State[i] == rivertype.JobStateCompleted && !p.MetadataDoMerge[i] {
			completed = append(completed, id)
			rows = append(rows, &rivertype.JobRow{ID: id, Kind: taskArgs{}.Kind(), Queue: river.QueueDefault, State: rivertype.JobStateCompleted, FinalizedAt: p.FinalizedAt[i]})
			continue
		}
		rest.ID = append(rest.ID, id)
		rest.Attempt = append(rest.Attempt, p.Attempt[i])
		rest.ErrData = append(rest.ErrData, p.ErrData[i])
		rest.FinalizedAt = append(rest.FinalizedAt, p.FinalizedAt[i])
		rest.MetadataDoMerge = append(rest.MetadataDoMerge, p.MetadataDoMerge[i])
		rest.MetadataUpdates = append(rest.MetadataUpdates, p.MetadataUpdates[i])
		rest.ScheduledAt = append(rest.ScheduledAt, p.ScheduledAt[i])
		rest.State = append(rest.State, p.State[i])
	}
	if len(completed) > 0 {
		if err := e.driver.completions.Do(ctx, completed); err != nil {
			return nil, err
		}
	}
	if len(rest.ID) > 0 {
		others, err := e.Executor.JobSetStateIfRunningMany(ctx, rest)
		if err != nil {
			return nil, err
		}
		rows = append(rows, others...)
	}
	return rows, nil
}

// sqliteTime is the only form in which times may be stored in River's tables: it is compared as text.
const sqliteTime = "2006-01-02 15:04:05.999"

// insertJobs stores jobs that are due now.
func insertJobs(ctx context.Context, tx *sql.Tx, jobs []taskArgs, maxAttempts int) error {
	now := time.Now().UTC().Format(sqliteTime)
	for _, j := range jobs {
		args, err := json.Marshal(j)
		if err != nil {
			return fmt.Errorf("storing work: %w", err)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO river_job (id, args, created_at, kind, max_attempts, metadata, priority, queue, scheduled_at, state, tags)
			VALUES ($1, $2, $3, $4, $5, '{}', $6, $7, $3, 'available', '[]')`,
			j.ID, args, now, j.Kind(), maxAttempts, river.PriorityDefault, j.queue())
		if err != nil {
			return fmt.Errorf("storing work: %w", err)
		}
	}
	return nil
}

type fetch struct {
	queue string
	limit int
	rows  []*rivertype.JobRow
}

func applyFetches(ctx context.Context, tx *sql.Tx, fetches []*fetch) error {
	for _, f := range fetches {
		f.rows = nil
		if err := f.apply(ctx, tx); err != nil {
			return fmt.Errorf("fetching work: %w", err)
		}
	}
	return nil
}

func (f *fetch) apply(ctx context.Context, tx *sql.Tx) error {
	now := time.Now().UTC()
	if err := f.due(ctx, tx, now); err != nil || len(f.rows) == 0 {
		return err
	}
	ids := make([]int64, len(f.rows))
	for i, row := range f.rows {
		ids[i] = row.ID
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	// Two statements, because SQLite buffers what RETURNING returns and that is dearer than reading first. Nobody else
	// writes between them.
	_, err = tx.ExecContext(ctx, `UPDATE river_job SET state = 'running', attempt = attempt + 1, attempted_at = $1
		WHERE id IN (SELECT value FROM json_each($2))`, now.Format(sqliteTime), string(list))
	return err
}

func (f *fetch) due(ctx context.Context, tx *sql.Tx, now time.Time) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, args, attempt, max_attempts, metadata, errors FROM river_job
		WHERE state = 'available' AND queue = $1 AND priority >= 0 AND scheduled_at <= $2
		ORDER BY priority, scheduled_at, id LIMIT $3`, f.queue, now.Format(sqliteTime), f.limit)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		row := &rivertype.JobRow{
			Kind: taskArgs{}.Kind(), Queue: f.queue, State: rivertype.JobStateRunning, Priority: river.PriorityDefault,
			AttemptedAt: &now, CreatedAt: now, ScheduledAt: now,
		}
		var failures []byte
		if err := rows.Scan(&row.ID, &row.EncodedArgs, &row.Attempt, &row.MaxAttempts, &row.Metadata, &failures); err != nil {
			return err
		}
		row.Attempt++
		if failures != nil {
			if err := json.Unmarshal(failures, &row.Errors); err != nil {
				return err
			}
		}
		f.rows = append(f.rows, row)
	}
	return rows.Err()
}

func applyCompletions(ctx context.Context, tx *sql.Tx, completions [][]int64) error {
	for _, ids := range completions {
		list, err := json.Marshal(ids)
		if err != nil {
			return fmt.Errorf("completing work: %w", err)
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM river_job WHERE id IN (SELECT value FROM json_each($1)) AND state = 'running'`, string(list))
		if err != nil {
			return fmt.Errorf("completing work: %w", err)
		}
	}
	return nil
}
