package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// PromotionState is how far a promotion as a whole has come. One that stays running was cut off with its process.
type PromotionState string

// The states of a promotion.
const (
	PromotionRunning    PromotionState = "running"
	PromotionDone       PromotionState = "done"
	PromotionIncomplete PromotionState = "incomplete"
)

// ItemState is how far one artifact of a promotion has come.
type ItemState string

// The states of an item. A copy ends in done; a move is copied before its source is deleted, and then done.
const (
	ItemWaiting   ItemState = "waiting"   // nothing was changed
	ItemBegun     ItemState = "begun"     // it is being carried, or that was cut off: it may stand at the target, whole or in part
	ItemCopied    ItemState = "copied"    // it stands at the target, whole and verified; its source is still there
	ItemDone      ItemState = "done"      // it stands at the target; of a move, its source is gone
	ItemFailed    ItemState = "failed"    // it does not stand at the target, or not whole; its source is untouched
	ItemWithdrawn ItemState = "withdrawn" // its bytes are not those of the verdict any more; nothing of it is left at the target
)

// Promotion is the record of one promotion: made durable before anything is changed, and after every step.
type Promotion struct {
	ID         int64 // set by BeginPromotion
	Instance   string
	Kind       string // file, build, …
	Name       string // of what was promoted as one, such as a build; "" for files
	TargetRepo string
	Move       bool
	Caller     string
	PolicySet  artifact.Digest
	State      PromotionState
	StartedAt  time.Time // zero: now
	EndedAt    time.Time
	Items      []PromotionItem
}

// PromotionItem is one artifact of a promotion.
type PromotionItem struct {
	Source  artifact.Ref
	Target  artifact.Ref
	Subject artifact.Digest
	Files   []string // names of the signature files that go along
	Rule    string   // of the gate policy that let it in
	Move    bool
	State   ItemState
	Reasons []reason.Reason // why it failed or was withdrawn
	At      time.Time       // of the state
}

// promotionOp is one write about a promotion.
type promotionOp func(ctx context.Context, tx *sql.Tx) error

func writePromotions(ctx context.Context, tx *sql.Tx, ops []promotionOp) error {
	for _, op := range ops {
		if err := op(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

// BeginPromotion makes the record of a promotion and all its items durable, and numbers it.
func (l *Ledger) BeginPromotion(ctx context.Context, p Promotion) (Promotion, error) {
	if p.StartedAt.IsZero() {
		p.StartedAt = time.Now()
	}
	p.State = PromotionRunning
	err := l.promotions.Do(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		if p.ID, err = Numbers(ctx, tx, "promotion", 1); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO promotion (id, instance, kind, name, target_repo, move, caller, policy_set, state, started_at, ended_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)`,
			p.ID, p.Instance, p.Kind, p.Name, p.TargetRepo, flag(p.Move), p.Caller, digestText(p.PolicySet), string(p.State), micros(p.StartedAt))
		if err != nil {
			return fmt.Errorf("recording the promotion: %w", err)
		}
		for seq, it := range p.Items {
			if err := insertItem(ctx, tx, p, seq, it); err != nil {
				return err
			}
		}
		return nil
	})
	return p, err
}

func insertItem(ctx context.Context, tx *sql.Tx, p Promotion, seq int, it PromotionItem) error {
	files, err := text(it.Files)
	if err != nil {
		return fmt.Errorf("recording the promotion: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO promotion_item (promotion_id, seq, instance, repo, path, target_repo, target_path, subject,
			files, rule, move, state, reasons, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, '', $13)`,
		p.ID, seq, it.Source.Instance, it.Source.Repo, it.Source.Path, it.Target.Repo, it.Target.Path, digestText(it.Subject),
		files, it.Rule, flag(p.Move), string(it.State), micros(p.StartedAt))
	if err != nil {
		return fmt.Errorf("recording the promotion: %w", err)
	}
	return nil
}

// PromotionItem makes the new state of one item durable; seq is its place among Promotion.Items.
func (l *Ledger) PromotionItem(ctx context.Context, promotion int64, seq int, state ItemState, why []reason.Reason) error {
	reasons, err := text(why)
	if err != nil {
		return fmt.Errorf("recording the promotion: %w", err)
	}
	now := micros(time.Now())
	return l.promotions.Do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE promotion_item SET state = $1, reasons = $2, at = $3 WHERE promotion_id = $4 AND seq = $5`,
			string(state), reasons, now, promotion, seq)
		if err != nil {
			return fmt.Errorf("recording the promotion: %w", err)
		}
		return nil
	})
}

// BeginItems makes durable, at once, that all items of a promotion that wait are begun.
func (l *Ledger) BeginItems(ctx context.Context, promotion int64) error {
	now := micros(time.Now())
	return l.promotions.Do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE promotion_item SET state = 'begun', at = $1 WHERE promotion_id = $2 AND state = 'waiting'`, now, promotion)
		if err != nil {
			return fmt.Errorf("recording the promotion: %w", err)
		}
		return nil
	})
}

// EndPromotion makes the end of a promotion durable.
func (l *Ledger) EndPromotion(ctx context.Context, promotion int64, state PromotionState) error {
	now := micros(time.Now())
	return l.promotions.Do(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE promotion SET state = $1, ended_at = $2 WHERE id = $3`, string(state), now, promotion)
		if err != nil {
			return fmt.Errorf("recording the promotion: %w", err)
		}
		return nil
	})
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
