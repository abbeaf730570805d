package promotion

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// recordTimeout bounds the writes that must happen although the time for the work is over.
const recordTimeout = 10 * time.Second

// begin is step 3.
func (r *run) begin(ctx context.Context) error {
	p := ledger.Promotion{
		Instance: r.req.Instance, Kind: string(r.way.kind), Name: r.way.name(r.req), TargetRepo: r.into(), Move: r.req.Move, Caller: r.req.Caller, PolicySet: r.policies.Digest(), StartedAt: r.at,
	}
	for _, it := range r.items {
		if it.known {
			it.state = ledger.ItemCopied
		}
		row := ledger.PromotionItem{Source: it.source, Target: it.target, Subject: it.digest, Rule: it.rule, State: it.state}
		for _, f := range it.files {
			row.Files = append(row.Files, f.name)
		}
		p.Items = append(p.Items, row)
	}
	p, err := r.Ledger.BeginPromotion(ctx, p)
	if err != nil {
		return fmt.Errorf("recording the promotion; nothing was changed: %w", err)
	}
	r.id = p.ID
	r.meter.recorded(r.id)
	r.Log.InfoContext(ctx, "promotion begins", slog.Int64("promotion", r.id), slog.String("kind", string(r.way.kind)),
		slog.String("name", r.way.name(r.req)), slog.String("target", r.into()), slog.Int("artifacts", len(r.items)), slog.Bool("move", r.req.Move), slog.String("caller", r.req.Caller))
	return nil
}

// into names the targets.
func (r *run) into() string { return strings.Join(r.targets, ",") }

// settle makes an item's state durable. What cannot be recorded is not built upon: the promotion stops.
func (r *run) settle(ctx context.Context, seq int, it *item, state ledger.ItemState) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	it.state = state
	if err := r.Ledger.PromotionItem(ctx, r.id, seq, state, it.reasons); err != nil {
		it.reasons = append(it.reasons, r.trouble(ctx, "recording how far it came", err))
		return false
	}
	return true
}

// beginAll makes durable that everything may stand at the target from now on.
func (r *run) beginAll(ctx context.Context) bool {
	if err := r.Ledger.BeginItems(ctx, r.id); err != nil {
		r.undecided(ctx, "recording that the promotion begins; nothing was changed, and that", err)
		return false
	}
	for _, it := range r.items {
		if it.state == ledger.ItemWaiting {
			it.state = ledger.ItemBegun
		}
	}
	return true
}

// failed records why an item does not stand at the target as it should.
func (r *run) failed(ctx context.Context, seq int, it *item, cause error) {
	state := ledger.ItemFailed
	if withdrawn(cause) {
		state = ledger.ItemWithdrawn
	}
	it.reasons = append(it.reasons, r.why(ctx, it, cause))
	r.settle(ctx, seq, it, state)
}

// stuck records why an item's source is still there, or a part of it.
func (r *run) stuck(ctx context.Context, seq int, it *item, cause error) {
	it.reasons = append(it.reasons, r.why(ctx, it, cause))
	r.settle(ctx, seq, it, ledger.ItemCopied)
}

// end is the last word of the record, and of the log.
func (r *run) end(ctx context.Context, state ledger.PromotionState) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	r.ended = state
	for _, it := range r.items {
		r.Service.items.WithLabelValues(string(it.state)).Inc()
	}
	if err := r.Ledger.EndPromotion(ctx, r.id, state); err != nil {
		r.reasons = append(r.reasons, r.trouble(ctx, "recording the promotion's end", err))
		r.ended = ledger.PromotionIncomplete
	}
	r.Log.InfoContext(ctx, "promotion ended", slog.Int64("promotion", r.id), slog.String("target", r.into()),
		slog.String("state", string(r.ended)), slog.Duration("took", time.Since(r.at)))
}

// report tells what the run knows now.
func (r *run) report() Report {
	out := Report{
		ID: r.id, Kind: r.way.kind, Name: r.way.name(r.req), State: StateAllowed, Instance: r.req.Instance, Target: r.into(), Move: r.req.Move, Caller: r.req.Caller, At: r.at,
		Reasons: append([]reason.Reason{}, r.reasons...), Items: make([]Item, len(r.items)),
	}
	if len(r.reasons) > 0 || len(r.items) == 0 {
		out.State = StateRefused
	}
	for _, why := range r.reasons {
		if why.Code == reason.Undecided {
			out.State = StateUndecided
		}
	}
	for i, it := range r.items {
		out.Items[i] = it.report(r.id != 0)
		switch {
		case it.verdict == StateUndecided:
			out.State = StateUndecided
		case it.verdict == StateRefused && out.State == StateAllowed:
			out.State = StateRefused
		}
	}
	switch {
	case r.ended == ledger.PromotionDone:
		out.State = StateDone
	case r.id != 0:
		out.State = StateIncomplete
	}
	return out
}

func (it *item) report(begun bool) Item {
	out := Item{
		Artifact: it.source.String(), Target: it.target.String(), SHA256: it.digest, State: string(it.verdict), Files: []string{}, Left: it.left,
		Policy: it.rule, Reasons: append([]reason.Reason{}, it.reasons...),
	}
	if begun {
		out.State = string(it.state)
	}
	for _, f := range it.files {
		out.Files = append(out.Files, f.name)
	}
	return out
}
