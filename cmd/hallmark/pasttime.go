package main

import (
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// How a date without a time of day is meant.
const (
	startOfDay = time.Duration(0)
	endOfDay   = 24*time.Hour - time.Microsecond
)

// pastTime reads a time as people write it on a command line: RFC 3339, a date (UTC), or how long ago. None is the zero time.
func pastTime(flag, text string, now time.Time, ofDay time.Duration) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return inThePast(flag, text, t.UTC(), now)
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		if t.After(now) {
			return inThePast(flag, text, t, now)
		}
		return t.Add(ofDay), nil
	}
	var ago policy.Span
	if err := ago.UnmarshalText([]byte(text)); err != nil {
		return time.Time{}, fmt.Errorf("%s %q is no time; write 2026-11-22T15:04:05Z, 2026-11-22, or how long ago: 2h, 3d", flag, text)
	}
	return now.Add(-time.Duration(ago)).UTC(), nil
}

func inThePast(flag, text string, t, now time.Time) (time.Time, error) {
	if t.After(now) {
		return time.Time{}, fmt.Errorf("%s %s is in the future; the ledger knows the past", flag, text)
	}
	return t, nil
}
