package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

// What a sweep's bar says, from the first position that it was told.
func TestSweepProgressLine(t *testing.T) {
	t.Parallel()
	day := func(n int) *time.Time {
		at := time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC)
		return &at
	}
	empty, half, full := "["+strings.Repeat("-", 30)+"]", "["+strings.Repeat("#", 15)+strings.Repeat("-", 15)+"]", "["+strings.Repeat("#", 30)+"]"
	for name, c := range map[string]struct {
		first *time.Time
		sweep api.Sweep
		want  string
	}{
		"nothing is known yet":    {nil, api.Sweep{}, empty + " 0 files, 0 to repair"},
		"no position":             {nil, api.Sweep{Until: day(21), Items: 3}, empty + " 3 files, 0 to repair"},
		"no end":                  {nil, api.Sweep{Position: day(11), Items: 3}, empty + " 3 files, 0 to repair"},
		"the first position":      {nil, api.Sweep{Position: day(1), Until: day(21)}, empty + " 0 files, 0 to repair, up to 2026-11-01"},
		"half way":                {day(1), api.Sweep{Position: day(11), Until: day(21), Items: 70, Repaired: 2}, half + " 70 files, 2 to repair, up to 2026-11-11"},
		"done":                    {day(1), api.Sweep{Position: day(21), Until: day(21), Items: 140, Repaired: 2}, full + " 140 files, 2 to repair, up to 2026-11-21"},
		"beyond the end":          {day(1), api.Sweep{Position: day(25), Until: day(21)}, full + " 0 files, 0 to repair, up to 2026-11-25"},
		"before the first":        {day(11), api.Sweep{Position: day(1), Until: day(21)}, empty + " 0 files, 0 to repair, up to 2026-11-01"},
		"it began at the end":     {day(21), api.Sweep{Position: day(21), Until: day(21)}, empty + " 0 files, 0 to repair"},
		"a problem":               {day(1), api.Sweep{Position: day(11), Until: day(21), Problem: "the queue is full"}, half + " 0 files, 0 to repair, up to 2026-11-11; waiting: the queue is full"},
		"a problem at the outset": {nil, api.Sweep{Problem: "the queue is full"}, empty + " 0 files, 0 to repair; waiting: the queue is full"},
	} {
		p := &progress{first: c.first}
		require.Equal(t, c.want, p.line(c.sweep), name)
	}
}

// On a terminal each line takes the place of the one before, and none is left behind; elsewhere nothing is drawn.
func TestProgressIsDrawnOnTerminals(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{w: &out}
	p.clear()
	require.Empty(t, out.String())
	p.draw("one")
	p.draw("two")
	p.clear()
	require.Equal(t, "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K", out.String())

	out.Reset()
	p = newProgress(&out)
	p.show(api.Sweep{})
	p.clear()
	require.Empty(t, out.String())
}
