package job

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestShares(t *testing.T) {
	t.Parallel()
	s := newShares(2, newSlots(32, 4, 4), slog.New(slog.DiscardHandler))
	s.patience = time.Millisecond
	require.Equal(t, [...]int{24, 21, 3}, s.all)
	require.Equal(t, [...]int{4, 3, 1}, s.few)
	fill := func(instance string, r rank) (n int) {
		for {
			if _, ok := s.enter(instance, r, nil); !ok {
				return n
			}
			n++
		}
	}
	require.Equal(t, 21, fill("a", upload))
	require.True(t, s.of["a"].troubled, "every place is taken and no attempt ends")
	require.Equal(t, 21, fill("b", upload), "others have theirs")

	// What goes back comes again one by one.
	first, _ := s.enter("a", upload, nil)
	second, ok := s.enter("a", upload, nil)
	require.False(t, ok)
	require.InDelta(t, returnAfter, first, float64(100*time.Millisecond))
	require.Greater(t, second, first)
	s.of["a"].next = time.Now().Add(time.Hour)
	long, _ := s.enter("a", upload, nil)
	require.Equal(t, returnMax, long)

	// One success ends the trouble.
	s.leave("a", upload, outcomeDone)
	require.False(t, s.of["a"].troubled)
	require.Equal(t, 1+3, fill("a", promotion), "promotions have three places more")

	// Failures count one after another only.
	leave := func(outcomes ...string) {
		for _, o := range outcomes {
			s.leave("b", upload, o)
		}
	}
	s.of["b"].troubled = false
	leave(outcomeRetry, outcomeRetry, outcomeRetry, outcomeDone, outcomeRetry, outcomeLater, "", outcomeRetry, outcomeRetry)
	require.False(t, s.of["b"].troubled)
	leave(outcomeRetry)
	require.True(t, s.of["b"].troubled)

	// A share may be busy without being in trouble.
	s = newShares(3, newSlots(2, 1, 1), slog.New(slog.DiscardHandler))
	s.patience = time.Minute
	require.Equal(t, [...]int{1, 1, 1}, s.all)
	_, ok = s.enter("a", upload, nil)
	require.True(t, ok)
	entered := make(chan bool)
	go func() {
		_, ok := s.enter("a", upload, nil)
		entered <- ok
	}()
	s.leave("a", upload, outcomeDone)
	require.True(t, <-entered)
	done := make(chan struct{})
	close(done)
	back, ok := s.enter("a", upload, done)
	require.False(t, ok)
	require.Zero(t, back, "a process that ends keeps no work from others")
	require.False(t, s.of["a"].troubled)

	require.Nil(t, newShares(1, newSlots(2, 1, 1), nil))
	_, ok = (*shares)(nil).enter("a", upload, nil)
	require.True(t, ok)
	(*shares)(nil).leave("a", upload, outcomeDone)
}
