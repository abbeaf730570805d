package promotion

import (
	"context"
	"errors"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// A turn in the ledger is what keeps replicas apart. It lasts two minutes when it is not taken again, so a replica that
// dies is waited for no longer. One that could not take it again for a minute stops, which leaves the clocks of two
// replicas a minute to differ.
const (
	turnPoll  = 500 * time.Millisecond
	turnRenew = 15 * time.Second
	turnLost  = time.Minute
)

// errTurn ends the context of a promotion that is not alone any more, as far as it can know.
var errTurn = errors.New("this replica may not promote there alone any more")

// take asks for the turn; see ledger.Ledger.TakeTurn.
type take func(ctx context.Context) (mine bool, err error)

// turn waits until no other replica promotes into a repository. Nobody else does before release is called, or held ends
// with errTurn.
func (s *Service) turn(ctx context.Context, key string) (held context.Context, release func(), err error) {
	name := "promote " + key
	ask := func(ctx context.Context) (bool, error) { return s.Ledger.TakeTurn(ctx, name) }
	yield := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		_ = s.Ledger.YieldTurn(ctx, name) // or else it ends by itself
	}
	taken, err := await(ctx, ask)
	if err != nil {
		yield() // its commit may have gone through unheard
		return nil, nil, err
	}
	held, stop := keep(ctx, taken, ask)
	return held, func() { stop(); yield() }, nil
}

// await asks until the turn is taken and tells since when it is.
func await(ctx context.Context, ask take) (taken time.Time, err error) {
	tick := time.NewTicker(turnPoll)
	defer tick.Stop()
	for {
		taken = time.Now()
		if mine, err := ask(ctx); err != nil || mine {
			return taken, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return taken, ctx.Err()
		}
	}
}

// keep takes the turn again and again until stop is called.
func keep(ctx context.Context, taken time.Time, ask take) (held context.Context, stop func()) {
	held, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(turnRenew)
		defer tick.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-tick.C:
			}
			asked := time.Now()
			within, end := context.WithDeadline(held, taken.Add(turnLost))
			mine, err := ask(within)
			end()
			switch {
			case err == nil && mine:
				taken = asked
			case err == nil, time.Since(taken) >= turnLost:
				cancel(errTurn)
				return
			}
		}
	}()
	return held, func() { cancel(nil); <-done }
}

// alone reports whether the promotion had its targets to itself until now, and tells when not.
func (r *run) alone(ctx context.Context) bool {
	if !errors.Is(context.Cause(ctx), errTurn) {
		return true
	}
	r.reasons = append(r.reasons, reason.Reason{
		Code: reason.Undecided, Message: "the promotion stopped half way, because another replica may be promoting into " + r.into() + " by now",
		Found: "the ledger was out of reach for a minute, or another replica took the turn over", Expected: "one replica at a time promotes into a repository",
		Fix: "repeat the promotion; if it stays: hallmark doctor, and compare the replicas' clocks", Who: "platform engineers",
	})
	return false
}
