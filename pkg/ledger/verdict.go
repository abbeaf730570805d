package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Verdict is one answer of the gate.
type Verdict struct {
	Ref       artifact.Ref
	Target    artifact.Ref
	Subject   artifact.Digest
	Allow     bool
	Reasons   []reason.Reason
	PolicySet artifact.Digest
	At        time.Time // zero: now
	Caller    string
}

// RecordVerdict makes the gate's answer durable.
func (l *Ledger) RecordVerdict(ctx context.Context, v Verdict) error {
	if v.At.IsZero() {
		v.At = time.Now()
	}
	return l.verdicts.Do(ctx, &v)
}

func recordVerdicts(ctx context.Context, tx *sql.Tx, verdicts []*Verdict) error {
	for _, v := range verdicts {
		reasons, err := text(v.Reasons)
		if err != nil {
			return fmt.Errorf("recording the verdict: %w", err)
		}
		allow := 0
		if v.Allow {
			allow = 1
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO verdict (repo, path, instance, at, target_instance, target_repo, target_path, subject,
				allow, reasons, policy_set, caller)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			v.Ref.Repo, v.Ref.Path, v.Ref.Instance, micros(v.At), v.Target.Instance, v.Target.Repo, v.Target.Path,
			digestText(v.Subject), allow, reasons, digestText(v.PolicySet), v.Caller)
		if err != nil {
			return fmt.Errorf("recording the verdict: %w", err)
		}
	}
	return nil
}

// Verdicts returns the newest answers about an artifact, newest first.
func (l *Ledger) Verdicts(ctx context.Context, ref artifact.Ref, limit int) ([]Verdict, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT at, target_instance, target_repo, target_path, subject, allow, reasons, policy_set, caller
		FROM verdict WHERE repo = $1 AND path = $2 AND instance = $3 ORDER BY at DESC LIMIT $4`, ref.Repo, ref.Path, ref.Instance, limit)
	if err != nil {
		return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
	}
	defer func() { _ = rows.Close() }()
	var verdicts []Verdict
	for rows.Next() {
		v := Verdict{Ref: ref}
		var at int64
		var allow int
		var subject, set, reasons string
		if err := rows.Scan(&at, &v.Target.Instance, &v.Target.Repo, &v.Target.Path, &subject, &allow, &reasons, &set, &v.Caller); err != nil {
			return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
		}
		v.At, v.Allow = fromMicros(at), allow == 1
		if v.Subject, err = parseDigest(subject); err != nil {
			return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
		}
		if v.PolicySet, err = parseDigest(set); err != nil {
			return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
		}
		if v.Reasons, err = list[reason.Reason](reasons); err != nil {
			return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
		}
		verdicts = append(verdicts, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
	}
	return verdicts, nil
}
