package trust

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// settle is how long a clock that was set is not believed: time for whoever keeps it to set it back.
const settle = time.Minute

// lag is how far the clock may be behind what is known to have been: machines' clocks differ.
const lag = time.Minute

// passed refuses a time that lies before what is known to have been: the clock was set back while nobody watched it.
func passed(now, after time.Time) error {
	if now.Add(lag).Before(after) {
		return fmt.Errorf("%w: log or ledger have an entry of %s, and now it is %s; set the clock right, or wait until it has passed that time (if it was ahead then, and is right now: trust.time.disregard: %s)",
			ErrClock, moment(after), moment(now), after.Add(time.Second).UTC().Format(time.RFC3339))
	}
	return nil
}

// watched is the machine's clock, held against the time that went by: a step of more than the tolerance is noticed by the
// next call, and the clock is believed again after settle without another. What keeps clocks in the ordinary way, by
// slowing them down and speeding them up, is no step.
type watched struct {
	wall      func() time.Time
	elapsed   func() time.Duration // since some moment; never set
	tolerance time.Duration
	jumps     prometheus.Counter
	log       *slog.Logger

	mu      sync.Mutex
	read    bool
	last    time.Time
	lastRun time.Duration
	until   time.Duration // not believed before
	step    time.Duration // the last one
}

func newWatched(o StampOptions, jumps prometheus.Counter) *watched {
	start := time.Now()
	return &watched{
		wall: func() time.Time { return time.Now().Round(0) }, elapsed: func() time.Duration { return time.Since(start) },
		tolerance: o.Tolerance, jumps: jumps, log: o.Log,
	}
}

// now is the time, or why it is not believed.
func (c *watched) now(ctx context.Context) (time.Time, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, run := c.wall(), c.elapsed()
	if c.read {
		if step := now.Sub(c.last) - (run - c.lastRun); step.Abs() > c.tolerance {
			c.step, c.until = step, run+settle
			c.jumps.Inc()
			c.log.WarnContext(ctx, "the machine's clock was set; it gives no time-stamps until it has settled",
				slog.Duration("by", step.Round(time.Millisecond)), slog.Time("to", now), slog.Duration("settle", settle))
		}
	}
	c.read, c.last, c.lastRun = true, now, run
	if run < c.until {
		return time.Time{}, fmt.Errorf("the clock of this machine was set by %s to %s; it is believed again in %s, unless it is set once more",
			c.step.Round(time.Second), now.UTC().Format(time.RFC3339), (c.until - run).Round(time.Second))
	}
	return now, nil
}
