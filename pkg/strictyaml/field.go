package strictyaml

import (
	"reflect"
	"slices"
	"strings"
)

// field is one key that a struct type knows.
type field struct {
	name     string
	index    []int
	typ      reflect.Type
	doc      string
	dflt     string
	required bool
	oneof    []string
	isPos    bool
}

// fieldsOf lists the keys of a struct type in source order. Fields marked `yaml:",inline"` lend theirs.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		if !sf.IsExported() {
			continue
		}
		if sf.Type == reflect.TypeFor[Pos]() {
			out = append(out, field{index: sf.Index, isPos: true})
			continue
		}
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if options == "inline" && sf.Type.Kind() == reflect.Struct {
			for _, f := range fieldsOf(sf.Type) {
				f.index = slices.Concat(sf.Index, f.index)
				out = append(out, f)
			}
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		f := field{name: name, index: sf.Index, typ: sf.Type, doc: sf.Tag.Get("doc"), dflt: sf.Tag.Get("default")}
		f.required = sf.Tag.Get("required") == "true"
		if one := sf.Tag.Get("oneof"); one != "" {
			f.oneof = strings.Split(one, ",")
		}
		out = append(out, f)
	}
	return out
}

// ask ends the error about a required key that is missing or empty with what belongs there.
func (f field) ask() string {
	switch {
	case len(f.oneof) > 0:
		return "; write one of " + strings.Join(f.oneof, ", ")
	case f.doc != "":
		return ": " + f.doc
	}
	return "; it is required"
}

func find(fields []field, name string) (field, bool) {
	i := slices.IndexFunc(fields, func(f field) bool { return !f.isPos && f.name == name })
	if i < 0 {
		return field{}, false
	}
	return fields[i], true
}

func names(fields []field) []string {
	var out []string
	for _, f := range fields {
		if !f.isPos {
			out = append(out, f.name)
		}
	}
	return out
}

func contains(list []string, s string) bool { return slices.Contains(list, s) }
