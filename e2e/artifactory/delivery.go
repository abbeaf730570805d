package artifactory

import "time"

// Delivery is what became of one event for one subscription.
type Delivery struct {
	Subscription string
	Event        Event
	Tries        int
	Status       int    // of the last try; 0 when there was no answer
	Error        string // of the last try, without an answer
	Done         bool   // no further try will be made
}

// delivery is one in the works.
type delivery struct {
	Delivery
	target Target
	body   []byte
	debug  bool
	at     time.Time // when it was made
	number int64
	then   []*delivery // sent when this one is settled
}

// keepDeliveries bounds the record of deliveries, as JFrog's own does.
const keepDeliveries = 10_000

// note records a delivery. Callers hold s.mu.
func (s *sender) note(d *delivery) {
	s.made++
	d.at, d.number = time.Now(), s.made
	s.record = append(s.record, d)
	if extra := len(s.record) - keepDeliveries; extra > keepDeliveries/10 {
		s.record = append(s.record[:0:0], s.record[extra:]...)
	}
}

// Deliveries returns the record of the latest deliveries in the order they were made.
func (s *Server) Deliveries() []Delivery {
	s.sender.mu.Lock()
	defer s.sender.mu.Unlock()
	out := make([]Delivery, 0, len(s.sender.record))
	for _, d := range s.sender.record {
		out = append(out, d.Delivery)
	}
	return out
}
