package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Certified is a key for which a certificate was issued, and under which name.
type Certified struct {
	Identity  string // a URI
	KeyName   string
	KeySPKI   artifact.Digest
	Lane      string    // of the key
	PublicKey []byte    // SubjectPublicKeyInfo in DER
	At        time.Time // of the first such certificate; zero: now
}

// RememberCertified is durable when it returns nil: only then may the certificate be used. Of the same key and identity the
// first counts.
func (l *Ledger) RememberCertified(ctx context.Context, c Certified) error {
	if c.At.IsZero() {
		c.At = time.Now()
	}
	return l.certified.Do(ctx, &c)
}

func rememberCertified(ctx context.Context, tx *sql.Tx, all []*Certified) error {
	for _, c := range all {
		if _, err := tx.ExecContext(ctx, `INSERT INTO certified (identity, key_spki, key_name, lane, public_key, first_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (identity, key_spki) DO NOTHING`,
			c.Identity, c.KeySPKI.String(), c.KeyName, c.Lane, c.PublicKey, micros(c.At)); err != nil {
			return fmt.Errorf("remembering whom a certificate is for: %w", err)
		}
	}
	return nil
}

// Certified are all keys for which certificates were ever issued, by identity: a key under each of its names.
func (l *Ledger) Certified(ctx context.Context) (all []Certified, err error) {
	err = l.each(ctx, `SELECT identity, key_spki, key_name, lane, public_key, first_at FROM certified ORDER BY identity, first_at, key_spki`, nil, func(rows *sql.Rows) error {
		var c Certified
		var spki string
		var at int64
		if err := rows.Scan(&c.Identity, &spki, &c.KeyName, &c.Lane, &c.PublicKey, &at); err != nil {
			return err
		}
		var err error
		c.At = fromMicros(at)
		c.KeySPKI, err = parseDigest(spki)
		all = append(all, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading whom certificates are for: %w", err)
	}
	return all, nil
}
