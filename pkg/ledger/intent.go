package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrBusy means that another live intent wants the same key for the same bytes: wait a little and look for its
// signature.
var ErrBusy = errors.New("another intent for these bytes and this key is under way")

// ErrSealed means that the signatures exist already: read and reuse them.
var ErrSealed = errors.New("these bytes are already signed with this key")

// ErrNotLive means that the intent has ended: it was sealed, abandoned, or its lease ran out and another took it.
var ErrNotLive = errors.New("the intent has ended")

// Intent is the promise to use a key, made durable before the key is used.
type Intent struct {
	ID        int64 // set by Begin
	GrantID   string
	Ref       artifact.Ref
	Subject   artifact.Digest
	KeyName   string
	KeySPKI   artifact.Digest
	Formats   []string
	Policy    string
	Rule      string
	PolicySet artifact.Digest
	EventID   int64
	StartedAt time.Time // zero: now

	LogOrigin string // of the log that will tell of it; empty: none
	LogFrom   uint64 // how large that log was before it was told

	// Replaces are signatures in force, each by its format and its intent, that are to be made anew: Begin looks for others.
	Replaces map[string]int64
}

type beginOp struct {
	intent  Intent
	replica string
	expired time.Time // leases from before are over
	err     error     // told to this caller alone

	distrusted bool // the key is, when it is to be used
}

// Begin makes the intent durable and takes the lease on its bytes and key, until Sealed, Abandon, or the end of the
// lease (Config.Lease, prolonged by Renew). It is ErrBusy while another holds that lease, and ErrSealed when signatures in all formats of the
// intent exist already, so that concurrent duplicates end in one use of the key. A key that is distrusted is ErrDistrusted.
func (l *Ledger) Begin(ctx context.Context, in Intent) (Intent, error) {
	if in.StartedAt.IsZero() {
		in.StartedAt = time.Now()
	}
	op := &beginOp{intent: in, replica: l.cfg.Replica, expired: in.StartedAt.Add(-l.cfg.Lease)}
	if err := l.intents.Do(ctx, op); err != nil {
		l.withdraw(ctx, in, err)
		return Intent{}, err
	}
	return op.intent, op.err
}

// NewestIntent is when the intent with the greatest number was begun, on whatever replica; zero when there is none.
func (l *Ledger) NewestIntent(ctx context.Context) (time.Time, error) {
	var at int64
	err := l.read.QueryRowContext(ctx, `SELECT started_at FROM intent ORDER BY id DESC LIMIT 1`).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the time of the last intent: %w", err)
	}
	return fromMicros(at), nil
}

func begin(ctx context.Context, tx *sql.Tx, ops []*beginOp) error {
	id, err := Numbers(ctx, tx, "intent", len(ops))
	if err != nil {
		return err
	}
	distrusted, err := distrusted(ctx, tx)
	if err != nil {
		return err
	}
	for i, op := range ops {
		op.intent.ID, op.err = id+int64(i), nil
		_, op.distrusted = distrusted[op.intent.KeySPKI]
		if err := op.apply(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (op *beginOp) apply(ctx context.Context, tx *sql.Tx) error {
	if sealed, err := op.sealed(ctx, tx); err != nil || sealed {
		if sealed {
			op.err = ErrSealed
		}
		return err
	}
	if op.distrusted {
		op.err = ErrDistrusted
		return nil
	}
	took, err := op.insert(ctx, tx)
	if err != nil || took {
		return err
	}
	in := &op.intent
	res, err := tx.ExecContext(ctx, `UPDATE intent SET state = 2, ended_at = $1, why = 'the lease ran out'
		WHERE subject = $2 AND key_spki = $3 AND state = 0 AND held_at < $4`,
		micros(in.StartedAt), in.Subject.String(), in.KeySPKI.String(), micros(op.expired))
	if err != nil {
		return fmt.Errorf("ending a lease: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		op.err = ErrBusy
		return err
	}
	if took, err = op.insert(ctx, tx); err == nil && !took {
		op.err = ErrBusy
	}
	return err
}

func (op *beginOp) sealed(ctx context.Context, tx *sql.Tx) (bool, error) {
	rows, err := tx.QueryContext(ctx, `SELECT format, intent_id FROM signature WHERE subject = $1 AND key_spki = $2`,
		op.intent.Subject.String(), op.intent.KeySPKI.String())
	if err != nil {
		return false, fmt.Errorf("looking for signatures: %w", err)
	}
	defer func() { _ = rows.Close() }()
	have := map[string]bool{}
	for rows.Next() {
		var format string
		var by int64
		if err := rows.Scan(&format, &by); err != nil {
			return false, fmt.Errorf("looking for signatures: %w", err)
		}
		old, again := op.intent.Replaces[format]
		have[format] = !again || old != by
	}
	if err := rows.Err(); err != nil {
		return false, fmt.Errorf("looking for signatures: %w", err)
	}
	for _, f := range op.intent.Formats {
		if !have[f] {
			return false, nil
		}
	}
	return len(have) > 0, nil
}

func (op *beginOp) insert(ctx context.Context, tx *sql.Tx) (took bool, err error) {
	in := &op.intent
	res, err := tx.ExecContext(ctx, `INSERT INTO intent (id, grant_id, instance, repo, path, subject, key_name, key_spki,
			formats, policy, rule, policy_set, event_id, replica, started_at, held_at, state, ended_at, why, log_origin, log_from)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, 0, 0, '', $16, $17)
		ON CONFLICT (subject, key_spki) WHERE state = 0 DO NOTHING`,
		in.ID, in.GrantID, in.Ref.Instance, in.Ref.Repo, in.Ref.Path, in.Subject.String(), in.KeyName, in.KeySPKI.String(),
		strings.Join(in.Formats, ","), in.Policy, in.Rule, digestText(in.PolicySet), in.EventID, op.replica, micros(in.StartedAt), in.LogOrigin, int64(in.LogFrom))
	if err != nil {
		return false, fmt.Errorf("recording the intent: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// digestText is a digest as it stands in a row; unknown is the empty string.
func digestText(d artifact.Digest) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

func parseDigest(s string) (artifact.Digest, error) {
	if s == "" {
		return artifact.Digest{}, nil
	}
	return artifact.ParseDigest(s)
}
