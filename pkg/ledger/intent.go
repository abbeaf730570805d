package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
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
}

type beginOp struct {
	intent  Intent
	replica string
	expired time.Time // leases from before are over
	err     error     // told to this caller alone
}

// Begin makes the intent durable and takes the lease on its bytes and key, until Sealed, Abandon, or the end of the
// lease (Config.Lease). It is ErrBusy while another holds that lease, and ErrSealed when signatures in all formats of the
// intent exist already, so that concurrent duplicates end in one use of the key.
func (l *Ledger) Begin(ctx context.Context, in Intent) (Intent, error) {
	if in.StartedAt.IsZero() {
		in.StartedAt = time.Now()
	}
	op := &beginOp{intent: in, replica: l.cfg.Replica, expired: in.StartedAt.Add(-l.cfg.Lease)}
	if err := l.intents.Do(ctx, op); err != nil {
		l.withdraw(ctx, in)
		return Intent{}, err
	}
	return op.intent, op.err
}

// withdraw ends an intent whose Begin failed. Its commit may have gone through without anybody learning of it, and then
// its lease would keep everybody away from the bytes until it runs out, which is what happens when this fails too. The
// intent's number is not known then, or is another's; its grant is its own.
func (l *Ledger) withdraw(ctx context.Context, in Intent) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTimeout)
	defer cancel()
	op := &abandonOp{intent: in, why: "recording it failed"}
	if err := l.abandoned.Do(ctx, op); err != nil {
		l.log.WarnContext(ctx, "an intent whose recording failed may keep its lease until it runs out", slog.String("grant", in.GrantID), slog.Any("error", err))
	}
}

const withdrawTimeout = 2 * time.Second

// Lease is how long an intent holds its bytes and key unless Renew prolongs it.
func (l *Ledger) Lease() time.Duration { return l.cfg.Lease }

type renewOp struct {
	id  int64
	err error // told to this caller alone
}

// Renew lets a live intent's lease run from now. ErrNotLive when the intent has ended, or another took its lease: then the
// key must not be used any more.
func (l *Ledger) Renew(ctx context.Context, intentID int64) error {
	op := &renewOp{id: intentID}
	if err := l.renewals.Do(ctx, op); err != nil {
		return err
	}
	return op.err
}

func renew(ctx context.Context, tx *sql.Tx, ops []*renewOp) error {
	for _, op := range ops {
		op.err = nil
		res, err := tx.ExecContext(ctx, `UPDATE intent SET held_at = $1 WHERE id = $2 AND state = 0`, micros(time.Now()), op.id)
		if err != nil {
			return fmt.Errorf("renewing a lease: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			op.err = ErrNotLive
		}
	}
	return nil
}

func begin(ctx context.Context, tx *sql.Tx, ops []*beginOp) error {
	id, err := Numbers(ctx, tx, "intent", len(ops))
	if err != nil {
		return err
	}
	for i, op := range ops {
		op.intent.ID, op.err = id+int64(i), nil
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
	rows, err := tx.QueryContext(ctx, `SELECT format FROM signature WHERE subject = $1 AND key_spki = $2`,
		op.intent.Subject.String(), op.intent.KeySPKI.String())
	if err != nil {
		return false, fmt.Errorf("looking for signatures: %w", err)
	}
	defer func() { _ = rows.Close() }()
	have := map[string]bool{}
	for rows.Next() {
		var format string
		if err := rows.Scan(&format); err != nil {
			return false, fmt.Errorf("looking for signatures: %w", err)
		}
		have[format] = true
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
			formats, policy, rule, policy_set, event_id, replica, started_at, held_at, state, ended_at, why)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15, 0, 0, '')
		ON CONFLICT (subject, key_spki) WHERE state = 0 DO NOTHING`,
		in.ID, in.GrantID, in.Ref.Instance, in.Ref.Repo, in.Ref.Path, in.Subject.String(), in.KeyName, in.KeySPKI.String(),
		strings.Join(in.Formats, ","), in.Policy, in.Rule, digestText(in.PolicySet), in.EventID, op.replica, micros(in.StartedAt))
	if err != nil {
		return false, fmt.Errorf("recording the intent: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// abandonOp names an intent by its number or, without one, by its grant, bytes and key.
type abandonOp struct {
	intent Intent
	why    string
}

// Abandon ends an intent without a signature and gives its lease back. Ending one that has ended is no error.
func (l *Ledger) Abandon(ctx context.Context, intentID int64, why string) error {
	return l.abandoned.Do(ctx, &abandonOp{Intent{ID: intentID}, why})
}

func abandon(ctx context.Context, tx *sql.Tx, ops []*abandonOp) error {
	for _, op := range ops {
		var err error
		if op.intent.ID != 0 {
			_, err = tx.ExecContext(ctx, `UPDATE intent SET state = 2, ended_at = $1, why = $2 WHERE id = $3 AND state = 0`,
				micros(time.Now()), op.why, op.intent.ID)
		} else {
			_, err = tx.ExecContext(ctx, `UPDATE intent SET state = 2, ended_at = $1, why = $2
				WHERE subject = $3 AND key_spki = $4 AND state = 0 AND grant_id = $5`,
				micros(time.Now()), op.why, op.intent.Subject.String(), op.intent.KeySPKI.String(), op.intent.GrantID)
		}
		if err != nil {
			return fmt.Errorf("abandoning the intent: %w", err)
		}
	}
	return nil
}

// releaseLeases ends what an earlier run of this replica left behind; it cannot come back to finish it.
func (l *Ledger) releaseLeases(ctx context.Context) error {
	_, err := l.write.ExecContext(ctx, `UPDATE intent SET state = 2, ended_at = $1, why = 'the process ended'
		WHERE state = 0 AND replica = $2`, micros(time.Now()), l.cfg.Replica)
	if err != nil {
		return fmt.Errorf("releasing leases of an earlier run: %w", err)
	}
	return nil
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
