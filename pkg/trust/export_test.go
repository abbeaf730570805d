package trust

import (
	"testing"
	"time"
)

// SetClock gives a built-in authority another clock and another count of the time that went by.
func SetClock(t testing.TB, s *Stamper, wall func() time.Time, elapsed func() time.Duration) {
	t.Helper()
	s.clock.wall, s.clock.elapsed = wall, elapsed
}

// SetClocks does the same with authorities elsewhere; nil leaves one as it is.
func SetClocks(t testing.TB, a *Authorities, wall func() time.Time, elapsed func() time.Duration) {
	t.Helper()
	if wall != nil {
		a.now = wall
	}
	if elapsed != nil {
		a.elapsed = elapsed
	}
}

// Settle is how long a clock that was set is not believed.
const Settle = settle

// CheckToken judges a token as a verifier does, CheckFresh one that was just asked for.
func CheckToken(chain stampChain, token, signature []byte) error {
	_, err := chain.check(token, signature, nil)
	return err
}

func CheckFresh(chain stampChain, token, signature []byte) error {
	now := time.Now()
	_, err := chain.obtained(token, signature, nil, window{from: now, to: now, tolerance: DefaultTolerance})
	return err
}
