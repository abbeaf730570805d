package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	_ "time/tzdata" // policies mean the same on a machine without time zones

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// WindowCheck says when. All that is written must hold.
type WindowCheck struct {
	Days   []strictyaml.Located[string] `yaml:"days" default:"every day" doc:"days of the week: mon, tue, wed, thu, fri, sat, sun"`
	From   strictyaml.Located[string]   `yaml:"from" default:"00:00" doc:"the time of day at which it opens, such as 08:00"`
	To     strictyaml.Located[string]   `yaml:"to" default:"24:00" doc:"the time of day at which it closes; one before from is that of the next day"`
	Zone   strictyaml.Located[string]   `yaml:"zone" default:"UTC" doc:"the time zone of days and times, such as Europe/Berlin"`
	After  strictyaml.Located[string]   `yaml:"after" doc:"the moment before which it is shut, such as 2026-12-01T06:00:00Z"`
	Before strictyaml.Located[string]   `yaml:"before" doc:"the moment from which on it is shut"`
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // as time.Weekday counts

type windowTest struct {
	days          []string // none: every day
	from, to      int      // minutes of the day
	zone          *time.Location
	after, before time.Time // zero: none
}

func (y *WindowCheck) compile(c *compiler, at strictyaml.Pos) (test, bool) {
	t := windowTest{to: 24 * 60, zone: time.UTC}
	had := len(c.errs)
	for _, d := range y.Days {
		if c.known("day", d, weekdays) {
			t.days = append(t.days, d.Value)
		}
	}
	t.from = c.minutes("from", y.From, 0)
	t.to = c.minutes("to", y.To, 24*60)
	if y.Zone.Value != "" {
		zone, err := time.LoadLocation(y.Zone.Value)
		if err != nil || y.Zone.Value == "Local" {
			c.fail(y.Zone.Pos, "zone: %q is no time zone; write one such as Europe/Berlin, or UTC", y.Zone.Value)
		} else {
			t.zone = zone
		}
	}
	t.after, t.before = c.moment("after", y.After), c.moment("before", y.Before)
	switch {
	case t.from == t.to:
		c.fail(at, "window: from and to are the same, so it would never be open")
	case !t.after.IsZero() && !t.before.IsZero() && !t.after.Before(t.before):
		c.fail(at, "window: before is not later than after, so it would never be open")
	case len(y.Days) == 0 && y.From.Value == "" && y.To.Value == "" && y.After.Value == "" && y.Before.Value == "":
		c.fail(at, "window: write days, from, to, after or before")
	}
	return t, len(c.errs) == had
}

func (c *compiler) minutes(field string, text strictyaml.Located[string], absent int) int {
	switch text.Value {
	case "":
		return absent
	case "24:00":
		return 24 * 60
	}
	t, err := time.Parse("15:04", text.Value)
	if err != nil {
		c.fail(text.Pos, "%s: %q is no time of day; write for example \"08:00\"", field, text.Value)
		return absent
	}
	return t.Hour()*60 + t.Minute()
}

func (c *compiler) moment(field string, text strictyaml.Located[string]) time.Time {
	if text.Value == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, text.Value)
	if err != nil {
		c.fail(text.Pos, "%s: %q is no moment; write for example 2026-12-01T06:00:00Z", field, text.Value)
	}
	return t
}

func (windowTest) needs() Needs { return 0 }

func (t windowTest) text() string {
	var parts []string
	if len(t.days) > 0 {
		parts = append(parts, "on "+strings.Join(t.days, ", "))
	}
	if t.from != 0 || t.to != 24*60 {
		parts = append(parts, fmt.Sprintf("from %02d:%02d to %02d:%02d %s", t.from/60, t.from%60, t.to/60, t.to%60, t.zone))
	} else if len(t.days) > 0 {
		parts = append(parts, t.zone.String())
	}
	if !t.after.IsZero() {
		parts = append(parts, "after "+t.after.Format(time.RFC3339Nano))
	}
	if !t.before.IsZero() {
		parts = append(parts, "before "+t.before.Format(time.RFC3339Nano))
	}
	return "a time " + strings.Join(parts, ", ")
}

// open reports whether the window is open. A window that passes midnight belongs to the day on which it opens.
func (t windowTest) open(at time.Time) bool {
	if at.Before(t.after) || !t.before.IsZero() && !at.Before(t.before) {
		return false
	}
	local := at.In(t.zone)
	now, day := local.Hour()*60+local.Minute(), local.Weekday()
	if t.to < t.from && now < t.to {
		day = (day + 6) % 7
	} else if now < t.from || t.to > t.from && now >= t.to {
		return false
	}
	return len(t.days) == 0 || slices.Contains(t.days, weekdays[day])
}

// opening finds the next moment at which the window is open, to the minute, within the next ten days or at after.
func (t windowTest) opening(at time.Time) (time.Time, bool) {
	if at.Before(t.after) {
		at = t.after
		if t.open(at) {
			return at, true
		}
	}
	if !t.before.IsZero() && !at.Before(t.before) {
		return time.Time{}, false
	}
	at = at.Truncate(time.Minute)
	for range 10 * 24 * 60 {
		if at = at.Add(time.Minute); t.open(at) {
			return at, true
		}
	}
	return time.Time{}, false
}

func (t windowTest) run(q *question) *failing {
	if t.open(q.at) {
		return nil
	}
	f := failing{
		message: "it is not the time for this", found: q.at.In(t.zone).Format("Mon 2006-01-02 15:04 MST"),
		fix: "ask the policy's owner for another window", would: "within " + t.text(),
	}
	if next, ok := t.opening(q.at); ok {
		moment := next.UTC().Format(time.RFC3339)
		f.fix, f.would = "wait until "+moment+", then: "+again(q.subject.Ref), "at "+moment
	}
	return &f
}
