package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// turnTime is how long a turn lasts when it is not taken again.
const turnTime = 2 * time.Minute

// TakeTurn asks for the right to do the named work alone among all replicas, for two minutes, or for two more when this
// replica has it already. A replica that was killed and comes back under its name has it still.
func (l *Ledger) TakeTurn(ctx context.Context, name string) (mine bool, err error) {
	err = l.sweeps.Do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		now := time.Now()
		res, err := tx.ExecContext(ctx, `INSERT INTO turn (name, replica, held_at) VALUES ($1, $2, $3)
			ON CONFLICT (name) DO UPDATE SET replica = excluded.replica, held_at = excluded.held_at
			WHERE turn.replica = excluded.replica OR turn.held_at < $4`, name, l.cfg.Replica, micros(now), micros(now.Add(-turnTime)))
		if err != nil {
			return fmt.Errorf("taking the turn: %w", err)
		}
		n, err := res.RowsAffected()
		mine = n > 0
		return err
	})
	return mine && err == nil, err
}

// YieldTurn gives the right back, so that another replica need not wait for its end.
func (l *Ledger) YieldTurn(ctx context.Context, name string) error {
	return l.sweeps.Do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM turn WHERE name = $1 AND replica = $2`, name, l.cfg.Replica)
		return err
	})
}
