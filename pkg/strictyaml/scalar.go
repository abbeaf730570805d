package strictyaml

import (
	"fmt"
	"math"
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"
)

// scalar decodes a single value into one of Go's basic kinds.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		if s, ok := d.text(n, path); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		if !isScalar(n, "!!bool") {
			d.fail(n, path, "expected true or false, found %s", describe(n))
			return
		}
		var b bool
		if err := n.Decode(&b); err != nil {
			d.fail(n, path, "expected true or false, found %s", describe(n))
			return
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var i int64
		if !isScalar(n, "!!int") || n.Decode(&i) != nil || v.OverflowInt(i) {
			d.fail(n, path, "expected a whole number%s, found %s", bits(v), describe(n))
			return
		}
		v.SetInt(i)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var u uint64
		if !isScalar(n, "!!int") || n.Decode(&u) != nil || v.OverflowUint(u) {
			d.fail(n, path, "expected a whole number, zero or more%s, found %s", bits(v), describe(n))
			return
		}
		v.SetUint(u)
	case reflect.Float32, reflect.Float64:
		var f float64
		if !isScalar(n, "!!int", "!!float") || n.Decode(&f) != nil || math.IsNaN(f) || math.IsInf(f, 0) || v.OverflowFloat(f) {
			d.fail(n, path, "expected a number, found %s", describe(n))
			return
		}
		v.SetFloat(f)
	default:
		d.fail(n, path, "cannot be decoded into the Go type %s", v.Type())
	}
}

// text accepts what YAML takes for text, and dates. A bare number or true is refused: in a place for text it is mostly
// a value under the wrong key, and quotes say the opposite.
func (d *decoder) text(n *yaml.Node, path string) (string, bool) {
	if !isScalar(n, "!!str", "!!timestamp") {
		quote := ""
		if n.Kind == yaml.ScalarNode {
			quote = "; if it is meant, put it in quotes"
		}
		d.fail(n, path, "expected text, found %s%s", describe(n), quote)
		return "", false
	}
	return n.Value, true
}

func (d *decoder) duration(n *yaml.Node, into *time.Duration, path string) {
	if n.Kind == yaml.ScalarNode {
		if isScalar(n, "!!int", "!!float") && n.Value != "0" {
			d.fail(n, path, "%s has no unit; write for example %ss", n.Value, n.Value)
			return
		}
		if v, err := time.ParseDuration(n.Value); err == nil {
			*into = v
			return
		}
	}
	d.fail(n, path, "expected a duration such as 500ms, 30s or 2h, found %s", describe(n))
}

func isScalar(n *yaml.Node, tags ...string) bool {
	return n.Kind == yaml.ScalarNode && contains(tags, n.ShortTag())
}

// describe names what stands there in the reader's words.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "keys and values"
	case yaml.AliasNode:
		return "an alias"
	}
	value := n.Value
	if len(value) > 40 {
		value = value[:40] + "…"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "the number " + value
	case "!!bool":
		return value
	case "!!null":
		return "nothing"
	}
	return fmt.Sprintf("the text %q", value)
}

func bits(v reflect.Value) string {
	if n := v.Type().Bits(); n < 64 {
		return fmt.Sprintf(" of %d bits", n)
	}
	return ""
}
