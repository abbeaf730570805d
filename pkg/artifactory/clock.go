package artifactory

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// clockSlack is a difference that counts as none: answers tell their time in whole seconds, and travel.
	clockSlack = 2 * time.Second
	// clockAge is how long a comparison of the two clocks is good.
	clockAge = 5 * time.Minute
)

// clock knows how far the server's clock is ahead of ours. Its zero value knows nothing.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	read  time.Time // zero: never
}

// note compares the clocks by an answer's Date. An answer that comes from a cache tells of another time.
func (c *clock) note(h http.Header) {
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil || h.Get("Age") != "" {
		return
	}
	now := time.Now()
	ahead := at.Add(500 * time.Millisecond).Sub(now) // half a second is cut off on average
	if ahead.Abs() < clockSlack {
		ahead = 0
	}
	c.mu.Lock()
	c.ahead, c.read = ahead, now
	c.mu.Unlock()
}

func (c *clock) fresh() (ahead time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead, !c.read.IsZero() && time.Since(c.read) < clockAge
}

// ClockAhead tells how far the server's clock is ahead of this machine's; negative when it is behind. Everything that the
// server says about when an item came is said by its clock. The difference is read off the Date of its answers, to about
// a second, and differences below two are none. It asks the server only when no answer came for minutes; a server that
// tells no time counts as right. With an error comes what was known before.
func (c *Client) ClockAhead(ctx context.Context) (time.Duration, error) {
	if ahead, ok := c.wire.clock.fresh(); ok {
		return ahead, nil
	}
	err := c.Ping(ctx)
	ahead, _ := c.wire.clock.fresh()
	return ahead, err
}
