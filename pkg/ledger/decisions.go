package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// MaxDecisions is how many decisions a page has at most.
const MaxDecisions = 2000

// most is how many decisions of one and the same microsecond a page can hold, more than any clock brings about.
const most = 64 * MaxDecisions

// Decisions is a page of all that was ever decided, oldest first.
type Decisions struct {
	Page []policy.Past
	Next time.Time // the next page comes after it
	More bool      // whether there is one now
}

// Decided lists decisions on signing and verdicts of the gate after a moment, about limit of them, at most MaxDecisions.
// Pages follow each other by time, so a reader can go on where it stopped; what is decided meanwhile comes at the end. A
// decision that another replica records late, under an earlier time, may be passed over by who reads up to now.
func (l *Ledger) Decided(ctx context.Context, after time.Time, limit int) (Decisions, error) {
	for n := min(max(limit, 1), MaxDecisions); ; n *= 2 {
		d, err := l.decided(ctx, micros(after), n)
		if err != nil {
			return Decisions{}, fmt.Errorf("listing decisions: %w", err)
		}
		if len(d.Page) > 0 || !d.More {
			return d, nil
		}
		if n > most {
			return Decisions{}, fmt.Errorf("listing decisions: more than %d have one time", most)
		}
	}
}

// decided reads n of each table. A table with more than that is known up to the time of its last row, but for rows of the
// same time: they come with the next page.
func (l *Ledger) decided(ctx context.Context, after int64, n int) (Decisions, error) {
	outcomes, err := pasts(ctx, l.read, decidedOutcomes, pastOutcome, after, n)
	if err != nil {
		return Decisions{}, err
	}
	verdicts, err := pasts(ctx, l.read, decidedVerdicts, pastVerdict, after, n)
	if err != nil {
		return Decisions{}, err
	}
	known, more := int64(math.MaxInt64), false
	for _, list := range [][]policy.Past{outcomes, verdicts} {
		if len(list) == n {
			known, more = min(known, micros(list[n-1].At)), true
		}
	}
	all := append(outcomes, verdicts...)
	slices.SortStableFunc(all, func(a, b policy.Past) int { return a.At.Compare(b.At) })
	if more {
		all = slices.DeleteFunc(all, func(p policy.Past) bool { return micros(p.At) >= known })
	}
	d := Decisions{Page: all, More: more, Next: fromMicros(after)}
	if len(all) > 0 {
		d.Next = all[len(all)-1].At
	}
	return d, nil
}

// What a page reads. Work that ended without a decision, such as what failed, is not among it.
const (
	decidedOutcomes = `SELECT t.repo, t.path, t.instance, ` + outcomeColumns + ` FROM outcome t
		WHERE t.at > $1 AND t.state IN ('signed', 'denied', 'skipped', 'expanded') ORDER BY t.at LIMIT $2`
	decidedVerdicts = `SELECT t.repo, t.path, t.instance, ` + verdictColumns + ` FROM verdict t WHERE t.at > $1 ORDER BY t.at LIMIT $2`
)

func pasts(ctx context.Context, db *sql.DB, query string, scan func(*sql.Rows) (policy.Past, error), args ...any) ([]policy.Past, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []policy.Past
	for rows.Next() {
		p, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

func pastOutcome(rows *sql.Rows) (policy.Past, error) {
	var ref artifact.Ref
	o, facts, err := scanOutcomeRow(rows, &ref.Repo, &ref.Path, &ref.Instance)
	return policy.Past{
		Kind: policy.PastSigning, At: o.At, Instance: ref.Instance, Artifact: ref.String(), SHA256: o.Subject, Outcome: string(o.State),
		Policy: o.Policy, Rule: o.Rule, PolicySet: o.PolicySet, Caller: o.Caller, Keys: o.Keys, Files: o.Files,
		Reasons: o.Reasons, Warnings: o.Warnings, Asked: facts.raw(), Moment: facts.moment(),
	}, err
}

func pastVerdict(rows *sql.Rows) (policy.Past, error) {
	var ref artifact.Ref
	v, facts, err := scanVerdictRow(rows, &ref.Repo, &ref.Path, &ref.Instance)
	p := policy.Past{
		Kind: policy.PastGate, At: v.At, Instance: ref.Instance, Artifact: ref.String(), Target: v.Target.String(), SHA256: v.Subject, Outcome: "refused",
		Rule: v.Rule, PolicySet: v.PolicySet, Caller: v.Caller, Reasons: v.Reasons, Warnings: v.Warnings, Asked: facts.raw(), Moment: facts.moment(),
	}
	if v.Allow {
		p.Outcome = "allowed"
	}
	return p, err
}

// LastOutcome is how work on an artifact had ended last at a moment; zero: by now. False when none had.
func (l *Ledger) LastOutcome(ctx context.Context, ref artifact.Ref, asOf time.Time) (policy.Past, bool, error) {
	return l.last(ctx, `SELECT t.repo, t.path, t.instance, `+outcomeColumns+` FROM outcome t
		WHERE t.repo = $1 AND t.path = $2 AND t.instance = $3 AND t.at <= $4 ORDER BY t.at DESC LIMIT 1`, pastOutcome,
		ref.Repo, ref.Path, ref.Instance, until(asOf))
}

// LastVerdict is what the gate had answered last at a moment about an artifact and a target, whose path may be empty for
// any. False when it had not been asked.
func (l *Ledger) LastVerdict(ctx context.Context, ref, target artifact.Ref, asOf time.Time) (policy.Past, bool, error) {
	return l.last(ctx, `SELECT t.repo, t.path, t.instance, `+verdictColumns+` FROM verdict t
		WHERE t.repo = $1 AND t.path = $2 AND t.instance = $3 AND t.at <= $4 AND t.target_repo = $5 AND (t.target_path = $6 OR $7 = '')
		ORDER BY t.at DESC LIMIT 1`, pastVerdict,
		ref.Repo, ref.Path, ref.Instance, until(asOf), target.Repo, target.Path, target.Path)
}

func (l *Ledger) last(ctx context.Context, query string, scan func(*sql.Rows) (policy.Past, error), args ...any) (policy.Past, bool, error) {
	found, err := pasts(ctx, l.read, query, scan, args...)
	if err != nil {
		return policy.Past{}, false, fmt.Errorf("reading the last decision: %w", err)
	}
	if len(found) == 0 {
		return policy.Past{}, false, nil
	}
	return found[0], true, nil
}

func until(asOf time.Time) int64 {
	if asOf.IsZero() {
		return math.MaxInt64
	}
	return micros(asOf)
}

// Began is the time of the oldest record of a decision; zero when there is none.
func (l *Ledger) Began(ctx context.Context) (time.Time, error) {
	var outcome, verdict sql.NullInt64
	err := errors.Join(
		l.read.QueryRowContext(ctx, `SELECT min(at) FROM outcome`).Scan(&outcome),
		l.read.QueryRowContext(ctx, `SELECT min(at) FROM verdict`).Scan(&verdict),
	)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the oldest decision: %w", err)
	}
	if !outcome.Valid || verdict.Valid && verdict.Int64 < outcome.Int64 {
		outcome = verdict
	}
	return fromMicros(outcome.Int64), nil
}

// CountDecided counts the decisions after a moment, for how far a reader has come.
func (l *Ledger) CountDecided(ctx context.Context, after time.Time) (int64, error) {
	var outcomes, verdicts int64
	err := errors.Join(
		l.read.QueryRowContext(ctx, `SELECT count(*) FROM outcome WHERE at > $1 AND state IN ('signed', 'denied', 'skipped', 'expanded')`, micros(after)).Scan(&outcomes),
		l.read.QueryRowContext(ctx, `SELECT count(*) FROM verdict WHERE at > $1`, micros(after)).Scan(&verdicts),
	)
	if err != nil {
		return 0, fmt.Errorf("counting decisions: %w", err)
	}
	return outcomes + verdicts, nil
}

// factsText is what a row has of facts.
type factsText struct {
	text string
	at   int64
}

func (f factsText) raw() json.RawMessage {
	if f.text == "" {
		return nil
	}
	return json.RawMessage(f.text)
}

func (f factsText) moment() time.Time {
	if f.text == "" {
		return time.Time{}
	}
	return fromMicros(f.at)
}

func (f factsText) asked() (*policy.Asked, error) { return policy.ParseAsked(f.text, fromMicros(f.at)) }
