package promotion

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTurnIsKeptUntilItIsLost(t *testing.T) {
	t.Parallel()
	down := errors.New("database is away")
	for name, c := range map[string]struct {
		answer func(at time.Duration) (bool, error)
		ends   time.Duration // 0: never
	}{
		"kept": {func(time.Duration) (bool, error) { return true, nil }, 0},
		"away for 40 s": {func(at time.Duration) (bool, error) {
			return !(at > time.Minute && at < 100*time.Second), errIf(at > time.Minute && at < 100*time.Second, down)
		}, 0},
		"away for good":  {func(at time.Duration) (bool, error) { return at <= time.Minute, errIf(at > time.Minute, down) }, 2 * time.Minute},
		"taken by other": {func(at time.Duration) (bool, error) { return at <= time.Minute, nil }, 75 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				held, stop := keep(t.Context(), begun, func(context.Context) (bool, error) { return c.answer(time.Since(begun)) })
				defer stop()
				select {
				case <-held.Done():
					require.ErrorIs(t, context.Cause(held), errTurn)
					require.Equal(t, c.ends, time.Since(begun))
				case <-time.After(10 * time.Minute):
					require.Zero(t, c.ends, "it should have ended")
				}
			})
		})
	}
}

// A ledger that does not answer at all holds nothing up.
func TestTurnIsLostInSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		held, stop := keep(t.Context(), begun, func(ctx context.Context) (bool, error) { <-ctx.Done(); return false, ctx.Err() })
		defer stop()
		<-held.Done()
		require.Equal(t, turnLost, time.Since(begun))
	})
}

func errIf(yes bool, err error) error {
	if yes {
		return err
	}
	return nil
}
