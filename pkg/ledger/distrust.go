package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrDistrusted means that the key is distrusted: nothing is signed with it.
var ErrDistrusted = errors.New("the key is distrusted")

// ErrLaxer means that a key is distrusted from an earlier moment on than is asked for. It has to be lifted first, so that
// nobody trusts by mistake what somebody else has distrusted.
var ErrLaxer = errors.New("the key is distrusted from an earlier moment on")

// ErrTrusted means that there is nothing to lift.
var ErrTrusted = errors.New("the key is not distrusted")

// Distrust says that a key's signatures from a moment on do not count, nor those of which nothing trustworthy tells when
// they were made; or, when Lifted, that they count again.
type Distrust struct {
	KeyName string
	KeySPKI artifact.Digest
	From    time.Time
	Lifted  bool
	At      time.Time // when it was said; zero: now
	By      string
	Why     string
}

// Refuses reports whether a signature does not count; made is the time that something trustworthy tells, or zero.
func (d Distrust) Refuses(made time.Time) bool {
	return !d.From.IsZero() && !d.Lifted && (made.IsZero() || !made.Before(d.From))
}

type distrustOp struct {
	distrust Distrust
	err      error // told to this caller alone
}

// Distrust puts it on the books, for ever: what is lifted later stays on record. From the moment it returns nil every
// replica judges by it. ErrLaxer, ErrTrusted.
func (l *Ledger) Distrust(ctx context.Context, d Distrust) (Distrust, error) {
	if d.At.IsZero() {
		d.At = time.Now()
	}
	d.From, d.At = d.From.UTC().Truncate(time.Microsecond), d.At.UTC().Truncate(time.Microsecond)
	op := &distrustOp{distrust: d}
	if err := l.distrusts.Do(ctx, op); err != nil {
		return Distrust{}, err
	}
	return op.distrust, op.err
}

func distrust(ctx context.Context, tx *sql.Tx, ops []*distrustOp) error {
	for _, op := range ops {
		op.err = nil
		now, err := distrusted(ctx, tx)
		if err != nil {
			return err
		}
		d := &op.distrust
		switch is, known := now[d.KeySPKI]; {
		case d.Lifted && !known:
			op.err = ErrTrusted
			continue
		case d.Lifted:
			d.From = is.From
		case known && d.From.After(is.From):
			op.err = fmt.Errorf("%w: %s", ErrLaxer, is.From.Format(time.RFC3339))
			continue
		}
		id, err := Numbers(ctx, tx, "distrust", 1)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO distrust (id, key_spki, key_name, from_at, lifted, at, by_whom, why) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			id, d.KeySPKI.String(), d.KeyName, micros(d.From), flag(d.Lifted), micros(d.At), d.By, d.Why); err != nil {
			return fmt.Errorf("recording the distrust: %w", err)
		}
	}
	return nil
}

// Distrusted are the keys that are distrusted now, by their SPKI.
func (l *Ledger) Distrusted(ctx context.Context) (map[artifact.Digest]Distrust, error) {
	return distrusted(ctx, l.read)
}

// Distrusts is everything that was ever said about keys, oldest first: the record of who distrusted, and who lifted.
func (l *Ledger) Distrusts(ctx context.Context) ([]Distrust, error) {
	return distrusts(ctx, l.read)
}

// querier is a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func distrusted(ctx context.Context, q querier) (map[artifact.Digest]Distrust, error) {
	all, err := distrusts(ctx, q)
	if err != nil {
		return nil, err
	}
	now := map[artifact.Digest]Distrust{}
	for _, d := range all {
		if now[d.KeySPKI] = d; d.Lifted {
			delete(now, d.KeySPKI)
		}
	}
	return now, nil
}

func distrusts(ctx context.Context, q querier) ([]Distrust, error) {
	rows, err := q.QueryContext(ctx, `SELECT key_spki, key_name, from_at, lifted, at, by_whom, why FROM distrust ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("reading which keys are distrusted: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []Distrust
	for rows.Next() {
		var d Distrust
		var spki string
		var from, at int64
		var lifted int
		if err := rows.Scan(&spki, &d.KeyName, &from, &lifted, &at, &d.By, &d.Why); err != nil {
			return nil, fmt.Errorf("reading which keys are distrusted: %w", err)
		}
		if d.KeySPKI, err = parseDigest(spki); err != nil {
			return nil, fmt.Errorf("reading which keys are distrusted: %w", err)
		}
		d.From, d.Lifted, d.At = fromMicros(from), lifted == 1, fromMicros(at)
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading which keys are distrusted: %w", err)
	}
	return all, nil
}
