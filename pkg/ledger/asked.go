package ledger

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// sameAs is how many of a place's newest decisions are looked at for facts that are the same.
const sameAs = 4

// keptFacts is how what a decision was made with stands in a row.
type keptFacts struct {
	text   string // empty when there is none, or when an earlier row of the place has the same
	at     int64  // of that row
	moment int64
}

// keepFacts finds out how facts are to be stored. An artifact that is asked about again and again under the same
// circumstances keeps them once. newest is the query for the place's rows.
func keepFacts(ctx context.Context, tx *sql.Tx, newest string, place artifact.Ref, asked *policy.Asked) (keptFacts, error) {
	if asked == nil {
		return keptFacts{}, nil
	}
	text, err := asked.Text()
	if err != nil {
		return keptFacts{}, err
	}
	kept := keptFacts{text: text, moment: micros(asked.At)}
	rows, err := tx.QueryContext(ctx, newest, place.Repo, place.Path, place.Instance, sameAs)
	if err != nil {
		return keptFacts{}, fmt.Errorf("looking for the same facts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var at, holder int64
		var facts string
		if err := rows.Scan(&at, &holder, &facts); err != nil {
			return keptFacts{}, fmt.Errorf("looking for the same facts: %w", err)
		}
		if facts == text {
			if kept.text, kept.at = "", holder; holder == 0 {
				kept.at = at
			}
			break
		}
	}
	return kept, rows.Err()
}

// The SQL of a row's facts, wherever they stand; the row is t.
const (
	outcomeFacts = `CASE WHEN t.facts_at = 0 THEN t.facts ELSE COALESCE((SELECT h.facts FROM outcome h
		WHERE h.repo = t.repo AND h.path = t.path AND h.instance = t.instance AND h.at = t.facts_at AND h.facts <> '' LIMIT 1), '') END`
	verdictFacts = `CASE WHEN t.facts_at = 0 THEN t.facts ELSE COALESCE((SELECT h.facts FROM verdict h
		WHERE h.repo = t.repo AND h.path = t.path AND h.instance = t.instance AND h.at = t.facts_at AND h.facts <> '' LIMIT 1), '') END`
)

// The newest rows of a place with their facts.
const (
	newestOutcomes = `SELECT at, facts_at, ` + outcomeFacts + ` FROM outcome t WHERE repo = $1 AND path = $2 AND instance = $3 ORDER BY at DESC LIMIT $4`
	newestVerdicts = `SELECT at, facts_at, ` + verdictFacts + ` FROM verdict t WHERE repo = $1 AND path = $2 AND instance = $3 ORDER BY at DESC LIMIT $4`
)
