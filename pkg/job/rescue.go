package job

import (
	"context"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// silentFor is how long a replica may go without a sign of life before others take its work.
const silentFor = 90 * time.Second

// release takes back work that an earlier run of this replica was killed in. An SQLite ledger belongs to this process
// alone, so there everything that seems to be running is such work.
func (q *Queue) release(ctx context.Context) error {
	query, args := `UPDATE river_job SET state = 'available' WHERE state = 'running'`, []any{}
	if q.ledger.Dialect() == ledger.Postgres {
		query += ` AND attempted_by[array_upper(attempted_by, 1)] = $1`
		args = append(args, q.ledger.Replica())
	}
	if _, err := q.ledger.SQL().ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("taking up interrupted work: %w", err)
	}
	return nil
}

// rescue gives this replica's sign of life and takes the work of replicas that have given none for a while.
func (q *Queue) rescue(ctx context.Context) error {
	if q.ledger.Dialect() == ledger.SQLite {
		return nil
	}
	if err := q.ledger.Ping(ctx); err != nil {
		return err
	}
	_, err := q.ledger.SQL().ExecContext(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'
		AND NOT EXISTS (SELECT 1 FROM replica WHERE name = attempted_by[array_upper(attempted_by, 1)] AND seen_at > $1)`,
		time.Now().Add(-silentFor).UnixMicro())
	if err != nil {
		return fmt.Errorf("taking up the work of a silent replica: %w", err)
	}
	return nil
}
