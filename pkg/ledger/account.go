package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Unaccounted is an intent whose end no log tells yet.
type Unaccounted struct {
	Intent
	Live   bool      // it has not ended
	HeldAt time.Time // from when the lease of a live one runs
	Why    string    // it was abandoned; empty when it was sealed, or is live

	// Signatures are those that were kept. There are none when another's were kept first, and there are some although the
	// intent counts as abandoned when its lease was lost between their making and their keeping.
	Signatures []Signature
}

// Unaccounted lists intents that name the log origin and of whose end that log does not tell, from a number on, in order of
// their number. Some of them may be under way.
func (l *Ledger) Unaccounted(ctx context.Context, origin string, after int64, limit int) ([]Unaccounted, error) {
	found, err := l.unaccounted(ctx, origin, after, limit)
	if err != nil {
		return nil, fmt.Errorf("looking for intents that log %s does not account for: %w", origin, err)
	}
	for i := range found {
		u := &found[i]
		kept, err := l.signatures(ctx, u.Subject, `SELECT key_spki, format, key_name, content, made_at, intent_id, former
			FROM signature_ever WHERE subject = $1 ORDER BY made_at, format`)
		if err != nil {
			return nil, err
		}
		for _, s := range kept {
			if s.IntentID == u.ID {
				u.Signatures = append(u.Signatures, s)
			}
		}
	}
	return found, nil
}

func (l *Ledger) unaccounted(ctx context.Context, origin string, after int64, limit int) ([]Unaccounted, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT id, grant_id, instance, repo, path, subject, key_name, key_spki, formats, policy, rule, policy_set, event_id,
			started_at, log_from, held_at, state, why
		FROM intent WHERE log_origin = $1 AND log_outcome IS NULL AND log_origin <> '' AND id > $2 ORDER BY id LIMIT $3`, origin, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Unaccounted
	for rows.Next() {
		u := Unaccounted{}
		var subject, spki, formats, set string
		var started, from, held int64
		var state int
		if err := rows.Scan(&u.ID, &u.GrantID, &u.Ref.Instance, &u.Ref.Repo, &u.Ref.Path, &subject, &u.KeyName, &spki, &formats, &u.Policy, &u.Rule, &set, &u.EventID,
			&started, &from, &held, &state, &u.Why); err != nil {
			return nil, err
		}
		if u.Subject, err = parseDigest(subject); err == nil {
			u.KeySPKI, err = parseDigest(spki)
		}
		if err == nil {
			u.PolicySet, err = parseDigest(set)
		}
		if err != nil {
			return nil, err
		}
		u.Formats = strings.Split(formats, ",")
		u.StartedAt, u.HeldAt, u.LogFrom, u.LogOrigin, u.Live = fromMicros(started), fromMicros(held), uint64(from), origin, state == 0
		out = append(out, u)
	}
	return out, rows.Err()
}

// Accounted says where a log accounts for an intent.
type Accounted struct {
	IntentID int64
	Index    int64 // of the leaf that announced it; -1 when none did
	Outcome  int64 // of the leaf that tells how it ended; -1 when nothing was announced
}

// Account notes where the log accounts for intents. What was noted first stays.
func (l *Ledger) Account(ctx context.Context, a Accounted) error {
	return l.accounts.Do(ctx, &a)
}

func account(ctx context.Context, tx *sql.Tx, ops []*Accounted) error {
	for _, op := range ops {
		if _, err := tx.ExecContext(ctx, `UPDATE intent SET log_index = $1, log_outcome = $2 WHERE id = $3 AND log_outcome IS NULL`,
			op.Index, op.Outcome, op.IntentID); err != nil {
			return fmt.Errorf("noting where the log accounts for an intent: %w", err)
		}
	}
	return nil
}
