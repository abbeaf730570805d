package strictyaml

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// Field is one line of a configuration reference.
type Field struct {
	Path     string // "artifactory[].token.file"; a mapping with free keys is "name.*"
	Type     string // in the reader's words: text, duration, list of text, keys and values, …
	Default  string // as its `default` tag says; empty means none
	Doc      string
	Required bool
}

// Reference lists the keys of a struct, or pointer to one, in source order, each group before its parts. The types must
// not be recursive; below eight levels nothing is listed.
func Reference(v any) []Field {
	t := reflect.TypeOf(v)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reference(t, "", 0)
}

func reference(t reflect.Type, path string, depth int) []Field {
	if t.Kind() != reflect.Struct || depth > 8 {
		return nil
	}
	var out []Field
	for _, f := range fieldsOf(t) {
		if f.isPos {
			continue
		}
		words, inner, suffix := describeType(f.typ)
		if len(f.oneof) > 0 {
			words = strings.Join(f.oneof, " or ")
		}
		name := join(path, f.name)
		out = append(out, Field{Path: name, Type: words, Default: f.dflt, Doc: f.doc, Required: f.required})
		out = append(out, reference(inner, name+suffix, depth+1)...)
	}
	return out
}

// describeType returns a type's words, the type that holds further keys (if any), and what its path gains.
func describeType(t reflect.Type) (words string, inner reflect.Type, suffix string) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	ptr := reflect.PointerTo(t)
	switch {
	case ptr.Implements(reflect.TypeFor[locator]()):
		return describeType(t.Field(0).Type)
	case t == reflect.TypeFor[time.Duration]():
		return "duration", t, ""
	case ptr.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "text", reflect.TypeFor[string](), ""
	}
	switch t.Kind() {
	case reflect.Slice:
		words, inner, suffix = describeType(t.Elem())
		return "list of " + words, inner, "[]" + suffix
	case reflect.Map:
		words, inner, suffix = describeType(t.Elem())
		return "names, each with " + words, inner, ".*" + suffix
	case reflect.Struct:
		return "keys and values", t, ""
	case reflect.String:
		return "text", t, ""
	case reflect.Bool:
		return "true or false", t, ""
	case reflect.Float32, reflect.Float64:
		return "number", t, ""
	}
	return "whole number", t, ""
}
