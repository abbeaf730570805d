package job_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// on is an event of an instance.
func on(instance string, n int) ledger.Event {
	e := event(n)
	e.Instance, e.Key = instance, instance+e.Key
	return e
}

var errRefused = errors.New("connection refused")

// An instance that answers nothing, or with errors only, has far more work waiting than is fetched at one time. That of
// the other instance gets on behind it, and its own when it answers again.
func TestAnInstanceThatIsDownHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	const down, up = 300, 40
	for name, attempt := range map[string]func(ctx context.Context, answers <-chan struct{}) error{
		"silent": func(ctx context.Context, answers <-chan struct{}) error {
			select {
			case <-answers:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		"refusing": func(_ context.Context, answers <-chan struct{}) error {
			select {
			case <-answers:
				return nil
			case <-time.After(100 * time.Millisecond): // a client's own repetitions take their time
				return errRefused
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
				l := ledgertest.Open(t, d)
				answers := make(chan struct{})
				done, recovered := make(chan string, up), make(chan string, down)
				cfg := job.Config{Workers: 8, RetryBase: 500 * time.Millisecond, RetryMax: time.Second, MaxAttempts: 1000}
				var tried atomic.Int32
				q, err := job.New(l, cfg, job.Options{Instances: 2, Outage: func(err error) bool { return errors.Is(err, errRefused) }}, func(ctx context.Context, w job.Work) error {
					if w.Event.Instance == "up" {
						done <- w.Event.Path
						return nil
					}
					tried.Add(1)
					err := attempt(ctx, answers)
					if err == nil {
						recovered <- w.Event.Path
					}
					return err
				})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, q.Stop(context.Background())) })
				for n := range down {
					require.NoError(t, q.Accept(t.Context(), on("down", n)))
				}
				for n := range up {
					require.NoError(t, q.Accept(t.Context(), on("up", n)))
				}
				require.NoError(t, q.Start(t.Context()))
				for range up {
					next(t, done)
				}
				require.Less(t, tried.Load(), int32(down/2), "the other's work did not have to be tried first")
				close(answers)
				for range down {
					next(t, recovered)
				}
			})
		})
	}
}

// With one instance there is nobody to be fair to: it has all workers, and what fails is only retried.
func TestOneInstanceHasAllWorkers(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.SQLite)
	cfg := fast()
	begun, goOn := make(chan struct{}, cfg.Workers), make(chan struct{})
	q, err := job.New(l, cfg, job.Options{Instances: 1}, func(context.Context, job.Work) error {
		begun <- struct{}{}
		<-goOn
		return nil
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Stop(context.Background())) })
	for n := range cfg.Workers {
		e := on("main", n)
		e.Lane = job.Promotion
		require.NoError(t, q.Accept(t.Context(), e))
	}
	require.NoError(t, q.Start(t.Context()))
	for range cfg.Workers {
		next(t, begun)
	}
	close(goOn)
}
