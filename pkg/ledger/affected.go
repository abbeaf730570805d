package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Affected are bytes that a key has signed, with every place that the ledger knows of them.
type Affected struct {
	Subject  artifact.Digest
	Formats  []string       // of the signatures
	MadeAt   time.Time      // of the first of them
	Places   []artifact.Ref // where they were signed, or found to be signed
	Promoted []PromotedTo
}

// PromotedTo is a place to which a promotion brought some bytes, or may have brought them.
type PromotedTo struct {
	Promotion int64
	Target    artifact.Ref
	State     ItemState
	At        time.Time
}

// CountAffected counts the bytes that a key has signed since a moment.
func (l *Ledger) CountAffected(ctx context.Context, key artifact.Digest, since time.Time) (n int64, err error) {
	err = l.read.QueryRowContext(ctx, `SELECT COUNT(DISTINCT subject) FROM signature_ever WHERE key_spki = $1 AND made_at >= $2`, key.String(), micros(since)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("counting what a key has signed: %w", err)
	}
	return n, nil
}

// Affected lists the bytes that a key has signed since a moment, in the order of their digests: a page of those after one.
// more is false on the last page.
func (l *Ledger) Affected(ctx context.Context, key artifact.Digest, since time.Time, after artifact.Digest) (page []Affected, more bool, err error) {
	page, err = l.affected(ctx, key, since, after)
	if err != nil {
		return nil, false, fmt.Errorf("listing what a key has signed: %w", err)
	}
	return page, len(page) == chunk, nil
}

func (l *Ledger) affected(ctx context.Context, key artifact.Digest, since time.Time, after artifact.Digest) ([]Affected, error) {
	var page []Affected
	var subjects []string
	place := map[artifact.Digest]int{}
	find := func(subject string) (*Affected, error) {
		d, err := parseDigest(subject)
		if err != nil {
			return nil, err
		}
		i, ok := place[d]
		if !ok {
			return nil, errors.New("a digest that was not asked for")
		}
		return &page[i], nil
	}
	err := l.each(ctx, `SELECT subject, MIN(made_at) FROM signature_ever WHERE key_spki = $1 AND made_at >= $2 AND subject > $3 GROUP BY subject ORDER BY subject LIMIT `+fmt.Sprint(chunk),
		[]any{key.String(), micros(since), digestText(after)}, func(rows *sql.Rows) error {
			var subject string
			var made int64
			if err := rows.Scan(&subject, &made); err != nil {
				return err
			}
			d, err := parseDigest(subject)
			if err != nil {
				return err
			}
			place[d], subjects = len(page), append(subjects, subject)
			page = append(page, Affected{Subject: d, MadeAt: fromMicros(made)})
			return nil
		})
	if err != nil || len(page) == 0 {
		return page, err
	}
	err = eachChunk(subjects, func(some []any) error {
		signed := append(slices.Clone(some), key.String(), micros(since))
		if err := l.each(ctx, affectedSignatures, signed, func(rows *sql.Rows) error {
			var subject, format string
			var at artifact.Ref
			if err := rows.Scan(&subject, &format, &at.Instance, &at.Repo, &at.Path); err != nil {
				return err
			}
			a, err := find(subject)
			if err != nil {
				return err
			}
			if !slices.Contains(a.Formats, format) {
				a.Formats = append(a.Formats, format)
			}
			a.stands(at)
			return nil
		}); err != nil {
			return err
		}
		if err := l.each(ctx, affectedOutcomes, some, func(rows *sql.Rows) error {
			var subject string
			var at artifact.Ref
			if err := rows.Scan(&subject, &at.Instance, &at.Repo, &at.Path); err != nil {
				return err
			}
			a, err := find(subject)
			if err != nil {
				return err
			}
			a.stands(at)
			return nil
		}); err != nil {
			return err
		}
		return l.each(ctx, affectedPromotions, some, func(rows *sql.Rows) error {
			var subject string
			var p PromotedTo
			var at int64
			if err := rows.Scan(&subject, &p.Promotion, &p.Target.Instance, &p.Target.Repo, &p.Target.Path, &p.State, &at); err != nil {
				return err
			}
			a, err := find(subject)
			if err != nil {
				return err
			}
			p.At = fromMicros(at)
			a.Promoted = append(a.Promoted, p)
			return nil
		})
	})
	return page, err
}

// stands notes a place once.
func (a *Affected) stands(at artifact.Ref) {
	if at.Repo != "" && !slices.Contains(a.Places, at) {
		a.Places = append(a.Places, at)
	}
}

var (
	affectedSignatures = `SELECT s.subject, s.format, COALESCE(i.instance, ''), COALESCE(i.repo, ''), COALESCE(i.path, '')
		FROM signature_ever s LEFT JOIN intent i ON i.id = s.intent_id
		WHERE s.subject IN (` + placeholders() + `) AND s.key_spki = $101 AND s.made_at >= $102 ORDER BY s.made_at, s.format`
	affectedOutcomes = `SELECT subject, instance, repo, path FROM outcome WHERE subject IN (` + placeholders() + `) AND state = 'signed' GROUP BY subject, instance, repo, path ORDER BY MIN(at)`
	// What failed or was withdrawn does not stand there; what was begun may.
	affectedPromotions = `SELECT subject, promotion_id, instance, target_repo, target_path, state, at FROM promotion_item
		WHERE subject IN (` + placeholders() + `) AND state IN ('begun', 'copied', 'done') ORDER BY promotion_id, seq`
)
