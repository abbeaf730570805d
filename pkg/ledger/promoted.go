package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const itemColumns = `i.instance, i.repo, i.path, i.target_repo, i.target_path, i.subject, i.files, i.rule, i.move, i.state, i.reasons, i.at`

// Promotion reads the record of a promotion; ErrUnknown when there is none of this number.
func (l *Ledger) Promotion(ctx context.Context, id int64) (Promotion, error) {
	p := Promotion{ID: id}
	var set string
	var move int
	var started, ended int64
	err := l.read.QueryRowContext(ctx, `SELECT instance, kind, name, target_repo, move, caller, policy_set, state, started_at, ended_at
		FROM promotion WHERE id = $1`, id).Scan(&p.Instance, &p.Kind, &p.Name, &p.TargetRepo, &move, &p.Caller, &set, &p.State, &started, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return Promotion{}, fmt.Errorf("promotion %d: %w", id, ErrUnknown)
	}
	if err == nil {
		p.PolicySet, err = parseDigest(set)
	}
	if err == nil {
		p.Items, err = l.items(ctx, `SELECT `+itemColumns+` FROM promotion_item i WHERE i.promotion_id = $1 ORDER BY i.seq`, id)
	}
	if err != nil {
		return Promotion{}, fmt.Errorf("reading promotion %d: %w", id, err)
	}
	p.Move, p.StartedAt, p.EndedAt = move == 1, fromMicros(started), fromMicros(ended)
	return p, nil
}

// Promoted returns the newest item about a pair of places; false when there never was one.
func (l *Ledger) Promoted(ctx context.Context, source, target artifact.Ref) (PromotionItem, bool, error) {
	items, err := l.items(ctx, `SELECT `+itemColumns+` FROM promotion_item i
		WHERE i.repo = $1 AND i.path = $2 AND i.target_repo = $3 AND i.target_path = $4 AND i.instance = $5
		ORDER BY i.promotion_id DESC LIMIT 1`, source.Repo, source.Path, target.Repo, target.Path, source.Instance)
	if err != nil || len(items) == 0 {
		return PromotionItem{}, false, err
	}
	return items[0], true, nil
}

// PromotedTo returns the newest item about a target; false when there never was one.
func (l *Ledger) PromotedTo(ctx context.Context, target artifact.Ref) (PromotionItem, bool, error) {
	items, err := l.items(ctx, `SELECT `+itemColumns+` FROM promotion_item i
		WHERE i.target_repo = $1 AND i.target_path = $2 AND i.instance = $3
		ORDER BY i.promotion_id DESC LIMIT 1`, target.Repo, target.Path, target.Instance)
	if err != nil || len(items) == 0 {
		return PromotionItem{}, false, err
	}
	return items[0], true, nil
}

// Claimed reports whether another promotion than the numbered one has put something at a target, or tried to, since a time.
func (l *Ledger) Claimed(ctx context.Context, target artifact.Ref, besides int64, since time.Time) (bool, error) {
	var n int
	err := l.read.QueryRowContext(ctx, `SELECT count(*) FROM promotion_item i
		WHERE i.target_repo = $1 AND i.target_path = $2 AND i.instance = $3 AND i.promotion_id <> $4 AND i.at >= $5
		AND i.state NOT IN ('waiting', 'withdrawn')`, target.Repo, target.Path, target.Instance, besides, micros(since)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("reading promotions: %w", err)
	}
	return n > 0, nil
}

// HalfMoved lists what was moved from one repository to another only half: it stands at the target, and its source, or
// what is left of it, was not deleted yet.
func (l *Ledger) HalfMoved(ctx context.Context, instance, repo, targetRepo string) ([]PromotionItem, error) {
	return l.items(ctx, `SELECT `+itemColumns+` FROM promotion_item i
		WHERE i.repo = $1 AND i.target_repo = $2 AND i.instance = $3 AND i.state = 'copied' AND i.move = 1
		AND NOT EXISTS (SELECT 1 FROM promotion_item n WHERE n.repo = i.repo AND n.path = i.path AND n.target_repo = i.target_repo
			AND n.target_path = i.target_path AND n.instance = i.instance AND n.promotion_id > i.promotion_id)
		ORDER BY i.path`, repo, targetRepo, instance)
}

func (l *Ledger) items(ctx context.Context, query string, args ...any) ([]PromotionItem, error) {
	rows, err := l.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading promotions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var items []PromotionItem
	for rows.Next() {
		it, err := scanItem(rows)
		if err != nil {
			return nil, fmt.Errorf("reading promotions: %w", err)
		}
		items = append(items, it)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading promotions: %w", err)
	}
	return items, nil
}

func scanItem(rows *sql.Rows) (it PromotionItem, err error) {
	var subject, files, reasons string
	var move int
	var at int64
	err = rows.Scan(&it.Source.Instance, &it.Source.Repo, &it.Source.Path, &it.Target.Repo, &it.Target.Path, &subject, &files,
		&it.Rule, &move, &it.State, &reasons, &at)
	if err != nil {
		return it, err
	}
	it.Target.Instance, it.Move, it.At = it.Source.Instance, move == 1, fromMicros(at)
	if it.Subject, err = parseDigest(subject); err != nil {
		return it, err
	}
	if it.Files, err = list[string](files); err != nil {
		return it, err
	}
	it.Reasons, err = list[reason.Reason](reasons)
	return it, err
}
