package artifactory

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"
)

// Distortion is what real deliveries suffer. The zero value distorts nothing.
type Distortion struct {
	Drop       func(Event) bool // true loses the event for good
	Loss       float64          // share of deliveries lost at random, 0 to 1
	Duplicates int              // so many further deliveries of each event
	Doubled    float64          // share of deliveries doubled at random, 0 to 1
	Delay      time.Duration    // every delivery waits so long
	Jitter     time.Duration    // and up to so much more, at random: this also changes the order
	Seed       uint64           // makes chance repeatable, as far as the order of events is

	OmitOrigin      bool     // no jpd_origin
	OmitUserContext bool     // no userContext
	Omit            []string // fields that are missing from data
	Flat            bool     // the shapes of older releases: the event's fields at top level, no data
}

// outbox stands between what happens and its delivery.
type outbox struct {
	mu         sync.Mutex
	distortion Distortion
	chance     *rand.Rand
	holding    bool
	held       []Event
}

// Distort changes how events are delivered from now on.
func (s *Server) Distort(d Distortion) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.distortion = d
	s.out.chance = rand.New(rand.NewPCG(d.Seed, d.Seed))
}

// HoldEvents keeps events back until ReleaseEvents.
func (s *Server) HoldEvents() {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.holding = true
}

// ReleaseEvents delivers what was held in the order that arrange makes of it (nil: as it happened) and holds no more.
// Events leave one by one: the next is sent when the one before is settled, so that the order is really seen.
func (s *Server) ReleaseEvents(arrange func([]Event) []Event) {
	s.out.mu.Lock()
	held := s.out.held
	s.out.held, s.out.holding = nil, false
	distortion := s.out.distortion
	s.out.mu.Unlock()
	if arrange != nil {
		held = arrange(held)
	}
	var chain []*delivery
	for _, e := range held {
		chain = append(chain, s.deliveries(e, distortion)...)
	}
	s.sender.sendInOrder(chain)
}

// Emit announces an event that did not happen, e.g. a replay.
func (s *Server) Emit(e Event) { s.emit(e) }

// emit makes deliveries of events, for all who want them.
func (s *Server) emit(events ...Event) {
	if len(events) == 0 || !s.hooks.any() {
		return
	}
	s.out.mu.Lock()
	distortion := s.out.distortion
	if s.out.holding {
		s.out.held = append(s.out.held, events...)
		events = nil
	}
	s.out.mu.Unlock()
	for _, e := range events {
		for _, d := range s.deliveries(e, distortion) {
			s.sender.send(s.out.wait(distortion), d)
		}
	}
}

// deliveries are those of one event, lost and doubled as wanted.
func (s *Server) deliveries(e Event, d Distortion) []*delivery {
	if d.Drop != nil && d.Drop(e) {
		return nil
	}
	var class Class
	s.mu.RLock()
	if r := s.repos[e.Repo]; r != nil {
		class = r.Class
	}
	s.mu.RUnlock()
	var out []*delivery
	for _, sub := range s.hooks.wanting(e, class) {
		if s.out.happens(d.Loss) {
			continue
		}
		n := 1 + d.Duplicates
		if s.out.happens(d.Doubled) {
			n++
		}
		for range n {
			out = append(out, s.delivery(sub, e, d))
		}
	}
	return out
}

// happens is true for the share of calls.
func (o *outbox) happens(share float64) bool {
	if share <= 0 {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.chance.Float64() < share
}

// wait is how long a delivery waits before its first try.
func (o *outbox) wait(d Distortion) time.Duration {
	if d.Jitter <= 0 {
		return d.Delay
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return d.Delay + time.Duration(o.chance.Int64N(int64(d.Jitter)))
}

func (s *Server) delivery(sub Subscription, e Event, d Distortion) *delivery {
	return &delivery{Delivery: Delivery{Subscription: sub.Key, Event: e}, target: sub.Handlers[0], debug: sub.Debug, body: s.body(sub.Key, e, d)}
}

// authorise is the value of X-JFrog-Event-Auth: nothing, the secret itself, or the lowercase hexadecimal HMAC-SHA256 of
// the body.
func (t Target) authorise(body []byte) string {
	if t.Secret == "" || !t.UseSecretForSigning {
		return t.Secret
	}
	mac := hmac.New(sha256.New, []byte(t.Secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
