// Package job is durable background work over the ledger's database. An event is accepted when it and the work it causes
// are stored in one transaction; from then on the work is done at least once, also when the process is killed, and
// several processes may share it on PostgreSQL. Work must therefore be safe to repeat.
package job

import (
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// ErrFull means that the queue takes no more at the moment: the intake or the backlog is at its limit.
var ErrFull = ledger.ErrFull

// Work is one attempt at what an event asks for.
type Work struct {
	Event   ledger.Event
	Attempt int // 1 for the first
}

// Permanent wraps an error that no repetition can heal: the work is not tried again. A nil error stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanent{err}
}

// After asks for another attempt when d has passed; it does not count as a failed one. The error, which may be nil, says
// why.
func After(d time.Duration, err error) error {
	if err == nil {
		err = errors.New("not yet")
	}
	return &after{err, max(d, 0)}
}

type permanent struct{ error }

func (p *permanent) Unwrap() error { return p.error }

type after struct {
	error
	wait time.Duration
}

func (a *after) Unwrap() error { return a.error }

// Config tunes the queue. The zero value is good.
type Config struct {
	Workers         int           `yaml:"workers" doc:"events worked on at once" default:"32"`
	ReservedWorkers int           `yaml:"reservedWorkers" doc:"workers kept free for promotions; an eighth of all when not set"`
	BackfillWorkers int           `yaml:"backfillWorkers" doc:"workers that backfill may use at most; an eighth of all when not set"`
	PollInterval    time.Duration `yaml:"pollInterval" doc:"longest time an idle worker takes to notice new work" default:"20ms"`
	MaxAttempts     int           `yaml:"maxAttempts" doc:"failed attempts before work is given up" default:"25"`
	MaxBacklog      int           `yaml:"maxBacklog" doc:"events waiting in a lane and those before it, above which the lane turns new ones away with 503" default:"1000000"`
	Timeout         time.Duration `yaml:"timeout" doc:"longest time for one attempt" default:"30m"`
	Drain           time.Duration `yaml:"-"` // how long running work may go on at Stop before it is interrupted; default 20 s
	RetryBase       time.Duration `yaml:"retryBase" doc:"pause after the first failed attempt; doubles each time" default:"1s"`
	RetryMax        time.Duration `yaml:"retryMax" doc:"longest pause between attempts" default:"10m"`
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	var errs []error
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"workers", int64(c.Workers)}, {"reservedWorkers", int64(c.ReservedWorkers)}, {"backfillWorkers", int64(c.BackfillWorkers)}, {"pollInterval", int64(c.PollInterval)}, {"maxAttempts", int64(c.MaxAttempts)},
		{"maxBacklog", int64(c.MaxBacklog)}, {"timeout", int64(c.Timeout)}, {"drain", int64(c.Drain)},
		{"retryBase", int64(c.RetryBase)}, {"retryMax", int64(c.RetryMax)},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", n.name))
		}
	}
	if c.Workers > 5000 {
		errs = append(errs, fmt.Errorf("workers is %d, the limit is 5000", c.Workers))
	}
	d := c.withDefaults()
	if c.ReservedWorkers > 0 && c.ReservedWorkers >= d.Workers {
		errs = append(errs, fmt.Errorf("reservedWorkers is %d of %d workers, none is left for uploads", c.ReservedWorkers, d.Workers))
	} else if rest := d.Workers - d.ReservedWorkers; c.BackfillWorkers > rest {
		errs = append(errs, fmt.Errorf("backfillWorkers is %d, more than the %d workers that are not kept free for promotions", c.BackfillWorkers, rest))
	}
	if c.PollInterval > 0 && c.PollInterval < time.Millisecond {
		errs = append(errs, fmt.Errorf("pollInterval is %s, at least 1ms is needed", c.PollInterval))
	}
	if c.MaxAttempts > 1000 {
		errs = append(errs, fmt.Errorf("maxAttempts is %d, the limit is 1000", c.MaxAttempts))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	num := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	num(&c.Workers, 32)
	num(&c.ReservedWorkers, min((c.Workers+7)/8, c.Workers-1))
	num(&c.BackfillWorkers, min((c.Workers+7)/8, c.Workers-c.ReservedWorkers))
	num(&c.MaxAttempts, 25)
	num(&c.MaxBacklog, 1_000_000)
	def(&c.PollInterval, 20*time.Millisecond)
	def(&c.Timeout, 30*time.Minute)
	def(&c.Drain, 20*time.Second)
	def(&c.RetryBase, time.Second)
	def(&c.RetryMax, 10*time.Minute)
	return c
}
