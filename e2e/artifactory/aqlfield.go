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

// aqlField is one field of the item domain: its kind (string, int64 or time.Time) and how to read it.
type aqlField struct {
	kind aqlKind
	get  func(found) any
}

// aqlFields is the table of what can be asked for and shown.
var aqlFields = map[string]aqlField{
	"repo":          {textKind, func(f found) any { return f.repo }},
	"path":          {textKind, func(f found) any { return f.path }},
	"name":          {textKind, func(f found) any { return f.name }},
	"type":          {textKind, func(f found) any { return f.kind() }},
	"created_by":    {textKind, func(f found) any { return f.node.createdBy }},
	"modified_by":   {textKind, func(f found) any { return f.node.modifiedBy }},
	"sha256":        {textKind, func(f found) any { return f.content().sha256 }},
	"actual_sha1":   {textKind, func(f found) any { return f.content().sha1 }},
	"actual_md5":    {textKind, func(f found) any { return f.content().md5 }},
	"original_sha1": {textKind, func(f found) any { return f.content().sha1 }},
	"original_md5":  {textKind, func(f found) any { return f.content().md5 }},
	"size":          {numberKind, func(f found) any { return f.content().size }},
	"depth":         {numberKind, func(f found) any { return int64(f.depth) }},
	"created":       {timeKind, func(f found) any { return f.node.created }},
	"modified":      {timeKind, func(f found) any { return f.node.modified }},
	"updated":       {timeKind, func(f found) any { return f.node.modified }},
}

// content is empty for a folder.
func (f found) content() blob {
	if f.node.blob == nil {
		return blob{}
	}
	return blob{sha256: f.node.blob.sha256, sha1: f.node.blob.sha1, md5: f.node.blob.md5, size: f.node.blob.size}
}

// compare is below, at or above zero, as cmp.Compare; both values are of the field's kind.
func (f aqlField) compare(a, b any) int {
	switch x := a.(type) {
	case int64:
		y, _ := b.(int64)
		return cmp.Compare(x, y)
	case time.Time:
		y, _ := b.(time.Time)
		return x.Compare(y)
	}
	x, _ := a.(string)
	y, _ := b.(string)
	return cmp.Compare(x, y)
}

// comparison compiles a value, or an object of comparators that must all hold.
func (c *compiler) comparison(m member, kind aqlKind) (func(any) bool, error) {
	ops, ok := m.value.([]member)
	if !ok {
		ops = []member{{"$eq", m.value}}
	}
	if len(ops) == 0 {
		return nil, badAQL("%s has an empty comparison", m.key)
	}
	var tests []func(any) bool
	for _, op := range ops {
		t, err := c.operator(m.key, op, kind)
		if err != nil {
			return nil, err
		}
		tests = append(tests, t)
	}
	return func(v any) bool {
		for _, t := range tests {
			if !t(v) {
				return false
			}
		}
		return true
	}, nil
}

func (c *compiler) operator(field string, op member, kind aqlKind) (func(any) bool, error) {
	if op.key == "$match" || op.key == "$nmatch" {
		pattern, ok := op.value.(string)
		if !ok || kind != textKind {
			return nil, badAQL("%s: %s needs text", field, op.key)
		}
		return func(v any) bool { return wildcard(pattern, v.(string)) == (op.key == "$match") }, nil
	}
	if op.key == "$last" || op.key == "$before" {
		span, err := aqlSpan(op.value)
		if err != nil || kind != timeKind {
			return nil, badAQL("%s: %s needs a time field and a span such as 2d", field, op.key)
		}
		mark := c.now.Add(-span)
		return func(v any) bool { return v.(time.Time).After(mark) == (op.key == "$last") }, nil
	}
	want, err := aqlValue(op.value, kind)
	if err != nil {
		return nil, badAQL("%s: %v", field, err)
	}
	holds, ok := map[string]func(int) bool{
		"$eq":  func(c int) bool { return c == 0 },
		"$ne":  func(c int) bool { return c != 0 },
		"$gt":  func(c int) bool { return c > 0 },
		"$gte": func(c int) bool { return c >= 0 },
		"$lt":  func(c int) bool { return c < 0 },
		"$lte": func(c int) bool { return c <= 0 },
	}[op.key]
	if !ok {
		return nil, unsupported("the AQL operator %q is not implemented", op.key)
	}
	f := aqlField{kind: kind}
	return func(v any) bool { return holds(f.compare(v, want)) }, nil
}

// aqlValue reads a literal as the field's kind; numbers and times may be written as strings.
func aqlValue(v any, kind aqlKind) (any, error) {
	text, ok := v.(string)
	if n, isNumber := v.(json.Number); isNumber {
		text, ok = n.String(), true
	}
	if !ok {
		return nil, badAQL("%v is no value", v)
	}
	switch kind {
	case numberKind:
		return strconv.ParseInt(text, 10, 64)
	case timeKind:
		if t, err := time.Parse(time.DateOnly, text); err == nil {
			return t, nil
		}
		return time.Parse(time.RFC3339Nano, text)
	}
	return text, nil
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
