package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Known is what the ledger knows about one place, in short.
type Known struct {
	State   State           // of the newest outcome; "" when no work has ended
	Subject artifact.Digest // of that outcome
	Asked   *policy.Asked   // what that outcome was decided on; nil when nothing was, or nothing is on record
	Events  []Arrived
}

// Arrived is the newest event with the announced digest, which may be empty.
type Arrived struct {
	SHA256 string
	At     time.Time
}

// chunk is how many places one query asks for. The texts of queries are bounded in number, because connections remember
// them; the last places of a list are repeated until a chunk is full.
const chunk = 100

// Known looks many places of a repository up at once. Those that the ledger has never heard of are left out.
func (l *Ledger) Known(ctx context.Context, instance, repo string, paths []string) (map[string]Known, error) {
	known := make(map[string]Known)
	err := eachChunk(paths, func(some []any) error {
		args := append(some, repo, instance)
		err := l.each(ctx, knownEvents, args, func(rows *sql.Rows) error {
			var path, sha string
			var at int64
			if err := rows.Scan(&path, &sha, &at); err != nil {
				return err
			}
			k := known[path]
			k.Events = append(k.Events, Arrived{SHA256: sha, At: fromMicros(at)})
			known[path] = k
			return nil
		})
		if err != nil {
			return err
		}
		return l.each(ctx, knownOutcomes, args, func(rows *sql.Rows) error {
			var path, subject, state, facts string
			var moment int64
			if err := rows.Scan(&path, &subject, &state, &moment, &facts); err != nil {
				return err
			}
			k := known[path]
			var errs [2]error
			k.State = State(state)
			k.Subject, errs[0] = parseDigest(subject)
			k.Asked, errs[1] = policy.ParseAsked(facts, fromMicros(moment))
			known[path] = k
			return errors.Join(errs[:]...)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("looking up places: %w", err)
	}
	return known, nil
}

// SignaturesOf is Signatures for many digests at once, in no order.
func (l *Ledger) SignaturesOf(ctx context.Context, subjects []artifact.Digest) (map[artifact.Digest][]Signature, error) {
	texts := make([]string, len(subjects))
	for i, d := range subjects {
		texts[i] = d.String()
	}
	sigs := make(map[artifact.Digest][]Signature)
	err := eachChunk(texts, func(some []any) error {
		return l.each(ctx, keptSignatures, some, func(rows *sql.Rows) error {
			var s Signature
			var subject, spki string
			var made int64
			if err := rows.Scan(&subject, &spki, &s.Format, &s.KeyName, &s.Content, &made, &s.IntentID, &s.Former); err != nil {
				return err
			}
			var err error
			s.MadeAt = fromMicros(made)
			if s.Subject, err = parseDigest(subject); err != nil {
				return err
			}
			if s.KeySPKI, err = parseDigest(spki); err != nil {
				return err
			}
			sigs[s.Subject] = append(sigs[s.Subject], s)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("looking up signatures: %w", err)
	}
	return sigs, nil
}

// Waiting reports whether work on an artifact has not ended.
func (l *Ledger) Waiting(ctx context.Context, ref artifact.Ref) (bool, error) {
	waiting := l.waiting.Load()
	if waiting == nil {
		return false, nil
	}
	event, _, err := (*waiting)(ctx, ref)
	return event != 0, err
}

var (
	knownEvents = `SELECT path, sha256, MAX(received_at) FROM event
		WHERE path IN (` + placeholders() + `) AND repo = $101 AND instance = $102 GROUP BY path, sha256`
	knownOutcomes = `SELECT path, subject, state, moment, ` + outcomeFacts + ` FROM outcome t WHERE path IN (` + placeholders() + `) AND repo = $101 AND instance = $102
		AND at = (SELECT MAX(at) FROM outcome x WHERE x.repo = t.repo AND x.path = t.path AND x.instance = t.instance)`
	keptSignatures = `SELECT subject, key_spki, format, key_name, content, made_at, intent_id, former FROM signature_ever WHERE subject IN (` + placeholders() + `)`
)

func placeholders() string {
	s := "$1"
	for i := 2; i <= chunk; i++ {
		s += fmt.Sprintf(", $%d", i)
	}
	return s
}

func eachChunk(values []string, do func(some []any) error) error {
	for len(values) > 0 {
		some := make([]any, chunk, chunk+2)
		for i := range some {
			some[i] = values[min(i, len(values)-1)]
		}
		if err := do(some); err != nil {
			return err
		}
		values = values[min(chunk, len(values)):]
	}
	return nil
}

func (l *Ledger) each(ctx context.Context, query string, args []any, do func(*sql.Rows) error) error {
	rows, err := l.read.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := do(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
