package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

// progress draws a bar on a terminal and nothing elsewhere. How many files there are is not known before the end, so the
// bar goes by the time at which files were uploaded, from the first one to now.
type progress struct {
	w     io.Writer // nil when it is no terminal
	first *time.Time
	shown bool
	asked int
}

func newProgress(w io.Writer) *progress {
	p := &progress{}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			p.w = w
		}
	}
	return p
}

// pause grows from a twentieth of a second to a second: most sweeps are short.
func (p *progress) pause() time.Duration {
	p.asked++
	return min(time.Duration(p.asked)*50*time.Millisecond, time.Second)
}

const barWidth = 30

func (p *progress) show(s api.Sweep) {
	if p.w == nil {
		return
	}
	p.shown = true
	fmt.Fprint(p.w, "\r\x1b[K"+p.line(s))
}

func (p *progress) line(s api.Sweep) string {
	if p.first == nil {
		p.first = s.Position
	}
	done := 0.0
	at := ""
	if s.Position != nil && s.Until != nil && s.Until.After(*p.first) {
		done = min(max(s.Position.Sub(*p.first).Seconds()/s.Until.Sub(*p.first).Seconds(), 0), 1)
		at = ", up to " + s.Position.Format(time.DateOnly)
	}
	full := int(done * barWidth)
	line := fmt.Sprintf("[%s%s] %d files, %d to repair%s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), s.Items, s.Repaired, at)
	if s.Problem != "" {
		line += "; waiting: " + s.Problem
	}
	return line
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
