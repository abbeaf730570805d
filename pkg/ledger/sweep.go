package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// ErrSweeping means that a sweep of this kind and place has not ended yet.
var ErrSweeping = errors.New("the same sweep is under way")

// The states of a sweep.
const (
	SweepWaiting = "waiting"
	SweepRunning = "running"
	SweepDone    = "done"
)

// Sweep is one comparison of a repository with the ledger. There is one row for each instance, repository, prefix and
// kind: its newest run.
type Sweep struct {
	ID       int64 // of the run
	Instance string
	Repo     string
	Prefix   string
	Kind     string
	Caller   string
	Rate     int64     // hints a second; 0: no limit
	Since    time.Time // zero: everything
	Until    time.Time
	State    string

	At        time.Time // position: what lies up to At and Path has been compared
	Path      string
	SeenUntil time.Time // of all runs of this kind: everything up to it has been compared

	RequestedAt, StartedAt, FinishedAt time.Time

	Items    int64
	Repaired int64
	Lost     int64
	Findings map[string]int64
	Problem  string // why it does not get on, the last time it did not
}

// Finding is what a sweep has to say about one file.
type Finding struct {
	Path     string
	Name     string
	Repaired bool // work was ordered that repairs it
	Reasons  []reason.Reason
}

// sweepWrite is one change to the tables of sweeps.
type sweepWrite func(ctx context.Context, tx *sql.Tx) error

func applySweeps(ctx context.Context, tx *sql.Tx, writes []sweepWrite) error {
	for _, w := range writes {
		if err := w(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// RequestSweep records a run that is to begin, in place of the last one of its kind, from which it inherits only
// SeenUntil. The run under way is returned with ErrSweeping when there is one.
func (l *Ledger) RequestSweep(ctx context.Context, s Sweep) (Sweep, error) {
	var result Sweep
	var under error
	err := l.sweeps.Do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		result, under = s, nil
		old, err := scanSweep(tx.QueryRowContext(ctx, sweepSelect+` WHERE instance = $1 AND repo = $2 AND prefix = $3 AND kind = $4`,
			s.Instance, s.Repo, s.Prefix, s.Kind))
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		case old.State != SweepDone:
			result, under = old, ErrSweeping
			return nil
		}
		if result.ID, err = Numbers(ctx, tx, "sweep", 1); err != nil {
			return err
		}
		result.State, result.SeenUntil = SweepWaiting, old.SeenUntil
		if result.RequestedAt.IsZero() {
			result.RequestedAt = time.Now()
		}
		if old.ID != 0 {
			if _, err := tx.ExecContext(ctx, `DELETE FROM finding WHERE sweep_id = $1`, old.ID); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM sweep WHERE id = $1`, old.ID); err != nil {
				return err
			}
		}
		return insertSweep(ctx, tx, result)
	})
	if err != nil {
		return Sweep{}, err
	}
	return result, under
}

// SaveSweep records how far a run has come and what it found since it was saved last.
func (l *Ledger) SaveSweep(ctx context.Context, s Sweep, found []Finding) error {
	return l.sweeps.Do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		findings, err := json.Marshal(s.Findings)
		if err != nil {
			return fmt.Errorf("recording the sweep: %w", err)
		}
		_, err = tx.ExecContext(ctx, `UPDATE sweep SET state = $1, until = $2, at = $3, path = $4, seen_until = $5, started_at = $6,
			finished_at = $7, items = $8, repaired = $9, lost = $10, findings = $11, problem = $12, since = $13 WHERE id = $14`,
			s.State, micros(s.Until), micros(s.At), s.Path, micros(s.SeenUntil), micros(s.StartedAt), micros(s.FinishedAt),
			s.Items, s.Repaired, s.Lost, string(findings), s.Problem, micros(s.Since), s.ID)
		if err != nil {
			return fmt.Errorf("recording the sweep: %w", err)
		}
		for _, f := range found {
			reasons, err := text(f.Reasons)
			if err != nil {
				return fmt.Errorf("recording a finding: %w", err)
			}
			repaired := 0
			if f.Repaired {
				repaired = 1
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO finding (sweep_id, path, name, repaired, reasons) VALUES ($1, $2, $3, $4, $5)`,
				s.ID, f.Path, f.Name, repaired, reasons)
			if err != nil {
				return fmt.Errorf("recording a finding: %w", err)
			}
		}
		return nil
	})
}

// Sweeps returns the newest run of every kind and place, in the order in which they were requested.
func (l *Ledger) Sweeps(ctx context.Context) (all []Sweep, err error) {
	rows, err := l.read.QueryContext(ctx, sweepSelect+` ORDER BY requested_at, id`)
	if err != nil {
		return nil, fmt.Errorf("reading sweeps: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		s, err := scanSweep(rows)
		if err != nil {
			return nil, fmt.Errorf("reading sweeps: %w", err)
		}
		all = append(all, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading sweeps: %w", err)
	}
	return all, nil
}

// Findings returns what a run recorded, in order of path, at most limit.
func (l *Ledger) Findings(ctx context.Context, sweep int64, limit int) (all []Finding, err error) {
	rows, err := l.read.QueryContext(ctx, `SELECT path, name, repaired, reasons FROM finding WHERE sweep_id = $1 ORDER BY path, name LIMIT $2`, sweep, limit)
	if err != nil {
		return nil, fmt.Errorf("reading findings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var f Finding
		var repaired int
		var reasons string
		if err := rows.Scan(&f.Path, &f.Name, &repaired, &reasons); err != nil {
			return nil, fmt.Errorf("reading findings: %w", err)
		}
		f.Repaired = repaired != 0
		if f.Reasons, err = list[reason.Reason](reasons); err != nil {
			return nil, fmt.Errorf("reading findings: %w", err)
		}
		all = append(all, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading findings: %w", err)
	}
	return all, nil
}

const sweepColumns = `id, instance, repo, prefix, kind, caller, rate, since, until, state, at, path, seen_until,
	requested_at, started_at, finished_at, items, repaired, lost, findings, problem`

const sweepSelect = `SELECT ` + sweepColumns + ` FROM sweep`

func insertSweep(ctx context.Context, tx *sql.Tx, s Sweep) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO sweep (`+sweepColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', $11, $12, 0, 0, 0, 0, 0, '{}', '')`,
		s.ID, s.Instance, s.Repo, s.Prefix, s.Kind, s.Caller, s.Rate, micros(s.Since), micros(s.Until), s.State, micros(s.SeenUntil), micros(s.RequestedAt))
	if err != nil {
		return fmt.Errorf("recording the sweep: %w", err)
	}
	return nil
}

func scanSweep(row interface{ Scan(...any) error }) (s Sweep, err error) {
	var since, until, at, seen, requested, started, finished int64
	var findings string
	err = row.Scan(&s.ID, &s.Instance, &s.Repo, &s.Prefix, &s.Kind, &s.Caller, &s.Rate, &since, &until, &s.State, &at, &s.Path, &seen,
		&requested, &started, &finished, &s.Items, &s.Repaired, &s.Lost, &findings, &s.Problem)
	if err != nil {
		return Sweep{}, err
	}
	s.Since, s.Until, s.At, s.SeenUntil = fromMicros(since), fromMicros(until), fromMicros(at), fromMicros(seen)
	s.RequestedAt, s.StartedAt, s.FinishedAt = fromMicros(requested), fromMicros(started), fromMicros(finished)
	return s, json.Unmarshal([]byte(findings), &s.Findings)
}
