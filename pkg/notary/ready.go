package notary

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/singleflight"
)

// Ready reports why a use of the key could not be attested, as far as that is known before: there is no certificate, or the
// clock, or the log, failed the last time and does so again. It is asked before an intent is recorded: what cannot be
// attested then costs neither a signature nor an entry, however often it is tried. Errors are those of the Use itself.
func (u *Use) Ready(ctx context.Context) error {
	if u == nil {
		return nil
	}
	if err := u.notary.clock.ready(ctx); err != nil {
		return err
	}
	if err := u.notary.proofs.ready(ctx); err != nil {
		return err
	}
	_, err := u.notary.certificates.get(ctx, u.key, u.identity)
	return err
}

// health is of a part that is not relied on again, once it has failed, before a probe has succeeded. It is safe for concurrent
// use; many who wait for it make one probe.
type health struct {
	probe  func(ctx context.Context) error
	failed atomic.Bool
	asking singleflight.Group
}

// saw notes how a use of the part ended.
func (h *health) saw(err error) { h.failed.Store(err != nil) }

func (h *health) ready(ctx context.Context) error {
	if !h.failed.Load() {
		return nil
	}
	answer := h.asking.DoChan("", func() (any, error) {
		err := h.probe(context.WithoutCancel(ctx)) // it is for all who wait
		h.saw(err)
		return nil, err
	})
	select {
	case a := <-answer:
		return a.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// probeClock has random bytes stamped.
func (n *Notary) probeClock(ctx context.Context) error {
	var sample [64]byte
	_, _ = rand.Read(sample[:]) // never fails
	_, _, err := n.Clock.Stamp(ctx, sample[:])
	return err
}

// probeProofs has the log prove a leaf that it has, which takes a checkpoint over all of it.
func (n *Notary) probeProofs(ctx context.Context) error {
	if _, err := n.Records.Prove(ctx, n.begun, n.start); err != nil {
		return fmt.Errorf("%w: %w", ErrLog, err)
	}
	return nil
}
