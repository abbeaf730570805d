package hsm

import (
	"fmt"
	"time"
)

// Moment is a point in time as a configuration writes it: 2026-06-01T00:00:00Z. The zero Moment is never.
type Moment struct{ time.Time }

// UnmarshalText reads RFC 3339. A date alone is refused: it would mean another moment in every zone.
func (m *Moment) UnmarshalText(b []byte) error {
	t, err := time.Parse(time.RFC3339, string(b))
	if err != nil || t.IsZero() {
		return fmt.Errorf("%q is no moment; write date, time and zone, for example 2026-06-01T00:00:00Z", b)
	}
	m.Time = t.UTC()
	return nil
}
