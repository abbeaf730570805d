package job

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	promotion rank = iota
	upload
	backfill
)

func TestPlacesAreNested(t *testing.T) {
	t.Parallel()
	s := newSlots(8, 2, 3)
	fill := func(r rank) (n int) {
		for s.take(r, nil, 0) {
			n++
		}
		return n
	}
	require.Equal(t, 3, fill(backfill))
	require.Equal(t, 3, fill(upload), "uploads and backfill leave two places")
	require.Equal(t, 2, fill(promotion))
	s.give(backfill)
	require.Equal(t, 1, fill(promotion), "promotions may take any place")
	require.Equal(t, [...]int{3, 3, 2}, s.taken)
	for _, r := range []rank{upload, upload, upload, backfill, backfill, promotion, promotion, promotion} {
		s.give(r)
	}
	require.Equal(t, 8, fill(promotion))
	require.Zero(t, fill(upload)+fill(backfill))
}

func TestAFreePlaceGoesToTheFirstLaneThatWaits(t *testing.T) {
	t.Parallel()
	s := newSlots(2, 1, 1)
	require.True(t, s.take(promotion, nil, 0))
	require.True(t, s.take(promotion, nil, 0))
	got := make(chan rank, 3)
	for n, r := range []rank{backfill, upload, promotion} {
		go func() {
			s.take(r, nil, time.Minute)
			got <- r
		}()
		require.Eventually(t, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return len(slices.Concat(s.waiting[:]...)) == n+1
		}, 30*time.Second, time.Millisecond)
	}
	last := promotion
	for _, want := range []rank{promotion, upload, backfill} {
		s.give(last)
		if want == upload { // what is kept free for promotions is none of theirs
			require.Empty(t, got)
			s.give(promotion)
		}
		require.Equal(t, want, <-got)
		last = want
	}
}

func TestWaitingForAPlaceEnds(t *testing.T) {
	t.Parallel()
	s := newSlots(1, 0, 1)
	require.True(t, s.take(upload, nil, 0))
	done := make(chan struct{})
	close(done)
	require.False(t, s.take(promotion, done, time.Minute))
	require.False(t, s.take(promotion, nil, time.Millisecond))
	require.Empty(t, s.waiting[promotion])
	s.give(upload)
	require.Equal(t, [...]int{0, 0, 0}, s.taken)
}
