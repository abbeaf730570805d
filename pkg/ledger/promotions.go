package ledger

import (
	"context"
	"fmt"
)

// PromotionSummary is a promotion without its items, which it counts by their states.
type PromotionSummary struct {
	Promotion
	States map[ItemState]int
}

// Promotions lists the newest promotions of an instance, or of all for "", newest first.
func (l *Ledger) Promotions(ctx context.Context, instance string, limit int) ([]PromotionSummary, error) {
	rows, err := l.read.QueryContext(ctx, `SELECT p.id, p.instance, p.kind, p.name, p.target_repo, p.move, p.caller, p.policy_set, p.state, p.started_at, p.ended_at,
			COALESCE(i.state, ''), COUNT(i.seq)
		FROM (SELECT * FROM promotion WHERE $1 = '' OR instance = $2 ORDER BY id DESC LIMIT $3) p
		LEFT JOIN promotion_item i ON i.promotion_id = p.id
		GROUP BY p.id, p.instance, p.kind, p.name, p.target_repo, p.move, p.caller, p.policy_set, p.state, p.started_at, p.ended_at, i.state
		ORDER BY p.id DESC`, instance, instance, limit)
	if err != nil {
		return nil, fmt.Errorf("listing promotions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []PromotionSummary
	for rows.Next() {
		var p Promotion
		var set string
		var of ItemState
		var move, count int
		var started, ended int64
		if err := rows.Scan(&p.ID, &p.Instance, &p.Kind, &p.Name, &p.TargetRepo, &move, &p.Caller, &set, &p.State, &started, &ended, &of, &count); err != nil {
			return nil, fmt.Errorf("listing promotions: %w", err)
		}
		if len(all) == 0 || all[len(all)-1].ID != p.ID {
			if p.PolicySet, err = parseDigest(set); err != nil {
				return nil, fmt.Errorf("listing promotions: promotion %d: %w", p.ID, err)
			}
			p.Move, p.StartedAt, p.EndedAt = move == 1, fromMicros(started), fromMicros(ended)
			all = append(all, PromotionSummary{Promotion: p, States: map[ItemState]int{}})
		}
		if count > 0 {
			all[len(all)-1].States[of] = count
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing promotions: %w", err)
	}
	return all, nil
}
