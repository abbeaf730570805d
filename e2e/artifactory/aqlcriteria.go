package artifactory

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// criterion says yes or no to one item.
type criterion func(found) bool

// compileAQL makes a criterion of the argument of find; nothing finds everything. speaksOfType is set when the type is
// asked for anywhere.
func compileAQL(args string) (where criterion, speaksOfType bool, err error) {
	if strings.TrimSpace(args) == "" {
		args = "{}"
	}
	d := json.NewDecoder(strings.NewReader(args))
	d.UseNumber()
	v, err := decodeOrdered(d)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	object, ok := v.([]member)
	if err != nil || !ok {
		return nil, false, badAQL("find(%.60s): %v", args, err)
	}
	c := compiler{now: time.Now()}
	where, err = c.object(object, all)
	return where, c.speaksOfType, err
}

// member is a key and its value. An object is a list of them: AQL repeats keys, and each counts.
type member struct {
	key   string
	value any // []member, []any, string, json.Number, bool or nil
}

func decodeOrdered(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		out := []member{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeOrdered(d)
			if err != nil {
				return nil, err
			}
			out = append(out, member{key.(string), v})
		}
		_, err := d.Token()
		return out, err
	case json.Delim('['):
		out := []any{}
		for d.More() {
			v, err := decodeOrdered(d)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		_, err := d.Token()
		return out, err
	}
	return t, nil
}

type compiler struct {
	now          time.Time
	speaksOfType bool
}

// all and some join criteria.
func all(cs []criterion) criterion {
	return func(f found) bool {
		for _, c := range cs {
			if !c(f) {
				return false
			}
		}
		return true
	}
}

func some(cs []criterion) criterion {
	return func(f found) bool {
		for _, c := range cs {
			if c(f) {
				return true
			}
		}
		return false
	}
}

// object compiles the members and joins them. Within an element of $or the members are joined by or: JFrog's client
// relies on it for its exclusions.
func (c *compiler) object(members []member, join func([]criterion) criterion) (criterion, error) {
	var cs []criterion
	for _, m := range members {
		one, err := c.member(m)
		if err != nil {
			return nil, err
		}
		cs = append(cs, one)
	}
	return join(cs), nil
}

func (c *compiler) member(m member) (criterion, error) {
	switch {
	case m.key == "$and":
		return c.list(m, all)
	case m.key == "$or":
		return c.list(m, some)
	case strings.HasPrefix(m.key, "$"):
		return nil, unsupported("the AQL operator %q is not implemented", m.key)
	case strings.HasPrefix(m.key, "@"):
		return c.property(m)
	}
	f, ok := aqlFields[m.key]
	if !ok {
		return nil, unsupported("the AQL field %q is not implemented", m.key)
	}
	if m.key == "type" {
		c.speaksOfType = true
		if m.value == "any" {
			return all(nil), nil
		}
	}
	test, err := c.comparison(m, f.kind)
	if err != nil {
		return nil, err
	}
	return func(x found) bool { return test(f.get(x)) }, nil
}

func (c *compiler) list(m member, join func([]criterion) criterion) (criterion, error) {
	elements, ok := m.value.([]any)
	if !ok || len(elements) == 0 {
		return nil, badAQL("%s needs a list", m.key)
	}
	var cs []criterion
	for _, e := range elements {
		members, ok := e.([]member)
		if !ok {
			return nil, badAQL("%s needs a list of objects", m.key)
		}
		one, err := c.object(members, join)
		if err != nil {
			return nil, err
		}
		cs = append(cs, one)
	}
	return join(cs), nil
}

// property compiles "@key": … . A negative comparison also finds items that lack the key; a positive one is satisfied
// by any of several values.
func (c *compiler) property(m member) (criterion, error) {
	pattern := m.key[1:]
	positive, negative := m, false
	if ops, ok := m.value.([]member); ok && len(ops) == 1 && (ops[0].key == "$ne" || ops[0].key == "$nmatch") {
		negative = true
		op := map[string]string{"$ne": "$eq", "$nmatch": "$match"}[ops[0].key]
		positive.value = []member{{op, ops[0].value}}
	}
	test, err := c.comparison(positive, textKind)
	if err != nil {
		return nil, err
	}
	return func(f found) bool {
		for key, values := range f.node.props {
			if !wildcard(pattern, key) {
				continue
			}
			for _, v := range values {
				if test(v) {
					return !negative
				}
			}
		}
		return negative
	}, nil
}
