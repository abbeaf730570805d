package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"sync/atomic"
)

// Group is one kind of write. Its function applies all items that share a transaction and runs again, for each item
// alone, when that failed; so it must not keep anything from a run that failed. What one item wants to tell only its
// caller it leaves in the item.
type Group[T any] struct {
	name    string
	l       *Ledger
	apply   func(ctx context.Context, tx *sql.Tx, items []T) error
	waiting []*write[T] // guarded by the committer's lock
}

type write[T any] struct {
	item  T
	state atomic.Int32 // waiting, taken or withdrawn
	done  chan error
}

const (
	waiting int32 = iota
	taken
	withdrawn
)

// NewGroup adds a kind of write to the ledger. Call it before the first write, once per kind; the name stands in
// errors.
func NewGroup[T any](l *Ledger, name string, apply func(ctx context.Context, tx *sql.Tx, items []T) error) *Group[T] {
	g := &Group[T]{name: name, l: l, apply: apply}
	l.commit.mu.Lock()
	defer l.commit.mu.Unlock()
	l.commit.queues = append(l.commit.queues, g)
	return g
}

// Do writes the item and returns when it is durable, or will never be. When ctx ends while the item waits, it is
// withdrawn; when ctx ends during its commit, the outcome is awaited. The caller must not touch the item meanwhile.
func (g *Group[T]) Do(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", g.name, context.Cause(ctx))
	}
	w := &write[T]{item: item, done: make(chan error, 1)}
	if err := g.enqueue(w); err != nil {
		return fmt.Errorf("%s: %w", g.name, err)
	}
	var err error
	select {
	case err = <-w.done:
	case <-ctx.Done():
		if w.state.CompareAndSwap(waiting, withdrawn) {
			return fmt.Errorf("%s: waiting for the ledger: %w", g.name, context.Cause(ctx))
		}
		err = <-w.done
	}
	if err != nil {
		return fmt.Errorf("%s: %w", g.name, err)
	}
	return nil
}

// Waiting is how many writes of this kind have not begun.
func (g *Group[T]) Waiting() int {
	g.l.commit.mu.Lock()
	defer g.l.commit.mu.Unlock()
	return len(g.waiting)
}

func (g *Group[T]) enqueue(w *write[T]) error {
	c := g.l.commit
	c.mu.Lock()
	switch {
	case c.stopped:
		c.mu.Unlock()
		return ErrClosed
	case len(g.waiting) >= g.l.cfg.MaxWaiting:
		c.mu.Unlock()
		return ErrFull
	}
	g.waiting = append(g.waiting, w)
	c.mu.Unlock()
	c.signal()
	return nil
}

func (g *Group[T]) take(limit int) batch {
	var b *groupBatch[T]
	n := 0
	for _, w := range g.waiting {
		if b != nil && len(b.writes) == limit {
			break
		}
		n++
		if !w.state.CompareAndSwap(waiting, taken) {
			continue
		}
		if b == nil {
			b = &groupBatch[T]{g: g}
		}
		b.writes = append(b.writes, w)
		b.items = append(b.items, w.item)
	}
	if n == len(g.waiting) {
		clear(g.waiting)
		g.waiting = g.waiting[:0]
	} else {
		g.waiting = g.waiting[n:]
	}
	if b == nil {
		return nil
	}
	return b
}

type groupBatch[T any] struct {
	g      *Group[T]
	writes []*write[T]
	items  []T
}

func (b *groupBatch[T]) size() int { return len(b.writes) }

func (b *groupBatch[T]) apply(ctx context.Context, tx *sql.Tx) error {
	return b.g.apply(ctx, tx, b.items)
}

func (b *groupBatch[T]) split() []batch {
	ones := make([]batch, len(b.writes))
	for i := range b.writes {
		ones[i] = &groupBatch[T]{g: b.g, writes: b.writes[i : i+1], items: b.items[i : i+1]}
	}
	return ones
}

func (b *groupBatch[T]) finish(err error) {
	for _, w := range b.writes {
		w.done <- err
	}
}
