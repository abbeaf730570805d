package artifactory

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// criterion says yes or no to one item, and where such items lie.
type criterion struct {
	holds  func(*node) bool
	scopes []scope
}

// compile makes a criterion of the argument of find; nothing finds everything. speaksOfType is set when the type is asked
// for anywhere.
func (s *Server) compile(args string) (where criterion, speaksOfType bool, err error) {
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
		return criterion{}, false, badAQL("find(%.60s): %v", args, err)
	}
	c := compiler{server: s, now: s.now()}
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
	server       *Server
	now          time.Time
	speaksOfType bool
}

// all and some join criteria.
func all(cs []criterion) criterion {
	out := criterion{scopes: anywhere}
	for _, c := range cs {
		out.scopes = narrow(out.scopes, c.scopes)
	}
	out.holds = func(n *node) bool {
		for _, c := range cs {
			if !c.holds(n) {
				return false
			}
		}
		return true
	}
	if len(cs) == 1 {
		out.holds = cs[0].holds
	}
	return out
}

func some(cs []criterion) criterion {
	if len(cs) == 1 {
		return cs[0]
	}
	var out criterion
	for _, c := range cs {
		out.scopes = append(out.scopes, c.scopes...)
	}
	out.holds = func(n *node) bool {
		for _, c := range cs {
			if c.holds(n) {
				return true
			}
		}
		return false
	}
	return out
}

// object compiles the members and joins them. Within an element of $or the members are joined by or: JFrog's client
// relies on it for its exclusions.
func (c *compiler) object(members []member, join func([]criterion) criterion) (criterion, error) {
	var cs []criterion
	if built, rest := buildMembers(members); len(built) > 0 {
		one, err := c.builtBy(built)
		if err != nil {
			return criterion{}, err
		}
		cs, members = append(cs, one), rest
	}
	for _, m := range members {
		one, err := c.member(m)
		if err != nil {
			return criterion{}, err
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
		return criterion{}, unsupported("the AQL operator %q is not implemented", m.key)
	case strings.HasPrefix(m.key, "@"):
		return c.property(m)
	}
	f, ok := aqlFields[m.key]
	if !ok {
		return criterion{}, unsupported("the AQL field %q is not implemented", m.key)
	}
	if m.key == "type" {
		c.speaksOfType = true
		if m.value == "any" {
			return all(nil), nil
		}
	}
	ops := operators(m)
	if len(ops) == 0 {
		return criterion{}, badAQL("%s has an empty comparison", m.key)
	}
	var cs []criterion
	for _, op := range ops {
		holds, err := f.test(m.key, op, c.now)
		if err != nil {
			return criterion{}, err
		}
		cs = append(cs, criterion{holds, c.scope(m.key, op)})
	}
	return all(cs), nil
}

// operators are the comparisons of a member: an object of them that must all hold, or a plain value.
func operators(m member) []member {
	if ops, ok := m.value.([]member); ok {
		return ops
	}
	return []member{{"$eq", m.value}}
}

// scope is what a comparison tells about where items lie.
func (c *compiler) scope(field string, op member) []scope {
	text, _ := aqlText(op.value)
	switch {
	case op.key == "$eq" && field == "repo":
		return []scope{{repo: text}}
	case op.key == "$eq" && field == "path":
		return []scope{{path: text}}
	case op.key == "$eq" && field == "name":
		return []scope{{name: text}}
	case field != "modified" && field != "updated":
	case op.key == "$last":
		if span, err := aqlSpan(op.value); err == nil {
			return []scope{{since: c.now.Add(-span)}}
		}
	case op.key == "$gt" || op.key == "$gte" || op.key == "$eq":
		if t, err := aqlTime(text); err == nil {
			return []scope{{since: t}}
		}
	}
	return anywhere
}

func (c *compiler) list(m member, join func([]criterion) criterion) (criterion, error) {
	elements, ok := m.value.([]any)
	if !ok || len(elements) == 0 {
		return criterion{}, badAQL("%s needs a list", m.key)
	}
	var cs []criterion
	for _, e := range elements {
		members, ok := e.([]member)
		if !ok {
			return criterion{}, badAQL("%s needs a list of objects", m.key)
		}
		one, err := c.object(members, join)
		if err != nil {
			return criterion{}, err
		}
		cs = append(cs, one)
	}
	return join(cs), nil
}
