package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

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

// withdraw ends an intent whose Begin failed. Its commit may have gone through without anybody learning of it, and then
// its lease would keep everybody away from the bytes until it runs out, which is what happens when this fails too. The
// intent's number is not known then, or is another's; its grant is its own.
func (l *Ledger) withdraw(ctx context.Context, in Intent, cause error) {
	if errors.Is(cause, ErrFull) || errors.Is(cause, ErrClosed) {
		return // it was not even tried
	}
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
