package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/transparency-dev/tessera"
)

// pending is a leaf on its way into the log.
type pending struct {
	leaf  []byte
	prove bool // whether a proof is wanted
	since time.Time

	index uint64
	proof Proof
	err   error
	done  chan struct{} // closed: the three above are set
}

func (p *pending) finish(err error) {
	p.err = err
	close(p.done)
}

// Append adds a leaf and returns when it is durable in the log and proven under a checkpoint signed by us; the proof was
// verified. Equal leaves are not told apart: each has its index. An error is one of
//   - ErrUnconfirmed: the leaf may be in, or get in; so it is when ctx ends;
//   - *Unproven: the leaf is in, and has an index, but no checkpoint over it could be signed;
//   - else: the leaf is not in the log.
func (l *Log) Append(ctx context.Context, leaf []byte) (Proof, error) {
	p, err := l.enter(ctx, leaf, true)
	if err != nil {
		return Proof{}, err
	}
	return p.proof, nil
}

// Add adds a leaf and returns its index when it is durable in the log: every later checkpoint covers it. Errors are those
// of Append; *Unproven does not occur.
func (l *Log) Add(ctx context.Context, leaf []byte) (index uint64, err error) {
	p, err := l.enter(ctx, leaf, false)
	if err != nil {
		return 0, err
	}
	return p.index, nil
}

// Prove proves a leaf that was added before.
func (l *Log) Prove(ctx context.Context, index uint64, leaf []byte) (Proof, error) {
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return Proof{}, err
	}
	if index >= size {
		return Proof{}, fmt.Errorf("the log has %d leaves, none at index %d", size, index)
	}
	p := &pending{leaf: leaf, prove: true, since: time.Now(), index: index, done: make(chan struct{})}
	l.mu.RLock()
	closed := l.closed
	if !closed {
		l.proofs.add([]*pending{p})
	}
	l.mu.RUnlock()
	if closed {
		return Proof{}, ErrClosed
	}
	select {
	case <-p.done:
		return p.proof, p.err
	case <-ctx.Done():
		return Proof{}, &Unproven{Index: index, Err: context.Cause(ctx)}
	}
}

func (l *Log) enter(ctx context.Context, leaf []byte, prove bool) (*pending, error) {
	if len(leaf) == 0 || len(leaf) > MaxLeaf {
		return nil, fmt.Errorf("adding to the log: a leaf of %d bytes, it has 1 to %d", len(leaf), MaxLeaf)
	}
	defer l.comes()()
	p := &pending{leaf: leaf, prove: prove, since: time.Now(), done: make(chan struct{})}
	if err := l.hand(ctx, p); err != nil {
		return nil, fmt.Errorf("adding to the log: %w", err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		l.metrics.failed("waiting")
		return nil, fmt.Errorf("adding to the log: %w: %w", ErrUnconfirmed, context.Cause(ctx))
	}
	if p.err != nil {
		return nil, fmt.Errorf("adding to the log: %w", p.err)
	}
	l.metrics.took(prove, time.Since(p.since))
	return p, nil
}

// comes counts who is here, until gone is called.
func (l *Log) comes() (gone func()) {
	n := l.inside.Add(1)
	for peak := l.peak.Load(); n > peak && !l.peak.CompareAndSwap(peak, n); peak = l.peak.Load() {
	}
	return func() { l.inside.Add(-1) }
}

// hand puts a leaf in the queue. When it returns an error, the leaf is not in the log and never will be.
func (l *Log) hand(ctx context.Context, p *pending) error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	select {
	case l.queue <- p:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write is the one goroutine that adds: whatever waits while a batch is written becomes the next batch.
func (l *Log) write() {
	defer l.proofs.end()
	var last time.Duration
	for first := range l.queue {
		batch := l.collect(first, min(last, maxPatience))
		begun := time.Now()
		l.writeBatch(batch)
		last = time.Since(begun)
	}
}

// collect takes what waits, and waits itself for the proofs that are being made: whoever gets one tends to come back with
// the next leaf, and one large batch is faster for all than two small ones in turn. It is patient for no longer than a
// batch takes to be written, so that a key that hangs holds up nobody who needs no proof.
func (l *Log) collect(first *pending, patience time.Duration) []*pending {
	batch := []*pending{first}
	expected := int(l.peak.Swap(l.inside.Load()))
	quiet := l.proofs.quiet()
	over := time.NewTimer(patience)
	defer over.Stop()
	for len(batch) < batchSize && (quiet != nil || len(batch) < expected) {
		select {
		case p, ok := <-l.queue:
			if !ok {
				return batch
			}
			batch = append(batch, p)
		case <-quiet:
			quiet = nil
			over.Reset(comingBack)
		case <-over.C:
			quiet, expected = nil, 0
		}
	}
	for len(batch) < batchSize {
		select {
		case p, ok := <-l.queue:
			if !ok {
				return batch
			}
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

func (l *Log) writeBatch(batch []*pending) {
	if err := writable(l.config.Dir); err != nil {
		l.metrics.failed("write")
		for _, p := range batch {
			p.finish(err)
		}
		return
	}
	ctx := context.Background() // whoever waits may go; the leaf stays
	futures := make([]tessera.IndexFuture, len(batch))
	for i, p := range batch {
		futures[i] = l.appender.Add(ctx, tessera.NewEntry(p.leaf))
	}
	var toProve []*pending
	var failed []*pending
	for i, p := range batch {
		got, err := futures[i]()
		if err != nil {
			l.metrics.failed("write")
			p.err = fmt.Errorf("%w: %w", ErrUnconfirmed, err)
			failed = append(failed, p)
			continue
		}
		l.guard.at("written")
		l.metrics.entries.Inc()
		l.metrics.size.Set(float64(got.Index + 1))
		p.index = got.Index
		if p.prove {
			toProve = append(toProve, p)
		} else {
			p.finish(nil)
		}
	}
	l.proofs.add(toProve)
	if len(failed) == 0 {
		return
	}
	if size, err := l.reader.IntegratedSize(ctx); err == nil {
		l.sweep(size)
	}
	for _, p := range failed {
		p.finish(p.err)
	}
}
