package gate

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What was done in time must never pass for cancelled, however the two goroutines are scheduled.
func TestWithin(t *testing.T) {
	t.Parallel()
	errDone := errors.New("done")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5000 {
				assert.Equal(t, errDone, within(t.Context(), func(context.Context) error { return errDone }))
			}
		})
	}
	all.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	err := within(ctx, func(context.Context) error { cancel(); <-never; return nil })
	require.ErrorIs(t, err, context.Canceled)
}
