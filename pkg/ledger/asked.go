package ledger

import (
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// factsToKeep are facts as they are written, and their moment.
func factsToKeep(asked *policy.Asked) (text string, moment int64, err error) {
	if asked == nil {
		return "", 0, nil
	}
	text, err = asked.Text()
	return text, micros(asked.At), err
}

// The SQL of a row's facts, wherever they stand; the row is t.
const (
	outcomeFacts = `CASE WHEN t.facts_at = 0 THEN t.facts ELSE COALESCE((SELECT h.facts FROM outcome h
		WHERE h.repo = t.repo AND h.path = t.path AND h.instance = t.instance AND h.at = t.facts_at AND h.facts <> '' LIMIT 1), '') END`
	verdictFacts = `CASE WHEN t.facts_at = 0 THEN t.facts ELSE COALESCE((SELECT h.facts FROM verdict h
		WHERE h.repo = t.repo AND h.path = t.path AND h.instance = t.instance AND h.at = t.facts_at AND h.facts <> '' LIMIT 1), '') END`
)

// An artifact that is asked about again and again under the same circumstances keeps the facts once: these are the times of
// the row that holds the same as are being written, if one of the place's four newest decisions has them. The place is $1 to
// $3, the facts are $4.
const (
	sameOutcome = `(SELECT CASE WHEN n.facts_at = 0 THEN n.at ELSE n.facts_at END FROM (SELECT t.at, t.facts_at, ` + outcomeFacts + ` AS facts FROM outcome t
		WHERE t.repo = $1 AND t.path = $2 AND t.instance = $3 ORDER BY t.at DESC LIMIT 4) n WHERE n.facts = $4 ORDER BY n.at DESC LIMIT 1)`
	sameVerdict = `(SELECT CASE WHEN n.facts_at = 0 THEN n.at ELSE n.facts_at END FROM (SELECT t.at, t.facts_at, ` + verdictFacts + ` AS facts FROM verdict t
		WHERE t.repo = $1 AND t.path = $2 AND t.instance = $3 ORDER BY t.at DESC LIMIT 4) n WHERE n.facts = $4 ORDER BY n.at DESC LIMIT 1)`
)
