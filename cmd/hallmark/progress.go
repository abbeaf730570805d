package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/api"
)

// progress draws a bar on a terminal and nothing elsewhere. How many files a sweep will see is not known before its end, so
// its bar goes by the time at which files were uploaded, from the first one to now.
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

func (p *progress) show(s api.Sweep) { p.draw(p.line(s)) }

// draw replaces what was drawn before.
func (p *progress) draw(line string) {
	if p.w == nil {
		return
	}
	p.shown = true
	fmt.Fprint(p.w, "\r\x1b[K"+line)
}

// bar is full when done is 1.
func bar(done float64) string {
	full := int(min(max(done, 0), 1) * barWidth)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "]"
}

func (p *progress) line(s api.Sweep) string {
	if p.first == nil {
		p.first = s.Position
	}
	done := 0.0
	at := ""
	if s.Position != nil && s.Until != nil && s.Until.After(*p.first) {
		done = s.Position.Sub(*p.first).Seconds() / s.Until.Sub(*p.first).Seconds()
		at = ", up to " + s.Position.Format(time.DateOnly)
	}
	line := fmt.Sprintf("%s %d files, %d to repair%s", bar(done), s.Items, s.Repaired, at)
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
