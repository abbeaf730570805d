package job

import (
	"slices"
	"sync"
	"time"
)

// slots are the workers' places, one for each event that may be worked on at once. The limits are nested: promotions may
// take every place, uploads and backfill together leave a few for promotions, and backfill has its own few among
// those. Some may be kept for promotions in any case, also when the limits shrink below what is taken. A free place goes to the first lane that waits. Nobody is interrupted for anybody.
type slots struct {
	mu      sync.Mutex
	limit   [lowest + 1]int // for a lane together with those behind it
	reserve int             // promotions that nothing else is counted against
	taken   [lowest + 1]int
	waiting [lowest + 1][]chan struct{} // closed when a place was taken for the one that waits
}

func newSlots(workers, reserved, backfill int) *slots {
	return &slots{limit: [...]int{workers, workers - reserved, backfill}}
}

// take waits for a place. It returns false when done was closed, or patience ended, before there was one.
func (s *slots) take(r rank, done <-chan struct{}, patience time.Duration) bool {
	s.mu.Lock()
	if s.free(r) {
		s.taken[r]++
		s.mu.Unlock()
		return true
	}
	turn := make(chan struct{})
	s.waiting[r] = append(s.waiting[r], turn)
	s.mu.Unlock()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-turn:
		return true
	case <-done:
	case <-t.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting[r], turn)
	if i < 0 {
		return true // it came at the last moment
	}
	s.waiting[r] = slices.Delete(s.waiting[r], i, i+1)
	return false
}

// give frees a place.
func (s *slots) give(r rank) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken[r]--
	s.hand()
}

// resize changes the limits. Those who have a place keep it.
func (s *slots) resize(limit [lowest + 1]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.hand()
}

// hand gives free places to those who wait. Callers hold s.mu.
func (s *slots) hand() {
	for r := range s.waiting {
		for len(s.waiting[r]) > 0 && s.free(rank(r)) {
			close(s.waiting[r][0])
			s.waiting[r] = s.waiting[r][1:]
			s.taken[r]++
		}
	}
}

// free reports whether a lane may take a place. When one may not, none behind it may, as the limits are nested; so
// nobody is ever overtaken from behind.
func (s *slots) free(r rank) bool {
	if r == 0 && s.taken[0] < s.reserve {
		return true
	}
	taken := 0
	for lane := lowest; lane >= 0; lane-- {
		taken += s.taken[lane]
		if lane <= r && taken >= s.limit[lane] {
			return false
		}
	}
	return true
}
