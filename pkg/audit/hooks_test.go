package audit

import (
	"context"
	"time"
)

// At has the log call at at each point where a crash could matter.
func (o Options) At(at func(point string)) Options {
	o.at = at
	return o
}

// Publishing has the log publish that often.
func (o Options) Publishing(every time.Duration) Options {
	o.every = every
	return o
}

// PublishNow publishes without waiting for the time to do so.
func (l *Log) PublishNow() error { return l.publishNow(context.Background()) }
