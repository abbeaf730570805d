package artifactory

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

type aqlKind int

const (
	textKind aqlKind = iota
	numberKind
	timeKind
)

// aqlField is one field of the item domain: its kind and how to read it.
type aqlField struct {
	kind   aqlKind
	text   func(*node) string
	number func(*node) int64
	when   func(*node) time.Time
}

func textField(get func(*node) string) aqlField    { return aqlField{kind: textKind, text: get} }
func numberField(get func(*node) int64) aqlField   { return aqlField{kind: numberKind, number: get} }
func timeField(get func(*node) time.Time) aqlField { return aqlField{kind: timeKind, when: get} }

// ofBlob is a field that folders lack.
func ofBlob(get func(*blob) string) aqlField {
	return textField(func(n *node) string {
		if n.blob == nil {
			return ""
		}
		return get(n.blob)
	})
}

// aqlFields is the table of what can be asked for and shown.
var aqlFields = map[string]aqlField{
	"repo":          textField(func(n *node) string { return n.repo.Key }),
	"path":          textField((*node).dir),
	"name":          textField(func(n *node) string { return cmp.Or(n.name, ".") }),
	"type":          textField((*node).kind),
	"created_by":    textField(func(n *node) string { return n.createdBy }),
	"modified_by":   textField(func(n *node) string { return n.modifiedBy }),
	"sha256":        ofBlob(func(b *blob) string { return b.sha256 }),
	"actual_sha1":   ofBlob(func(b *blob) string { return b.sha1 }),
	"actual_md5":    ofBlob(func(b *blob) string { return b.md5 }),
	"original_sha1": ofBlob(func(b *blob) string { return b.sha1 }),
	"original_md5":  ofBlob(func(b *blob) string { return b.md5 }),
	"size":          numberField((*node).size),
	"depth":         numberField((*node).depth),
	"created":       timeField(func(n *node) time.Time { return n.created }),
	"modified":      timeField(func(n *node) time.Time { return n.modified }),
	"updated":       timeField(func(n *node) time.Time { return n.modified }),
}

func (n *node) kind() string {
	if n.isFile() {
		return "file"
	}
	return "folder"
}

func (n *node) size() int64 {
	if n.blob == nil {
		return 0
	}
	return n.blob.size
}

// depth is how many segments the path below the repository has.
func (n *node) depth() int64 {
	d := int64(0)
	for ; n.parent != nil; n = n.parent {
		d++
	}
	return d
}

func (f aqlField) compare(a, b *node) int {
	switch f.kind {
	case numberKind:
		return cmp.Compare(f.number(a), f.number(b))
	case timeKind:
		return f.when(a).Compare(f.when(b))
	}
	return strings.Compare(f.text(a), f.text(b))
}

// comparators are those that tell by which side of the wanted value something is.
var comparators = map[string]func(int) bool{
	"$eq":  func(c int) bool { return c == 0 },
	"$ne":  func(c int) bool { return c != 0 },
	"$gt":  func(c int) bool { return c > 0 },
	"$gte": func(c int) bool { return c >= 0 },
	"$lt":  func(c int) bool { return c < 0 },
	"$lte": func(c int) bool { return c <= 0 },
}

// textTest compiles a comparison of text.
func textTest(field string, op member) (func(string) bool, error) {
	want, err := aqlText(op.value)
	if err != nil {
		return nil, badAQL("%s: %v", field, err)
	}
	switch op.key {
	case "$match":
		return func(v string) bool { return wildcard(want, v) }, nil
	case "$nmatch":
		return func(v string) bool { return !wildcard(want, v) }, nil
	case "$eq":
		return func(v string) bool { return v == want }, nil
	}
	holds, ok := comparators[op.key]
	if !ok {
		return nil, unsupported("the AQL operator %q is not implemented", op.key)
	}
	return func(v string) bool { return holds(strings.Compare(v, want)) }, nil
}

// test compiles a comparison of the field.
func (f aqlField) test(field string, op member, now time.Time) (func(*node) bool, error) {
	if f.kind == textKind {
		test, err := textTest(field, op)
		if err != nil {
			return nil, err
		}
		return func(n *node) bool { return test(f.text(n)) }, nil
	}
	if op.key == "$match" || op.key == "$nmatch" {
		return nil, badAQL("%s: %s needs text", field, op.key)
	}
	if op.key == "$last" || op.key == "$before" {
		span, err := aqlSpan(op.value)
		if err != nil || f.kind != timeKind {
			return nil, badAQL("%s: %s needs a time field and a span such as 2d", field, op.key)
		}
		mark := now.Add(-span)
		return func(n *node) bool { return f.when(n).After(mark) == (op.key == "$last") }, nil
	}
	holds, ok := comparators[op.key]
	if !ok {
		return nil, unsupported("the AQL operator %q is not implemented", op.key)
	}
	text, err := aqlText(op.value)
	if err != nil {
		return nil, badAQL("%s: %v", field, err)
	}
	if f.kind == numberKind {
		want, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, badAQL("%s: %v", field, err)
		}
		return func(n *node) bool { return holds(cmp.Compare(f.number(n), want)) }, nil
	}
	want, err := aqlTime(text)
	if err != nil {
		return nil, badAQL("%s: %v", field, err)
	}
	return func(n *node) bool { return holds(f.when(n).Compare(want)) }, nil
}

// aqlText reads a literal; numbers and times may be written as strings.
func aqlText(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	}
	return "", badAQL("%v is no value", v)
}

func aqlTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

// aqlSpan reads "2d", "6h", "30minutes" and the like.
func aqlSpan(v any) (time.Duration, error) {
	text, _ := v.(string)
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return 0, err
	}
	const day = 24 * time.Hour
	units := map[string]time.Duration{
		"millis": time.Millisecond, "ms": time.Millisecond, "seconds": time.Second, "s": time.Second, "minutes": time.Minute,
		"hours": time.Hour, "h": time.Hour, "days": day, "d": day, "weeks": 7 * day, "w": 7 * day, "months": 30 * day, "mo": 30 * day,
		"years": 365 * day, "y": 365 * day,
	}
	unit, ok := units[text[len(digits):]]
	if !ok {
		return 0, badAQL("%q has no known unit", text)
	}
	return time.Duration(n) * unit, nil
}
