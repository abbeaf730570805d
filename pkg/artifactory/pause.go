package artifactory

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

const (
	firstPause   = 100 * time.Millisecond // before the first repetition; doubles with each
	longestPause = 10 * time.Second       // a call never waits longer than this at a time; it fails and says how long to wait
	longestAsked = 10 * time.Minute       // what is believed of a Retry-After
)

// ready waits until a request may be sent: after the pause between repetitions, and after the time for which the
// server asked this client to be quiet. A long silence that the server asked for is not begun when the context would
// cut it short. No wait outlasts the context.
func (t *transport) ready(ctx context.Context, a *attempts) error {
	if a.final != nil {
		return a.final
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	var wait time.Duration
	if a.made > 0 {
		wait = max(a.asked, backoff(a.made))
	}
	if quiet := time.Until(time.Unix(0, t.resume.Load())); t.resume.Load() != 0 && quiet > wait {
		if !fits(ctx, quiet) {
			return &StatusError{Status: http.StatusTooManyRequests, Message: "the server asked for a pause", RetryAfter: quiet}
		}
		wait = quiet
	}
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// worthwhile is asked by the library before it repeats a request that got an error status.
func (t *transport) worthwhile(ctx context.Context, a *attempts) bool {
	if a.final != nil || ctx.Err() != nil || !retriable(a.status) || !fits(ctx, a.asked) {
		return false
	}
	t.log.WarnContext(ctx, "call failed; may be repeated",
		slog.String("call", a.call.String()), slog.Int("attempt", a.made), slog.Int("status", a.status), slog.Duration("retry_after", a.asked))
	return true
}

// note remembers what an error answer says about waiting: for this call, and with 429 for all.
func (t *transport) note(resp *http.Response, a *attempts) {
	a.asked = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if resp.StatusCode != http.StatusTooManyRequests || a.asked <= 0 {
		return
	}
	until := time.Now().Add(a.asked).UnixNano()
	for {
		old := t.resume.Load()
		if old >= until || t.resume.CompareAndSwap(old, until) {
			return
		}
	}
}

// fits reports whether a wait can be sat out inside a call.
func fits(ctx context.Context, wait time.Duration) bool {
	if wait > longestPause {
		return false
	}
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > wait
}

// backoff is the pause before the repetition with this number: doubling, with the upper half of it random.
func backoff(repetition int) time.Duration {
	d := min(firstPause<<min(repetition-1, 10), longestPause)
	return d/2 + rand.N(d/2) //nolint:gosec // spreading load needs no secret randomness
}

// retryAfter reads the header's two forms (RFC 9110 section 10.2.3).
func retryAfter(h string, now time.Time) time.Duration {
	if h == "" {
		return 0
	}
	d := time.Duration(0)
	if s, err := strconv.ParseUint(h, 10, 32); err == nil {
		d = time.Duration(s) * time.Second // at most 2^32 s
	} else if at, err := http.ParseTime(h); err == nil {
		d = at.Sub(now)
	}
	return max(0, min(d, longestAsked))
}
