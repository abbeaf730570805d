package artifactory

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
)

// Distortion is what real deliveries suffer. The zero value distorts nothing.
type Distortion struct {
	Duplicates      int              // so many further deliveries of each event
	Drop            func(Event) bool // true loses the event for good
	OmitOrigin      bool             // no jpd_origin
	OmitUserContext bool             // no userContext
	Flat            bool             // the event's fields at top level, no data
}

// outbox stands between what happens and its delivery.
type outbox struct {
	mu         sync.Mutex
	distortion Distortion
	holding    bool
	held       []Event
}

// Distort changes how events are delivered from now on.
func (s *Server) Distort(d Distortion) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.distortion = d
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
		s.sender.send(s.deliveries(e, distortion)...)
	}
}

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
		for range 1 + d.Duplicates {
			out = append(out, s.delivery(sub, e, d))
		}
	}
	return out
}

func (s *Server) delivery(sub Subscription, e Event, d Distortion) *delivery {
	p := payload{
		Domain: e.Domain, EventType: e.Type, Data: e.data(s.Quirks().MovePaths), SubscriptionKey: sub.Key,
		JPDOrigin: s.URL(), Source: "jfrog/jfrt@01hzz0000000000000000000ab",
		UserContext: &userContext{ID: e.User, IsToken: true, Realm: "internal"},
	}
	if d.OmitOrigin {
		p.JPDOrigin = ""
	}
	if d.OmitUserContext {
		p.UserContext = nil
	}
	var body []byte
	if d.Flat {
		body, _ = json.Marshal(flatPayload{data: e.data(s.Quirks().MovePaths), Domain: p.Domain, EventType: p.EventType, SubscriptionKey: p.SubscriptionKey})
	} else {
		body, _ = json.Marshal(p) // strings and numbers only: cannot fail
	}
	return &delivery{Delivery: Delivery{Subscription: sub.Key, Event: e}, target: sub.Handlers[0], body: body}
}

// flatPayload is the shape of older releases.
type flatPayload struct {
	Domain          string `json:"domain"`
	EventType       string `json:"event_type"`
	SubscriptionKey string `json:"subscription_key"`
	data
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
