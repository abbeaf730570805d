package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// gate is a commit hook that stops commits until it is opened, and counts them.
type gate struct {
	mu       sync.Mutex
	armed    bool
	arrived  chan struct{}
	pass     chan struct{}
	commits  atomic.Int64
	failWith map[ledger.CommitPhase]error
}

func newGate() *gate {
	return &gate{arrived: make(chan struct{}, 100), pass: make(chan struct{}), failWith: map[ledger.CommitPhase]error{}}
}

func (g *gate) hook(p ledger.CommitPhase) error {
	g.mu.Lock()
	armed, err := g.armed, g.failWith[p]
	g.mu.Unlock()
	if p == ledger.BeforeCommit {
		g.commits.Add(1)
		if armed {
			g.arrived <- struct{}{}
			<-g.pass
		}
	}
	return err
}

func (g *gate) arm(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.armed = on
}

func (g *gate) fail(p ledger.CommitPhase, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failWith[p] = err
}

// words is a kind of write for these tests: it stores strings and refuses "bad".
func words(t *testing.T, l *ledger.Ledger) *ledger.Group[string] {
	t.Helper()
	_, err := l.SQL().Exec("CREATE TABLE word (word TEXT PRIMARY KEY)")
	require.NoError(t, err)
	return ledger.NewGroup(l, "word", func(ctx context.Context, tx *sql.Tx, items []string) error {
		for _, w := range items {
			if w == "bad" {
				return errBad
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO word (word) VALUES ($1)", w); err != nil {
				return err
			}
		}
		return nil
	})
}

var errBad = errors.New("bad word")

func stored(t *testing.T, l *ledger.Ledger) (n int) {
	t.Helper()
	require.NoError(t, l.Reader().QueryRow("SELECT count(*) FROM word").Scan(&n))
	return n
}

func TestConcurrentWritesShareACommit(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		g := newGate()
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), CommitHook: g.hook})
		w := words(t, l)
		g.arm(true)
		var wg sync.WaitGroup
		errs := make(chan error, 101)
		wg.Go(func() { errs <- w.Do(t.Context(), "first") })
		<-g.arrived
		for i := range 100 {
			wg.Go(func() { errs <- w.Do(t.Context(), fmt.Sprint(i)) })
		}
		require.Eventually(t, func() bool { return w.Waiting() == 100 }, waitFor, tick)
		require.Zero(t, stored(t, l), "nobody's write may be seen before its commit")
		g.arm(false)
		close(g.pass)
		wg.Wait()
		close(errs)
		for err := range errs {
			require.NoError(t, err)
		}
		require.EqualValues(t, 2, g.commits.Load())
		require.Equal(t, 101, stored(t, l))
	})
}

func TestABadWriteFailsAlone(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		g := newGate()
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), CommitHook: g.hook})
		w := words(t, l)
		g.arm(true)
		results := make(map[string]chan error)
		do := func(word string) {
			results[word] = make(chan error, 1)
			go func(c chan error) { c <- w.Do(t.Context(), word) }(results[word])
		}
		do("first")
		<-g.arrived
		for _, word := range []string{"good", "bad", "better"} {
			do(word)
		}
		require.Eventually(t, func() bool { return w.Waiting() == 3 }, waitFor, tick)
		g.arm(false)
		close(g.pass)
		require.NoError(t, <-results["good"])
		require.NoError(t, <-results["better"])
		require.ErrorIs(t, <-results["bad"], errBad)
		require.NoError(t, <-results["first"])
		require.Equal(t, 3, stored(t, l))
		require.Error(t, w.Do(t.Context(), "good"), "a constraint is an error too")
		require.NoError(t, w.Do(t.Context(), "best"))
	})
}

func TestFailedCommit(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		broken := errors.New("broken")
		g := newGate()
		l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, d), CommitHook: g.hook})
		w := words(t, l)

		g.fail(ledger.BeforeCommit, broken)
		require.ErrorIs(t, w.Do(t.Context(), "a"), broken)
		require.Zero(t, stored(t, l))

		g.fail(ledger.BeforeCommit, nil)
		g.fail(ledger.AfterCommit, broken)
		require.ErrorIs(t, w.Do(t.Context(), "a"), broken)
		require.Equal(t, 1, stored(t, l), "the commit had gone through")

		g.fail(ledger.AfterCommit, nil)
		require.NoError(t, w.Do(t.Context(), "b"))
	})
}

func TestWaitingWrites(t *testing.T) {
	t.Parallel()
	g := newGate()
	l := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), CommitHook: g.hook, MaxWaiting: 2})
	w := words(t, l)
	g.arm(true)
	first := make(chan error, 1)
	go func() { first <- w.Do(t.Context(), "first") }()
	<-g.arrived

	ctx, cancel := context.WithCancelCause(t.Context())
	second, third := make(chan error, 1), make(chan error, 1)
	go func() { second <- w.Do(ctx, "second") }()
	require.Eventually(t, func() bool { return w.Waiting() == 1 }, waitFor, tick)
	go func() { third <- w.Do(t.Context(), "third") }()
	require.Eventually(t, func() bool { return w.Waiting() == 2 }, waitFor, tick)
	require.ErrorIs(t, w.Do(t.Context(), "fourth"), ledger.ErrFull)

	gone := errors.New("the caller went away")
	cancel(gone)
	require.ErrorIs(t, <-second, gone)
	require.ErrorIs(t, w.Do(ctx, "fifth"), gone)
	g.arm(false)
	close(g.pass)
	require.NoError(t, <-first)
	require.NoError(t, <-third)
	require.Equal(t, 2, stored(t, l), "what was withdrawn is not written")
}

func TestCloseEndsWhatWasAccepted(t *testing.T) {
	t.Parallel()
	g := newGate()
	cfg := ledger.Config{URL: ledgertest.URL(t, ledger.SQLite), CommitHook: g.hook}
	l, err := ledger.Open(t.Context(), cfg, ledger.Options{})
	require.NoError(t, err)
	w := words(t, l)
	g.arm(true)
	results := make(chan error, 2)
	go func() { results <- w.Do(t.Context(), "a") }()
	<-g.arrived
	go func() { results <- w.Do(t.Context(), "b") }()
	require.Eventually(t, func() bool { return w.Waiting() == 1 }, waitFor, tick)
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	g.arm(false)
	close(g.pass)
	require.NoError(t, <-closed)
	require.NoError(t, <-results)
	require.NoError(t, <-results)
	require.ErrorIs(t, w.Do(t.Context(), "c"), ledger.ErrClosed)
	again := ledgertest.OpenConfig(t, cfg)
	require.Equal(t, 2, stored(t, again))
}
