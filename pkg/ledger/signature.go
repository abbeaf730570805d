package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Signature is one signature file, kept so that it is made once and can be stored again. Of some bytes, a key and a format one
// is in force.
type Signature struct {
	Subject  artifact.Digest
	KeyName  string
	KeySPKI  artifact.Digest
	Format   string
	Content  []byte // left out by Status
	MadeAt   time.Time
	IntentID int64

	Former   bool  // another one took its place
	Replaces int64 // for Sealed: the intent of the one in force whose place it takes; 0 for none
}

type sealOp struct {
	intent int64
	sigs   []Signature
	err    error
}

// Sealed stores the signatures and ends the intent, in one transaction. Only after it returned nil may they be
// published. ErrSealed means that other signatures for the same bytes, key and format were stored first, or took the place
// first that one of these was to take; those are kept, and the caller must read and use them. ErrNotLive means that the lease was lost; the signatures were stored
// nevertheless.
func (l *Ledger) Sealed(ctx context.Context, intentID int64, sigs []Signature) error {
	op := &sealOp{intent: intentID, sigs: sigs}
	if err := l.sealings.Do(ctx, op); err != nil {
		return err
	}
	return op.err
}

func seal(ctx context.Context, tx *sql.Tx, ops []*sealOp) error {
	for _, op := range ops {
		op.err = nil
		if err := op.apply(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (op *sealOp) apply(ctx context.Context, tx *sql.Tx) error {
	now := time.Now()
	res, err := tx.ExecContext(ctx, `UPDATE intent SET state = 1, ended_at = $1 WHERE id = $2 AND state = 0`, micros(now), op.intent)
	if err != nil {
		return fmt.Errorf("ending the intent: %w", err)
	}
	if n, err := res.RowsAffected(); err != nil {
		return err
	} else if n == 0 {
		op.err = ErrNotLive
	}
	for _, s := range op.sigs {
		if s.MadeAt.IsZero() {
			s.MadeAt = now
		}
		if err := s.retire(ctx, tx); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `INSERT INTO signature (subject, key_spki, format, key_name, content, made_at, intent_id, content_sha256)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (subject, key_spki, format) DO NOTHING`,
			s.Subject.String(), s.KeySPKI.String(), s.Format, s.KeyName, s.Content, micros(s.MadeAt), op.intent, artifact.Attachment{Content: s.Content}.SHA256().String())
		if err != nil {
			return fmt.Errorf("storing a signature: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			op.err = ErrSealed
		}
	}
	return nil
}

// retire makes room for a signature that takes another's place, which remains on record.
func (s *Signature) retire(ctx context.Context, tx *sql.Tx) error {
	if s.Replaces == 0 {
		return nil
	}
	for _, q := range []string{
		`INSERT INTO signature_former (subject, key_spki, format, key_name, content, made_at, intent_id, content_sha256)
			SELECT subject, key_spki, format, key_name, content, made_at, intent_id, content_sha256 FROM signature
			WHERE subject = $1 AND key_spki = $2 AND format = $3 AND intent_id = $4 ON CONFLICT (subject, key_spki, format, intent_id) DO NOTHING`,
		`DELETE FROM signature WHERE subject = $1 AND key_spki = $2 AND format = $3 AND intent_id = $4`,
	} {
		if _, err := tx.ExecContext(ctx, q, s.Subject.String(), s.KeySPKI.String(), s.Format, s.Replaces); err != nil {
			return fmt.Errorf("replacing a signature: %w", err)
		}
	}
	return nil
}

// Signatures returns every signature that was made over the digest, by any key, those whose place another one took included;
// none is no error.
func (l *Ledger) Signatures(ctx context.Context, subject artifact.Digest) ([]Signature, error) {
	return l.signatures(ctx, subject, `SELECT key_spki, format, key_name, content, made_at, intent_id, former
		FROM signature_ever WHERE subject = $1 ORDER BY made_at, format`)
}

func (l *Ledger) signatures(ctx context.Context, subject artifact.Digest, query string) ([]Signature, error) {
	rows, err := l.read.QueryContext(ctx, query, subject.String())
	if err != nil {
		return nil, fmt.Errorf("reading signatures: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var sigs []Signature
	for rows.Next() {
		s := Signature{Subject: subject}
		var spki string
		var made int64
		if err := rows.Scan(&spki, &s.Format, &s.KeyName, &s.Content, &made, &s.IntentID, &s.Former); err != nil {
			return nil, fmt.Errorf("reading signatures: %w", err)
		}
		if s.KeySPKI, err = parseDigest(spki); err != nil {
			return nil, fmt.Errorf("reading signatures: %w", err)
		}
		s.MadeAt = fromMicros(made)
		sigs = append(sigs, s)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading signatures: %w", err)
	}
	return sigs, nil
}
