package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder walks one document and gathers every error on the way.
type decoder struct {
	file   string
	filled bool // empty lists and tables are mistakes
	budget *int // nodes that may still be visited in this file
	spent  bool // a limit was reached; do not look further
	errs   []error
}

func (d *decoder) err() error { return errors.Join(d.errs...) }

func (d *decoder) pos(n *yaml.Node) Pos { return Pos{d.file, n.Line, n.Column} }

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	if path != "" {
		msg = path + ": " + msg
	}
	switch {
	case len(d.errs) < maxFaults:
		d.errs = append(d.errs, d.pos(n).Errorf("%s", msg))
	case len(d.errs) == maxFaults:
		d.errs = append(d.errs, d.pos(n).Errorf("more mistakes follow from here; fix the first %d", maxFaults))
		d.spent = true
	}
}

// value decodes n into v, whatever v's type.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, depth int) {
	if n = d.enter(n, path, depth); n == nil {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch t := v.Addr().Interface().(type) {
	case locator:
		d.value(n, reflect.ValueOf(t.locate(d.pos(n))).Elem(), path, depth)
		return
	case *time.Duration:
		d.duration(n, t, path)
		return
	case encoding.TextUnmarshaler:
		if s, ok := d.text(n, path); ok {
			if err := t.UnmarshalText([]byte(s)); err != nil {
				d.fail(n, path, "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, v, path, depth)
	case reflect.Slice:
		d.list(n, v, path, depth)
	case reflect.Map:
		d.table(n, v, path, depth)
	default:
		d.scalar(n, v, path)
	}
}

// enter follows an alias and holds the limits. It returns nil, with the error noted, for what may not be decoded.
func (d *decoder) enter(n *yaml.Node, path string, depth int) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.spent {
		return nil
	}
	if *d.budget--; *d.budget < 0 {
		d.fail(n, "", "the file has more than %d values, aliases counted each time", maxNodes)
		d.spent = true
		return nil
	}
	switch {
	case depth > maxDepth:
		d.fail(n, "", "nested deeper than %d levels", maxDepth)
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(n, path, "the tag %s is not supported; remove it", n.Tag)
	case isNull(n):
		d.fail(n, path, "has no value; give it one or remove the key")
	default:
		return n
	}
	return nil
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string, depth int) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "expected keys and values, found %s", describe(n))
		return
	}
	fields := fieldsOf(v.Type())
	for _, f := range fields {
		if f.isPos {
			v.FieldByIndex(f.index).Set(reflect.ValueOf(d.pos(n)))
		}
	}
	seen := d.pairs(n, path, func(key, value *yaml.Node) {
		f, ok := find(fields, key.Value)
		if !ok {
			d.fail(key, "", "unknown key %q%s; %s", key.Value, in(path), Hint(key.Value, names(fields)))
			return
		}
		had := len(d.errs)
		sub, child := v.FieldByIndex(f.index), join(path, f.name)
		d.value(value, sub, child, depth+1)
		if len(d.errs) == had {
			d.constraints(value, sub, f, child)
		}
	})
	for _, f := range fields {
		if f.required && !seen[f.name] {
			d.fail(n, "", "%q is missing%s%s", f.name, in(path), f.ask())
		}
	}
}

// constraints holds what the field's tags promise.
func (d *decoder) constraints(n *yaml.Node, v reflect.Value, f field, path string) {
	if v.Kind() == reflect.Struct && v.Addr().Type().Implements(reflect.TypeFor[locator]()) {
		v = v.Field(0)
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		if f.required && v.Len() == 0 {
			d.fail(n, path, "is empty%s", f.ask())
			return
		}
		d.fill(n, v, path)
	}
	if v.Kind() == reflect.String && len(f.oneof) > 0 && !contains(f.oneof, v.String()) {
		d.fail(n, path, "%q is not one of %s; %s", v.String(), strings.Join(f.oneof, ", "), Hint(v.String(), f.oneof))
	}
}

// fill refuses what is empty where that could be taken for the opposite of what it is.
func (d *decoder) fill(n *yaml.Node, v reflect.Value, path string) {
	if d.filled && v.Kind() != reflect.String && v.Len() == 0 {
		d.fail(n, path, "is empty, which is the same as if it were not there; write what is meant, or remove the key")
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, depth int) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, path, "expected a list, found %s; write [a, b] or one \"- item\" a line", describe(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1)
	}
}

func (d *decoder) table(n *yaml.Node, v reflect.Value, path string, depth int) {
	if n.Kind != yaml.MappingNode || v.Type().Key().Kind() != reflect.String {
		d.fail(n, path, "expected keys and values, found %s", describe(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(n, path, func(key, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(value, item, join(path, key.Value), depth+1)
		v.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), item)
	})
}

// pairs calls each for every well-formed key of a mapping and returns the keys seen.
func (d *decoder) pairs(n *yaml.Node, path string, each func(key, value *yaml.Node)) map[string]bool {
	first := make(map[string]*yaml.Node, len(n.Content)/2)
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || key.Style&yaml.TaggedStyle != 0:
			d.fail(key, path, "a key must be plain text, found %s", describe(key))
		case key.ShortTag() == "!!merge":
			d.fail(key, path, "merge keys (<<) are not supported; write the keys out")
		case first[key.Value] != nil:
			d.fail(key, "", "the key %q stands twice%s; the first is on line %d", key.Value, in(path), first[key.Value].Line)
		default:
			first[key.Value], seen[key.Value] = key, true
			each(key, value)
		}
	}
	return seen
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " in " + path
}
