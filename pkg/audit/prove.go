package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// unproven are leaves that are in the log and wait for their proof.
type unproven struct {
	mu    sync.Mutex
	some  *sync.Cond
	list  []*pending
	open  int           // those that were taken and are not finished, too
	none  chan struct{} // closed while open is 0
	ended bool
}

func newUnproven() *unproven {
	u := &unproven{none: make(chan struct{})}
	u.some = sync.NewCond(&u.mu)
	close(u.none)
	return u
}

func (u *unproven) add(more []*pending) {
	if len(more) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open == 0 {
		u.none = make(chan struct{})
	}
	u.list = append(u.list, more...)
	u.open += len(more)
	u.some.Signal()
}

// finished says that so many are proven, or never will be.
func (u *unproven) finished(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open -= n; u.open == 0 {
		close(u.none)
	}
}

// quiet is closed when nobody waits for a proof.
func (u *unproven) quiet() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.none
}

// end says that nothing is going to be added any more.
func (u *unproven) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	u.some.Signal()
}

// take waits for leaves and takes all of them; none when there will be no more.
func (u *unproven) take() []*pending {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.list) == 0 && !u.ended {
		u.some.Wait()
	}
	all := u.list
	u.list = nil
	return all
}

// proveAll is the one goroutine that proves: one checkpoint for all that wait while the one before was signed.
func (l *Log) proveAll() {
	for {
		waiting := l.proofs.take()
		if len(waiting) == 0 {
			return
		}
		err := l.proveThese(context.Background(), waiting)
		if err == nil {
			l.proofs.finished(len(waiting))
			continue
		}
		l.metrics.failed("prove")
		l.log.ErrorContext(context.Background(), "leaves are in the log, but have no proof", slog.String("origin", l.config.Origin), slog.Int("leaves", len(waiting)), slog.Any("error", err))
		for _, p := range waiting {
			p.finish(&Unproven{Index: p.index, Err: err})
		}
		l.proofs.finished(len(waiting))
	}
}

// proveThese finishes all of them, or none and returns an error. The checkpoint is over the tree as it is now, which holds them all.
func (l *Log) proveThese(ctx context.Context, waiting []*pending) error {
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return err
	}
	tree := l.tree(size)
	root, err := tree.root(ctx)
	if err != nil {
		return err
	}
	type result struct {
		checkpoint
		err error
	}
	signing := make(chan result, 1)
	go func() {
		c, err := l.guard.sign(ctx, size, root)
		signing <- result{c, err}
	}()
	errs := make([]error, len(waiting))
	for i, p := range waiting {
		errs[i] = l.build(ctx, tree, root, p)
	}
	c := <-signing
	if c.err != nil {
		return c.err
	}
	for i, p := range waiting {
		if errs[i] != nil {
			l.metrics.failed("prove")
			p.finish(&Unproven{Index: p.index, Err: errs[i]})
			continue
		}
		p.proof.Checkpoint = c.text
		p.finish(nil)
	}
	return nil
}

// build makes the proof of one leaf, but for the checkpoint, and verifies it.
func (l *Log) build(ctx context.Context, tree *nodes, root []byte, p *pending) error {
	hashes, err := tree.inclusion(ctx, p.index)
	if err != nil {
		return err
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, p.index, tree.size, rfc6962.DefaultHasher.HashLeaf(p.leaf), hashes, root); err != nil {
		return errors.Join(fmt.Errorf("%w: the leaf at index %d is not the one asked for", ErrDamaged, p.index), err)
	}
	p.proof = Proof{Index: p.index, Size: tree.size, Root: root, Hashes: hashes, LogID: l.guard.logID}
	return nil
}
