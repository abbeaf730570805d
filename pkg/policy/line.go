package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// line is one line of a sign list that was checked: the one of its keys that is in use makes the formats.
type line struct {
	keys    []string // alternatives, all of one lane; one at least
	formats []string
}

// open reports whether it is the key's time.
func (k Key) open(at time.Time) bool {
	return (k.From.IsZero() || !at.Before(k.From)) && (k.Retired.IsZero() || at.Before(k.Retired))
}

// pick is the key of a line that signs at a moment: of those whose time it is the one whose time began last, the first of
// the list where that is not one alone; false when it is the time of none.
func (v Vocabulary) pick(l line, at time.Time) (key Key, ok bool) {
	for _, name := range l.keys {
		k := v.key(name)
		if k.Name = name; k.open(at) && (!ok || k.From.After(key.From)) {
			key, ok = k, true
		}
	}
	return key, ok
}

// ends is when nobody takes over from the keys of a line any more, seen from a moment at which one of them is in use; zero
// when that is never.
func (v Vocabulary) ends(l line, at time.Time) time.Time {
	for range len(l.keys) + 1 {
		end := at
		for _, name := range l.keys {
			switch k := v.key(name); {
			case !k.open(at):
			case k.Retired.IsZero():
				return time.Time{}
			case k.Retired.After(end):
				end = k.Retired
			}
		}
		if end.Equal(at) {
			break
		}
		at = end // the moment at which the last of these is over: has another begun?
	}
	return at
}

// orders are the lines with the keys that sign at a moment; lines of which none is in use come back as shut.
func (v Vocabulary) orders(lines []line, at time.Time) (open []Order, shut []line) {
	for _, l := range lines {
		if k, ok := v.pick(l, at); ok {
			o := Order{Key: k.Name, Formats: slices.Clone(l.formats)}
			for _, name := range l.keys {
				if name != k.Name {
					o.Others = append(o.Others, name)
				}
			}
			open = append(open, o)
		} else {
			shut = append(shut, l)
		}
	}
	return open, shut
}

// names are the alternatives: "release-2026 or release-2027".
func (l line) names() string { return strings.Join(l.keys, " or ") }

// linesText renders a sign list as "release-2026 or release-2027 (sigstore, raw)".
func linesText(lines []line) string {
	parts := make([]string, len(lines))
	for i, l := range lines {
		parts[i] = l.names() + " (" + strings.Join(l.formats, ", ") + ")"
	}
	return strings.Join(parts, " and ")
}

// window tells a key's time: "from 2027-01-01 00:00 UTC on, until 2028-01-01 00:00 UTC".
func (k Key) window() string {
	var parts []string
	if !k.From.IsZero() {
		parts = append(parts, "from "+minute(k.From)+" on")
	}
	if !k.Retired.IsZero() {
		parts = append(parts, "until "+minute(k.Retired))
	}
	return strings.Join(parts, ", ")
}

// turn tells which of several keys signs now, for people.
func (v Vocabulary) turn(l line, at time.Time) string {
	k, _ := v.pick(l, at)
	text := "signs with the one of " + strings.Join(l.keys, ", ") + " whose time began last: now " + k.Name
	if w := k.window(); w != "" {
		text += ", " + w
	}
	return text
}

// line checks one line of a sign list.
func (c *compiler) line(y SignLine) (line, bool) {
	names := y.named()
	switch {
	case c.partial && (y.Key.Value == "") == (len(y.Keys) == 0):
		return line{}, false
	case (y.Key.Value == "") == (len(y.Keys) == 0):
		c.fail(y.Pos, "write either key: a name, or keys: [names] of which the one signs whose time it is, not both and not neither")
		return line{}, false
	}
	l := line{formats: c.formats(y.Formats)}
	for _, k := range names {
		c.known("key", k, c.keyNames())
		if slices.Contains(l.keys, k.Value) {
			c.fail(k.Pos, "the key %q stands twice in the list", k.Value)
			continue
		}
		for _, other := range l.keys {
			if a, b := c.vocabulary.key(other), c.vocabulary.key(k.Value); a.Name != "" && b.Name != "" && a.From.Equal(b.From) {
				c.fail(k.Pos, "the time of %s and that of %s begin at once, so nothing tells which of them signs; give the newer key a from: in the configuration", other, k.Value)
			}
		}
		l.keys = append(l.keys, k.Value)
	}
	return l, len(l.keys) > 0
}

// lines checks a sign list.
func (c *compiler) lines(written []SignLine) []line {
	var out []line
	for _, y := range written {
		l, ok := c.line(y)
		if !ok {
			continue
		}
		for _, k := range y.named() {
			if slices.ContainsFunc(out, func(o line) bool { return slices.Contains(o.keys, k.Value) }) {
				c.fail(k.Pos, "the key %q stands twice; list all its formats on one line", k.Value)
			}
		}
		out = append(out, l)
	}
	return out
}

// shutText tells why none of a line's keys signs: "release-2026, retired since …; release-2027, not in use before …".
func (v Vocabulary) shutText(l line, at time.Time) string {
	parts := make([]string, len(l.keys))
	for i, name := range l.keys {
		k := v.key(name)
		if at.Before(k.From) {
			parts[i] = fmt.Sprintf("%s, in use from %s on", name, minute(k.From))
		} else {
			parts[i] = fmt.Sprintf("%s, retired since %s", name, minute(k.Retired))
		}
	}
	return strings.Join(parts, "; ")
}
