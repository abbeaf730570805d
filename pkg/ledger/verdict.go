package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
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
	Rule      string // places of the gate policies that guard the target; empty in older records
	Warnings  []reason.Reason
	Asked     *policy.Asked // what was decided on; nil when nothing was decided, and in records from before it was kept
}

// RecordVerdict makes the gate's answer durable.
func (l *Ledger) RecordVerdict(ctx context.Context, v Verdict) error {
	if v.At.IsZero() {
		v.At = time.Now()
	}
	return l.verdicts.Do(ctx, &v)
}

const insertVerdict = `INSERT INTO verdict (repo, path, instance, facts, facts_at, moment,
		at, target_instance, target_repo, target_path, subject, allow, reasons, policy_set, caller, rule, warnings)
	VALUES ($1, $2, $3, CASE WHEN $4 = '' OR ` + sameVerdict + ` IS NULL THEN $4 ELSE '' END, CASE WHEN $4 = '' THEN 0 ELSE COALESCE(` + sameVerdict + `, 0) END,
		$5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`

func recordVerdicts(ctx context.Context, tx *sql.Tx, verdicts []*Verdict) error {
	for _, v := range verdicts {
		reasons, err := text(v.Reasons)
		if err != nil {
			return fmt.Errorf("recording the verdict: %w", err)
		}
		warnings, err := text(v.Warnings)
		if err != nil {
			return fmt.Errorf("recording the verdict: %w", err)
		}
		facts, moment, err := factsToKeep(v.Asked)
		if err != nil {
			return fmt.Errorf("recording the verdict: %w", err)
		}
		allow := 0
		if v.Allow {
			allow = 1
		}
		_, err = tx.ExecContext(ctx, insertVerdict, v.Ref.Repo, v.Ref.Path, v.Ref.Instance, facts, moment,
			micros(v.At), v.Target.Instance, v.Target.Repo, v.Target.Path, digestText(v.Subject), allow, reasons, digestText(v.PolicySet), v.Caller, v.Rule, warnings)
		if err != nil {
			return fmt.Errorf("recording the verdict: %w", err)
		}
	}
	return nil
}

// Verdicts returns the newest answers about an artifact, newest first.
func (l *Ledger) Verdicts(ctx context.Context, ref artifact.Ref, limit int) ([]Verdict, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT `+verdictColumns+`
		FROM verdict t WHERE repo = $1 AND path = $2 AND instance = $3 ORDER BY at DESC LIMIT $4`, ref.Repo, ref.Path, ref.Instance, limit)
	if err != nil {
		return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
	}
	defer func() { _ = rows.Close() }()
	var verdicts []Verdict
	for rows.Next() {
		v, err := scanVerdict(rows)
		if err != nil {
			return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
		}
		v.Ref = ref
		verdicts = append(verdicts, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading verdicts on %s: %w", ref, err)
	}
	return verdicts, nil
}

// verdictColumns are what scanVerdictRow reads of a row t.
const verdictColumns = `t.at, t.target_instance, t.target_repo, t.target_path, t.subject, t.allow, t.reasons, t.policy_set, t.caller,
	t.rule, t.warnings, t.moment, ` + verdictFacts

func scanVerdict(rows *sql.Rows) (Verdict, error) {
	v, facts, err := scanVerdictRow(rows)
	if err == nil {
		v.Asked, err = facts.asked()
	}
	return v, err
}

// scanVerdictRow reads a row's verdictColumns; before is where what stands before them goes.
func scanVerdictRow(rows *sql.Rows, before ...any) (v Verdict, facts factsText, err error) {
	var at int64
	var allow int
	var subject, set, reasons, warnings string
	if err := rows.Scan(append(before, &at, &v.Target.Instance, &v.Target.Repo, &v.Target.Path, &subject, &allow, &reasons, &set, &v.Caller,
		&v.Rule, &warnings, &facts.at, &facts.text)...); err != nil {
		return Verdict{}, factsText{}, err
	}
	v.At, v.Allow = fromMicros(at), allow == 1
	var errs [4]error
	v.Subject, errs[0] = parseDigest(subject)
	v.PolicySet, errs[1] = parseDigest(set)
	v.Reasons, errs[2] = list[reason.Reason](reasons)
	v.Warnings, errs[3] = list[reason.Reason](warnings)
	return v, facts, errors.Join(errs[:]...)
}
