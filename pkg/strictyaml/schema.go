package strictyaml

import (
	"encoding"
	"reflect"
	"strconv"
	"time"
)

// Schema is a JSON Schema, draft 2020-12, as far as it is needed to describe what Decode takes. It is made to be
// written as JSON.
type Schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Comment     string             `json:"$comment,omitempty"`
	Ref         string             `json:"$ref,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Const       string             `json:"const,omitempty"`
	Default     any                `json:"default,omitempty"`
	Minimum     *int               `json:"minimum,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	MinKeys     int                `json:"minProperties,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false, or the *Schema of values under free keys
	AllOf       []*Schema          `json:"allOf,omitempty"`
	If          *Schema            `json:"if,omitempty"`
	Then        *Schema            `json:"then,omitempty"`
	Defs        map[string]*Schema `json:"$defs,omitempty"`
}

// SchemaOf describes what Decode takes for a struct, or pointer to one: keys, types, and what the tags required, oneof,
// default and doc say. Whatever Decode takes the schema takes; the other way round Decode sees more, such as values that
// only a TextUnmarshaler can judge. The types must not be recursive.
func SchemaOf(v any) *Schema { return schemaOf(reflect.TypeOf(v)) }

func schemaOf(t reflect.Type) *Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	ptr := reflect.PointerTo(t)
	switch {
	case ptr.Implements(reflect.TypeFor[locator]()):
		return schemaOf(t.Field(0).Type)
	case t == reflect.TypeFor[time.Duration](), ptr.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return &Schema{Type: "string"}
	}
	switch t.Kind() {
	case reflect.Slice:
		return &Schema{Type: "array", Items: schemaOf(t.Elem())}
	case reflect.Map:
		return &Schema{Type: "object", Additional: schemaOf(t.Elem())}
	case reflect.Struct:
		return schemaOfStruct(t)
	case reflect.String:
		return &Schema{Type: "string"}
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Float32, reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &Schema{Type: "integer", Minimum: new(int)}
	}
	return &Schema{Type: "integer"}
}

func schemaOfStruct(t reflect.Type) *Schema {
	s := &Schema{Type: "object", Properties: map[string]*Schema{}, Additional: false}
	for _, f := range fieldsOf(t) {
		if f.isPos {
			continue
		}
		p := schemaOf(f.typ)
		p.Description, p.Enum = f.doc, f.oneof
		if f.dflt != "" {
			p.Description += " (default: " + f.dflt + ")"
			p.Default = defaultOf(p.Type, f.dflt)
		}
		if f.required {
			s.Required = append(s.Required, f.name)
			p.notEmpty()
		}
		s.Properties[f.name] = p
	}
	return s
}

// notEmpty says what Decode asks of required keys.
func (s *Schema) notEmpty() {
	switch {
	case s.Type == "array":
		s.MinItems = 1
	case s.Type == "object" && s.Properties == nil:
		s.MinKeys = 1
	case s.Type == "string" && s.Enum == nil:
		s.MinLength = 1
	}
}

// defaultOf is a default that a program could put in. Most are words for people, such as all.
func defaultOf(kind, text string) any {
	switch kind {
	case "integer":
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	case "boolean":
		if b, err := strconv.ParseBool(text); err == nil {
			return b
		}
	}
	return nil
}
