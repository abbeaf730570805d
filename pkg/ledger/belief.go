package ledger

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Belief is a statement about what verifiers must believe, signed by whoever vouches for it. The ledger keeps it and does
// not judge it: whoever can write to the database can put anything here, so readers verify the signature.
type Belief struct {
	Number    int64 // in the order in which they were written; set by the ledger
	Kind      string
	Subject   string          // what it is about, unique within its kind
	Voucher   artifact.Digest // SPKI of the key that signed it
	Content   string
	Signature []byte
	At        time.Time // when it was first written; set by the ledger
}

// maxBeliefs bounds how many statements are read. There are as many as replicas, keys and signing configurations ever were.
const maxBeliefs = 10_000

// Believe keeps statements for ever. One by the same voucher about the same subject is replaced when it is not the very same.
func (l *Ledger) Believe(ctx context.Context, all ...Belief) error {
	if len(all) == 0 {
		return nil
	}
	return l.beliefs.Do(ctx, all)
}

func believe(ctx context.Context, tx *sql.Tx, ops [][]Belief) error {
	for _, op := range ops {
		for _, b := range op {
			if err := believeOne(ctx, tx, b); err != nil {
				return fmt.Errorf("recording what verifiers must believe: %w", err)
			}
		}
	}
	return nil
}

func believeOne(ctx context.Context, tx *sql.Tx, b Belief) error {
	signature := base64.StdEncoding.EncodeToString(b.Signature)
	var same int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM belief WHERE kind = $1 AND subject = $2 AND voucher = $3 AND content = $4 AND signature = $5`,
		b.Kind, b.Subject, b.Voucher.String(), b.Content, signature).Scan(&same); err != nil || same > 0 {
		return err
	}
	number, err := Numbers(ctx, tx, "belief", 1) // from here on other replicas wait
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO belief (number, kind, subject, voucher, content, signature, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (kind, subject, voucher) DO UPDATE SET number = excluded.number, content = excluded.content, signature = excluded.signature`,
		number, b.Kind, b.Subject, b.Voucher.String(), b.Content, signature, micros(time.Now()))
	return err
}

// Beliefs are the statements, the oldest first.
func (l *Ledger) Beliefs(ctx context.Context) ([]Belief, error) {
	var all []Belief
	err := l.each(ctx, `SELECT number, kind, subject, voucher, content, signature, at FROM belief ORDER BY number LIMIT $1`, []any{maxBeliefs}, func(rows *sql.Rows) error {
		var b Belief
		var voucher, signature string
		var at int64
		if err := rows.Scan(&b.Number, &b.Kind, &b.Subject, &voucher, &b.Content, &signature, &at); err != nil {
			return err
		}
		// What cannot be read was not written here. It stays unsigned, and so nobody believes it.
		b.Voucher, _ = parseDigest(voucher)
		b.Signature, _ = base64.StdEncoding.DecodeString(signature)
		b.At = fromMicros(at)
		all = append(all, b)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what verifiers must believe: %w", err)
	}
	return all, nil
}

// TrustNumbers change whenever a belief is written, or a key is distrusted or trusted again: whoever holds what they read
// before asks no more than this.
type TrustNumbers struct{ Belief, Distrust int64 }

// TrustNumbers is one look at two rows.
func (l *Ledger) TrustNumbers(ctx context.Context) (n TrustNumbers, err error) {
	err = l.each(ctx, `SELECT name, value FROM counter WHERE name IN ('belief', 'distrust')`, nil, func(rows *sql.Rows) error {
		var name string
		var value int64
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		if name == "belief" {
			n.Belief = value
		} else {
			n.Distrust = value
		}
		return nil
	})
	if err != nil {
		return TrustNumbers{}, fmt.Errorf("reading whether trust has changed: %w", err)
	}
	return n, nil
}

// Logs are the origins of all logs of which a checkpoint is remembered, sorted.
func (l *Ledger) Logs(ctx context.Context) ([]string, error) {
	var origins []string
	err := l.each(ctx, `SELECT origin FROM log_memory ORDER BY origin`, nil, func(rows *sql.Rows) error {
		var origin string
		err := rows.Scan(&origin)
		origins = append(origins, origin)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading which logs there are: %w", err)
	}
	return origins, nil
}

// Beliefs is Ledger.Beliefs.
func (v *View) Beliefs(ctx context.Context) ([]Belief, error) { return v.l.Beliefs(ctx) }

// Logs is Ledger.Logs.
func (v *View) Logs(ctx context.Context) ([]string, error) { return v.l.Logs(ctx) }
