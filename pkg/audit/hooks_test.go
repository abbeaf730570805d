package audit

import "context"

// At has the log call at at each point where a crash could matter.
func (o Options) At(at func(point string)) Options {
	o.at = at
	return o
}

// PublishNow publishes without waiting for the time to do so.
func (l *Log) PublishNow() error { return l.publishNow(context.Background()) }
