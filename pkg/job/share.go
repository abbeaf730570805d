package job

import (
	"cmp"
	"log/slog"
	"sync"
	"time"
)

// shares keep one Artifactory instance that does not answer from holding up the work of the others. An instance gets
// three quarters of the places at most. While it is in trouble, uploads and backfill get an eighth, and promotions always
// what is kept free for them. It is in trouble
//   - from when four attempts one after another, success aside, failed because Artifactory did (Options.Outage), however
//     they are to be repeated; failures that have other causes count for nothing, and
//   - from when a lane waits for a place, and for Options.Silence no attempt has begun or ended, in whatever way,
//
// until one succeeds. What is beyond its share goes back into the queue, so that the events behind it are fetched: after a
// short wait, or at once while the last one that waited saw no attempt end.
//
// A share bounds one instance. While two stop answering in the same moment, a third may wait until their first attempts
// have run into their time limits.
type shares struct {
	log      *slog.Logger
	all, few [lowest + 1]int // places of an instance in good order, and of one in trouble
	reserve  int             // of them promotions get in any case, whatever the lanes behind have taken
	patience time.Duration
	silence  time.Duration
	outage   func(error) bool // tells that Artifactory failed; nil never

	mu sync.Mutex
	of map[string]*share // by instance
}

type share struct {
	slots    *slots
	troubled bool
	stuck    bool      // the last one that waited for a place saw no attempt end, and none has since
	failed   int       // attempts one after another, because Artifactory failed
	ended    int       // attempts, in whatever way
	moved    time.Time // when an attempt began or ended last
	next     time.Time // when the next event that goes back may come again
}

const (
	// sharePatience is how long work waits for a place of its instance before it goes back.
	sharePatience = time.Second
	// shareSilence is Options.Silence when that is not set.
	shareSilence = 30 * time.Second
	// troubleAfter is how many attempts fail one after another before their instance is in trouble.
	troubleAfter = 4
	// What goes back comes again after returnAfter at the earliest, one event every returnEvery: the queue's database
	// must not be kept busy with work that cannot be done. It comes after returnMax at the latest.
	returnAfter = time.Second
	returnEvery = 5 * time.Millisecond
	returnMax   = 10 * time.Minute
)

// newShares is nil, which holds nothing back, when there is but one instance.
func newShares(opts Options, total *slots, log *slog.Logger) *shares {
	if opts.Instances < 2 {
		return nil
	}
	s := &shares{log: log, patience: sharePatience, silence: cmp.Or(opts.Silence, shareSilence), outage: opts.Outage, of: map[string]*share{}}
	for r, n := range total.limit {
		s.all[r], s.few[r] = max(1, n-max(1, n/4)), max(1, n/8)
	}
	s.reserve = max(s.all[0]-s.all[1], 0)
	s.few[0] = max(s.few[0], s.few[1]+s.reserve)
	return s
}

// enter waits for a place of the instance. When there is none it answers how long the work should stay away.
func (s *shares) enter(instance string, r rank, done <-chan struct{}) (back time.Duration, ok bool) {
	if s == nil {
		return 0, true
	}
	s.mu.Lock()
	mine := s.of[instance]
	if mine == nil {
		mine = &share{slots: &slots{limit: s.all, reserve: s.reserve}}
		s.of[instance] = mine
	}
	ended, patience := mine.ended, s.patience
	if mine.troubled || mine.stuck {
		patience = 0
	}
	s.mu.Unlock()
	if mine.slots.take(r, done, patience) {
		s.mu.Lock()
		mine.moved = time.Now()
		s.mu.Unlock()
		return 0, true
	}
	select {
	case <-done:
		return 0, false // this process begins no more work, but another may
	default:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if mine.ended == ended {
		mine.stuck = true
		if now.Sub(mine.moved) >= s.silence {
			s.trouble(instance, mine, true)
		}
	}
	mine.next = later(mine.next.Add(returnEvery), now.Add(returnAfter))
	return min(mine.next.Sub(now), returnMax), false
}

// leave gives the place back. An empty outcome means that the work was not begun; err is what its attempt ended with.
func (s *shares) leave(instance string, r rank, outcome string, err error) {
	if s == nil {
		return
	}
	s.mu.Lock()
	mine := s.of[instance]
	if outcome != "" {
		mine.ended++
		mine.stuck, mine.moved = false, time.Now()
	}
	switch {
	case outcome == outcomeDone:
		mine.failed = 0
		s.trouble(instance, mine, false)
	case outcome == "" || outcome == outcomeInterrupted || s.outage == nil || !s.outage(err):
	default:
		if mine.failed++; mine.failed >= troubleAfter {
			s.trouble(instance, mine, true)
		}
	}
	s.mu.Unlock()
	mine.slots.give(r)
}

// trouble changes how many places an instance has. Callers hold s.mu.
func (s *shares) trouble(instance string, mine *share, is bool) {
	if mine.troubled == is {
		return
	}
	mine.troubled = is
	if is {
		mine.slots.resize(s.few)
		s.log.Warn("work for an Artifactory instance does not get on; it takes few workers until an attempt succeeds", slog.String("instance", instance))
		return
	}
	mine.next = time.Time{}
	mine.slots.resize(s.all)
	s.log.Info("work for an Artifactory instance gets on again", slog.String("instance", instance))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
