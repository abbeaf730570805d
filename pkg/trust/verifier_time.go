package trust

import (
	"errors"
	"fmt"
	"time"
)

// checkTimes returns the times that the time-stamps of the bundle state. All must hold, and with a certificate one is needed.
func (v *Verifier) checkTimes(e *entity) ([]time.Time, error) {
	times := make([]time.Time, 0, len(e.tokens))
	for _, token := range e.tokens {
		at, err := v.checkTime(token, e.signature)
		if err != nil {
			return nil, err
		}
		times = append(times, at)
	}
	if e.leaf != nil && len(times) == 0 {
		return nil, fmt.Errorf("%w: there is none; a certificate is nothing without the time of the signature", ErrTimestamp)
	}
	return times, nil
}

func (v *Verifier) checkTime(token, signature []byte) (time.Time, error) {
	var refused error
	for _, a := range v.times {
		ts, err := a.chain.check(token, signature, nil)
		if err == nil && a.window.holds(ts.Time) {
			return ts.Time.UTC(), nil
		}
		if err == nil {
			err = fmt.Errorf("%w: %s is outside the time that its authority is listed for", ErrTimestamp, ts.Time.UTC().Format(time.RFC3339))
		}
		if !errors.Is(err, errSigner) {
			refused = err
		}
	}
	if refused == nil {
		refused = fmt.Errorf("%w: none of the %d authorities that the trusted root lists made it", ErrTimestamp, len(v.times))
	}
	return time.Time{}, refused
}
