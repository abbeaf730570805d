package notary

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// enter has the use answered for by this process.
func (n *Notary) enter(u *Use) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.flight[u.intent.ID] = u
}

// Ended tells the log how uses ended, once the ledger knows; nil ones and those without an intent are passed over. That
// nothing is signed and not told is not what waits for it: what cannot be told now is told when the log is back, or by the
// next process.
func (n *Notary) Ended(ctx context.Context, uses ...*Use) {
	var all sync.WaitGroup
	for _, u := range uses {
		if u != nil && u.intent.ID != 0 {
			all.Go(func() { n.ended(ctx, u) })
		}
	}
	all.Wait()
}

func (n *Notary) ended(ctx context.Context, u *Use) {
	n.mu.Lock()
	delete(n.flight, u.intent.ID)
	n.owed[u.intent.ID], n.telling[u.intent.ID] = u, true
	n.mu.Unlock()
	told, err := n.settle(ctx, u)
	n.release(u.intent.ID)
	if err != nil {
		n.Log.WarnContext(ctx, "the log was not told how the use of a key ended; it is tried again", slog.String("key", u.key.Name), slog.Int64("intent", u.intent.ID), slog.Any("error", err))
	}
	if !told {
		select {
		case n.wake <- struct{}{}:
		default:
		}
	}
}

// claim reports whether the caller, and nobody else until release, is to tell of the intent.
func (n *Notary) claim(intent int64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.flight[intent] != nil || n.telling[intent] {
		return false
	}
	n.telling[intent] = true
	return true
}

func (n *Notary) release(intent int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.telling, intent)
}

// settle tells the log of one use what the ledger says became of it. It reports false when that has to be done later.
func (n *Notary) settle(ctx context.Context, u *Use) (bool, error) {
	known := u.trace()
	if !known.announced {
		return false, nil // it may stand in the log all the same: Recover looks
	}
	found, err := n.Ledger.Unaccounted(ctx, n.Records.Origin(), u.intent.ID-1, 1)
	if err != nil {
		return false, err
	}
	if len(found) == 0 || found[0].ID != u.intent.ID {
		n.settled(u.intent.ID)
		return true, nil
	}
	if found[0].Live {
		return false, nil // it could not be ended in the ledger
	}
	err = n.account(ctx, found[0], known)
	return err == nil, err
}

func (u *Use) trace() trace {
	u.mu.Lock()
	defer u.mu.Unlock()
	return trace{announced: u.announced, index: u.index, certificate: u.certificate, made: slices.Clone(u.made)}
}

// unsure notes that a leaf about the intent may appear in the log although its writing failed.
func (n *Notary) unsure(intent int64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if u := n.owed[intent]; u != nil && errors.Is(err, audit.ErrUnconfirmed) {
		u.doubt(time.Now())
	}
}

func (u *Use) doubt(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.unsure = now
}

// settled ends the debt.
func (n *Notary) settled(intent int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.owed, intent)
}

// debts is how many uses have ended in this process without the log being told.
func (n *Notary) debts() float64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return float64(len(n.owed))
}

// trace is what is known of a use besides what the ledger says.
type trace struct {
	announced   bool
	index       uint64 // of the intent's leaf
	told        bool
	outcome     uint64 // the leaf that tells of the end, when it was told
	certificate artifact.Digest
	made        []audit.Use
}

// account writes the outcome leaf, unless there is one, and notes in the ledger where it stands. A crash between the two
// has Recover find the leaf.
func (n *Notary) account(ctx context.Context, in ledger.Unaccounted, t trace) error {
	place := ledger.Accounted{IntentID: in.ID, Index: -1, Outcome: -1}
	if t.announced {
		if !t.told {
			index, err := n.add(ctx, "outcome", outcome(in, t))
			if err != nil {
				n.unsure(in.ID, err)
				return err
			}
			t.outcome = index
		}
		place.Index, place.Outcome = int64(t.index), int64(t.outcome)
	}
	if err := n.Ledger.Account(ctx, place); err != nil {
		return err
	}
	n.settled(in.ID)
	return nil
}

// outcome is the leaf. An intent was fulfilled when the ledger has kept signatures made under it: they, and nothing else,
// may be published.
func outcome(in ledger.Unaccounted, t trace) audit.Outcome {
	o := audit.Outcome{Intent: t.index, Result: audit.Abandoned, Why: in.Why, Certificate: t.certificate, Uses: t.made, At: time.Now()}
	switch {
	case len(in.Signatures) > 0:
		o.Result, o.Why = audit.Sealed, ""
	case in.Why == "":
		o.Why = "signatures of the same bytes were kept before"
	}
	o.Why = clip(o.Why)
	return o
}
