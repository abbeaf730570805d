package ledger

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// ErrUnknown means that nothing was ever heard of the artifact.
var ErrUnknown = errors.New("the ledger knows nothing about this artifact")

// State is how work on an artifact ended.
type State string

// The states.
const (
	Signed  State = "signed"
	Denied  State = "denied"
	Skipped State = "skipped"
	Gone    State = "gone"
	Failed  State = "failed"
	Changed State = "changed"
	// Expanded is the end of what is worked on part by part, each with an outcome of its own.
	Expanded State = "expanded"
)

// Outcome is one end of work on one artifact.
type Outcome struct {
	Ref        artifact.Ref
	Subject    artifact.Digest // zero when it was never learned
	State      State
	Reasons    []reason.Reason
	Policy     string
	Rule       string
	PolicySet  artifact.Digest
	EventID    int64
	Keys       []string
	Files      []string
	Parts      int // of an expansion: for how many, work was ordered
	ReceivedAt time.Time
	At         time.Time // zero: now

	Warnings []reason.Reason
	Asked    *policy.Asked // what was decided on; nil when nothing was decided, and in records from before it was kept
	Caller   string        // who asked by name; empty for news from Artifactory and in older records
}

// historyMax is how many outcomes Status returns.
const historyMax = 20

// Status is what the ledger knows about an artifact.
type Status struct {
	Current    Outcome     // the newest; zero when work is waiting and none has ended yet
	History    []Outcome   // newest first, at most 20, with Current
	Signatures []Signature // over the current subject, without content
	Pending    bool        // work is waiting or running
}

// Finish records how work on an artifact ended. The newest outcome of a place is its current state.
func (l *Ledger) Finish(ctx context.Context, o Outcome) error {
	if o.At.IsZero() {
		o.At = time.Now()
	}
	return l.outcomes.Do(ctx, &o)
}

const insertOutcome = `INSERT INTO outcome (repo, path, instance, facts, facts_at, moment,
		at, subject, state, reasons, policy, rule, policy_set, event_id, keys, files, received_at, parts, warnings, caller)
	VALUES ($1, $2, $3, CASE WHEN $4 = '' OR ` + sameOutcome + ` IS NULL THEN $4 ELSE '' END, CASE WHEN $4 = '' THEN 0 ELSE COALESCE(` + sameOutcome + `, 0) END,
		$5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`

func finish(ctx context.Context, tx *sql.Tx, outcomes []*Outcome) error {
	for _, o := range outcomes {
		reasons, keys, files, err := texts(o.Reasons, o.Keys, o.Files)
		if err != nil {
			return fmt.Errorf("recording the outcome: %w", err)
		}
		warnings, err := text(o.Warnings)
		if err != nil {
			return fmt.Errorf("recording the outcome: %w", err)
		}
		facts, moment, err := factsToKeep(o.Asked)
		if err != nil {
			return fmt.Errorf("recording the outcome: %w", err)
		}
		_, err = tx.ExecContext(ctx, insertOutcome, o.Ref.Repo, o.Ref.Path, o.Ref.Instance, facts, moment,
			micros(o.At), digestText(o.Subject), string(o.State), reasons, o.Policy, o.Rule, digestText(o.PolicySet), o.EventID, keys, files,
			micros(o.ReceivedAt), o.Parts, warnings, o.Caller)
		if err != nil {
			return fmt.Errorf("recording the outcome: %w", err)
		}
	}
	return nil
}

// Status answers for one artifact; ErrUnknown when nothing was ever heard of it.
func (l *Ledger) Status(ctx context.Context, ref artifact.Ref) (Status, error) {
	st, err := l.status(ctx, ref)
	if err != nil {
		return Status{}, fmt.Errorf("reading status of %s: %w", ref, err)
	}
	if len(st.History) == 0 && !st.Pending {
		return Status{}, fmt.Errorf("%s: %w", ref, ErrUnknown)
	}
	return st, nil
}

func (l *Ledger) status(ctx context.Context, ref artifact.Ref) (st Status, err error) {
	var event int64
	var begun bool
	if waiting := l.waiting.Load(); waiting != nil {
		if event, begun, err = (*waiting)(ctx, ref); err != nil {
			return Status{}, err
		}
	}
	if st.History, err = l.history(ctx, ref); err != nil {
		return Status{}, err
	}
	st.Pending = event != 0
	if len(st.History) == 0 {
		return st, nil
	}
	st.Current = st.History[0]
	if begun && st.Current.EventID == event {
		st.Pending = false // the outcome is recorded a moment before the work is marked as ended
	}
	if !st.Current.Subject.IsZero() {
		st.Signatures, err = l.signatures(ctx, st.Current.Subject, `SELECT key_spki, format, key_name, NULL, made_at, intent_id, 0
			FROM signature WHERE subject = $1 ORDER BY made_at, format`)
	}
	return st, err
}

func (l *Ledger) history(ctx context.Context, ref artifact.Ref) ([]Outcome, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT `+outcomeColumns+`
		FROM outcome t WHERE repo = $1 AND path = $2 AND instance = $3 ORDER BY at DESC LIMIT $4`, ref.Repo, ref.Path, ref.Instance, historyMax)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var history []Outcome
	for rows.Next() {
		o, err := scanOutcome(rows)
		if err != nil {
			return nil, err
		}
		o.Ref = ref
		history = append(history, o)
	}
	return history, rows.Err()
}

// outcomeColumns are what scanOutcomeRow reads of a row t.
const outcomeColumns = `t.at, t.subject, t.state, t.reasons, t.policy, t.rule, t.policy_set, t.event_id, t.keys, t.files, t.received_at, t.parts,
	t.warnings, t.caller, t.moment, ` + outcomeFacts

func scanOutcome(rows *sql.Rows) (Outcome, error) {
	o, facts, err := scanOutcomeRow(rows)
	if err == nil {
		o.Asked, err = facts.asked()
	}
	return o, err
}

// scanOutcomeRow reads a row's outcomeColumns; before is where what stands before them goes.
func scanOutcomeRow(rows *sql.Rows, before ...any) (o Outcome, facts factsText, err error) {
	var at, received int64
	var subject, set, reasons, keys, files, warnings string
	if err := rows.Scan(append(before, &at, &subject, &o.State, &reasons, &o.Policy, &o.Rule, &set, &o.EventID, &keys, &files, &received, &o.Parts,
		&warnings, &o.Caller, &facts.at, &facts.text)...); err != nil {
		return Outcome{}, factsText{}, err
	}
	o.At, o.ReceivedAt = fromMicros(at), fromMicros(received)
	var errs [6]error
	o.Subject, errs[0] = parseDigest(subject)
	o.PolicySet, errs[1] = parseDigest(set)
	o.Reasons, errs[2] = list[reason.Reason](reasons)
	o.Keys, errs[3] = list[string](keys)
	o.Files, errs[4] = list[string](files)
	o.Warnings, errs[5] = list[reason.Reason](warnings)
	return o, facts, errors.Join(errs[:]...)
}

// text is a list as it stands in a row: JSON, or the empty string for none.
func text[T any](list []T) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	b, err := json.Marshal(list)
	return string(b), err
}

func texts(reasons []reason.Reason, keys, files []string) (r, k, f string, err error) {
	var errs [3]error
	r, errs[0] = text(reasons)
	k, errs[1] = text(keys)
	f, errs[2] = text(files)
	return r, k, f, errors.Join(errs[:]...)
}

func list[T any](s string) (l []T, err error) {
	if s != "" {
		err = json.Unmarshal([]byte(s), &l)
	}
	return l, err
}
