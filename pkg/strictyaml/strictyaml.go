// Package strictyaml reads YAML the way configuration must be read: whatever is not understood is an error that says
// where it stands and what was probably meant. Unknown and duplicate keys, wrong types, empty values, tags, merge keys
// and second documents are refused, and all errors of a file are reported at once.
//
// Only struct fields with a `yaml:"name"` tag are keys. A field may also carry `doc:"..."` and `default:"..."` (for
// Reference; Decode leaves absent keys as they are), `required:"true"` and `oneof:"a,b"` (both enforced by Decode).
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// MaxBytes is the size of the largest file that is read.
const MaxBytes = 1 << 20

// Limits of one file. They are far above anything a person writes and keep a hostile file from costing memory or time.
const (
	maxDepth  = 32      // of nested lists and mappings
	maxNodes  = 100_000 // visited, every use of an alias counted anew
	maxFaults = 50      // reported per document; the rest is left out
)

// Decode reads the one document in data into the struct that into points to. Keys that are absent leave their fields
// alone, so into may hold defaults. file names the data in errors; they are *Error, joined when there are several.
func Decode(file string, data []byte, into any) error {
	docs := 0
	err := DecodeAll(file, data, func(doc *Doc) error {
		if docs++; docs > 1 {
			return doc.Pos.Errorf("a second document starts here; this file holds one")
		}
		return doc.Decode(into)
	})
	if err == nil && docs == 0 {
		return &Error{File: file, Msg: "the file is empty"}
	}
	return err
}

// DecodeAll calls each for every document of a stream separated by "---" and goes on after an error, so that the
// returned error joins those of all documents. Empty documents are passed over. A syntax error ends the stream.
func DecodeAll(file string, data []byte, each func(*Doc) error) error {
	if len(data) > MaxBytes {
		return &Error{File: file, Msg: fmt.Sprintf("the file has %d bytes, the limit is %d", len(data), MaxBytes)}
	}
	var errs []error
	budget := maxNodes
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var node yaml.Node
		err := dec.Decode(&node)
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return errors.Join(append(errs, syntaxError(file, err))...)
		}
		if len(node.Content) == 0 || isNull(node.Content[0]) {
			continue
		}
		root := node.Content[0]
		if err := each(&Doc{Pos: Pos{file, root.Line, root.Column}, root: root, budget: &budget}); err != nil {
			errs = append(errs, err)
		}
	}
}

// Doc is one document of a stream.
type Doc struct {
	Pos    Pos  // of its first key
	Filled bool // Decode refuses keys whose list or table is empty
	root   *yaml.Node
	budget *int
}

// Decode reads the document into the struct that into points to, like the function Decode.
func (doc *Doc) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decoding %s: %T is not a pointer to a struct", doc.Pos.File, into)
	}
	d := &decoder{file: doc.Pos.File, budget: doc.budget, filled: doc.Filled}
	d.value(doc.root, v.Elem(), "", 0)
	return d.err()
}

// Text returns the text under a top-level key without decoding the rest, to choose the type to decode into.
func (doc *Doc) Text(key string) (Located[string], bool) {
	if doc.root.Kind != yaml.MappingNode {
		return Located[string]{}, false
	}
	for i := 0; i+1 < len(doc.root.Content); i += 2 {
		if k, v := doc.root.Content[i], doc.root.Content[i+1]; k.Value == key && v.Kind == yaml.ScalarNode {
			return Located[string]{Value: v.Value, Pos: Pos{doc.Pos.File, v.Line, v.Column}}, true
		}
	}
	return Located[string]{}, false
}
