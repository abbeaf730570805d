package notary

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

const (
	recoverPage = 1000             // intents that are looked at together
	telling     = 64               // outcomes that are told at once: the log writes them together
	doubt       = time.Minute      // after which a leaf whose writing failed is certain not to appear any more
	pause       = 5 * time.Second  // after a failure
	watch       = 60 * time.Second // between looks for leases that have run out
)

// Recover tells the log how intents ended of which it does not know: those that an earlier process on this log left behind,
// and those of this one that could not be told. Intents that are under way are left alone; one whose lease has run out while
// nobody is at it is abandoned. It may be called at any time, and again after a crash in its middle: each intent gets one
// outcome.
func (n *Notary) Recover(ctx context.Context) error {
	n.recovering.Lock()
	defer n.recovering.Unlock()
	for after := int64(0); ; {
		page, err := n.Ledger.Unaccounted(ctx, n.Records.Origin(), after, recoverPage)
		if err != nil {
			return err
		}
		if err := n.recoverAll(ctx, page); err != nil {
			return fmt.Errorf("accounting for uses of keys: %w", err)
		}
		if len(page) < recoverPage {
			return nil
		}
		after = page[len(page)-1].ID
	}
}

func (n *Notary) recoverAll(ctx context.Context, page []ledger.Unaccounted) error {
	var ended []ledger.Unaccounted
	for _, in := range page {
		if !n.claim(in.ID) {
			continue
		}
		defer n.release(in.ID)
		over, err := n.over(ctx, &in)
		if err != nil {
			return err
		}
		if over {
			ended = append(ended, in)
		}
	}
	if len(ended) == 0 {
		return nil
	}
	traces, err := n.search(ctx, ended)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(telling)
	for _, in := range ended {
		if t, certain := n.complete(in.ID, traces[in.ID]); certain {
			group.Go(func() error { return n.account(ctx, in, t) })
		}
	}
	return group.Wait()
}

// over reports whether nobody is at the intent any more. One whose lease has run out is abandoned first.
func (n *Notary) over(ctx context.Context, in *ledger.Unaccounted) (bool, error) {
	if !in.Live {
		return true, nil
	}
	if time.Since(in.HeldAt) < n.Ledger.Lease() {
		return false, nil
	}
	in.Live, in.Why = false, "the lease ran out"
	return true, n.Ledger.Abandon(ctx, in.ID, in.Why)
}

// complete adds what this process remembers to what it found in the log. It is not certain for a while when a leaf that is
// not there may appear yet.
func (n *Notary) complete(intent int64, found trace) (_ trace, certain bool) {
	n.mu.Lock()
	u := n.owed[intent]
	n.mu.Unlock()
	if u == nil {
		return found, true
	}
	u.mu.Lock()
	unsure := u.unsure
	u.mu.Unlock()
	t := u.trace()
	if !t.announced {
		t.announced, t.index = found.announced, found.index
	}
	t.told, t.outcome = found.told, found.outcome
	return t, t.told || time.Since(unsure) > doubt
}

// run keeps at it.
func (n *Notary) run(ctx context.Context) {
	defer close(n.done)
	timer := time.NewTimer(max(watch, n.config.Pause))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
			timer.Reset(n.config.Pause)
			continue
		case <-timer.C:
		}
		if err := n.Recover(ctx); err != nil && ctx.Err() == nil {
			n.Log.WarnContext(ctx, "the log does not know yet how all uses of keys ended; it is tried again", slog.Any("error", err))
		}
		next := max(watch, n.config.Pause)
		if n.debts() > 0 {
			next = n.config.Pause
		}
		timer.Reset(next)
	}
}
