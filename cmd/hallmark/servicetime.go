package main

import (
	"context"
	"time"
)

// dated is a ledger.
type dated interface {
	NewestIntent(ctx context.Context) (time.Time, error)
}

// newest is the newest time that log and ledger tell of, unless the configuration says that it is wrong. A clock that is
// behind it was set back.
func (c *Config) newest(ctx context.Context, logged time.Time, books dated) (time.Time, error) {
	begun, err := books.NewestIntent(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if begun.After(logged) {
		logged = begun
	}
	if wrong := c.Trust.Value.Time.Disregard.Time; !logged.After(wrong) {
		return time.Time{}, nil
	}
	return logged, nil
}
