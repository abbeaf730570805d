package job

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errDown = errors.New("no answer")

// shared is Options for several instances, of which errDown means that they failed.
func shared(instances int) Options {
	return Options{Instances: instances, Outage: func(err error) bool { return errors.Is(err, errDown) }}
}

// fill takes places until there are no more.
func fill(s *shares, instance string, r rank) (n int) {
	for {
		if _, ok := s.enter(instance, r, nil); !ok {
			return n
		}
		n++
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	s := newShares(shared(2), newSlots(32, 4, 4), slog.New(slog.DiscardHandler))
	s.patience = time.Millisecond
	require.Equal(t, [...]int{24, 21, 3}, s.all)
	require.Equal(t, [...]int{6, 3, 1}, s.few)
	require.Equal(t, 3, s.reserve)
	require.Equal(t, 21, fill(s, "a", upload))
	require.False(t, s.of["a"].troubled, "the work may just take its time")
	require.True(t, s.of["a"].stuck)
	s.of["a"].moved = time.Now().Add(-shareSilence)
	require.Zero(t, fill(s, "a", upload))
	require.True(t, s.of["a"].troubled, "every place is taken and no attempt has begun or ended for so long")
	require.Equal(t, 21, fill(s, "b", upload), "others have theirs")

	// What goes back comes again one by one.
	first, _ := s.enter("a", upload, nil)
	second, ok := s.enter("a", upload, nil)
	require.False(t, ok)
	require.InDelta(t, returnAfter, first, float64(100*time.Millisecond))
	require.Greater(t, second, first)
	s.of["a"].next = time.Now().Add(time.Hour)
	long, _ := s.enter("a", upload, nil)
	require.Equal(t, returnMax, long)

	// Promotions have theirs in trouble, too; one success ends it.
	require.Equal(t, 3, fill(s, "a", promotion))
	s.leave("a", promotion, outcomeRetry, nil)
	require.True(t, s.of["a"].troubled)
	s.leave("a", upload, outcomeDone, nil)
	require.False(t, s.of["a"].troubled)
	require.False(t, s.of["a"].stuck)
	require.Equal(t, 1+1, fill(s, "a", promotion))

	// Failures count one after another, and only those that are Artifactory's.
	leave := func(err error, outcomes ...string) {
		for _, o := range outcomes {
			s.leave("b", upload, o, err)
		}
	}
	leave(errDown, outcomeRetry, outcomeLater, outcomeFailed)
	leave(nil, outcomeDone)
	leave(errDown, outcomeRetry, outcomeLater, "", outcomeInterrupted, outcomeFailed)
	leave(errors.New("an index that is not complete"), outcomeRetry, outcomeRetry, outcomeRetry, outcomeRetry, outcomeLater)
	require.False(t, s.of["b"].troubled)
	leave(errDown, outcomeLater)
	require.True(t, s.of["b"].troubled)

	// A share may be busy without being in trouble.
	s = newShares(shared(3), newSlots(2, 1, 1), slog.New(slog.DiscardHandler))
	s.patience = time.Minute
	require.Equal(t, [...]int{1, 1, 1}, s.all)
	_, ok = s.enter("a", upload, nil)
	require.True(t, ok)
	entered := make(chan bool)
	go func() {
		_, ok := s.enter("a", upload, nil)
		entered <- ok
	}()
	s.leave("a", upload, outcomeDone, nil)
	require.True(t, <-entered)
	done := make(chan struct{})
	close(done)
	back, ok := s.enter("a", upload, done)
	require.False(t, ok)
	require.Zero(t, back, "a process that ends keeps no work from others")
	require.False(t, s.of["a"].troubled)

	require.Nil(t, newShares(shared(1), newSlots(2, 1, 1), nil))
	_, ok = (*shares)(nil).enter("a", upload, nil)
	require.True(t, ok)
	(*shares)(nil).leave("a", upload, outcomeDone, nil)
}

// Uploads that take their time on a server in good order keep no promotion away.
func TestSlowUploadsLeavePromotionsTheirPlaces(t *testing.T) {
	t.Parallel()
	s := newShares(shared(2), newSlots(16, 4, 2), slog.New(slog.DiscardHandler))
	s.patience = time.Millisecond
	require.Equal(t, s.all[1], fill(s, "a", upload))
	require.Equal(t, s.all[0]-s.all[1], fill(s, "a", promotion))
	require.False(t, s.of["a"].troubled)
}
