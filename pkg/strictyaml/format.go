package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// formatRounds is how often the output may be formatted again until it stays as it is; comments may need a second round.
const formatRounds = 4

// Format rewrites a stream in one form: two spaces a level, and keys in the order of the struct type that into returns a
// pointer to for each document. Comments, quotes and one-line lists and mappings stay. It takes only what decodes, and
// returns an error rather than text that decodes to anything else, lacks a comment, or would be formatted differently the
// next time. What it returns Format returns unchanged.
func Format(file string, data []byte, into func(*Doc) (any, error)) ([]byte, error) {
	meaning, err := decodeFor(file, data, into)
	if err != nil {
		return nil, err
	}
	out, said := data, comments(data)
	for range formatRounds {
		next, err := formatOnce(out, meaning)
		if err != nil {
			return nil, unformattable(file, err.Error())
		}
		again, err := decodeFor(file, next, into)
		switch {
		case err != nil || !reflect.DeepEqual(again, meaning):
			return nil, unformattable(file, "its meaning would change")
		case !slices.Equal(comments(next), said):
			return nil, unformattable(file, "a comment would be lost; put comments on lines of their own above a key or a list item")
		case bytes.Equal(next, out):
			return out, nil
		}
		out = next
	}
	return nil, unformattable(file, "its comments move each time; put them on lines of their own above a key or a list item")
}

func unformattable(file, why string) error {
	return &Error{File: file, Msg: "the file cannot be formatted: " + why}
}

// decodeFor decodes every document and forgets where things stand.
func decodeFor(file string, data []byte, into func(*Doc) (any, error)) ([]any, error) {
	var out []any
	err := DecodeAll(file, data, func(doc *Doc) error {
		v, err := into(doc)
		if err != nil {
			return err
		}
		if err := doc.Decode(v); err != nil {
			return err
		}
		forget(reflect.ValueOf(v))
		out = append(out, v)
		return nil
	})
	return out, err
}

// forget zeroes every Pos in v.
func forget(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			forget(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			forget(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Pos]() {
			v.SetZero()
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				forget(v.Field(i))
			}
		}
	}
}

// formatOnce writes the documents, which decode to the values of these types, anew. Empty documents are left out.
func formatOnce(data []byte, types []any) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	n := 0
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(doc.Content) == 0 || isNull(doc.Content[0]) {
			continue // its comments, if any, will be missed
		}
		if n == len(types) {
			return nil, fmt.Errorf("it has more than %d documents", n)
		}
		root, t := doc.Content[0], reflect.TypeOf(types[n])
		n++
		top := takeHead(root)
		arrange(root, t)
		putHead(root, top)
		if err := enc.Encode(&doc); err != nil {
			return nil, err
		}
	}
	if n == 0 {
		return data, nil
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// takeHead takes the comment above a document's first key, which is about the document, whichever key comes first.
func takeHead(root *yaml.Node) string {
	if root.Kind != yaml.MappingNode || len(root.Content) == 0 {
		return ""
	}
	top := root.Content[0].HeadComment
	root.Content[0].HeadComment = ""
	return top
}

func putHead(root *yaml.Node, top string) {
	if top == "" {
		return
	}
	first := root.Content[0]
	if first.HeadComment != "" {
		top += "\n" + first.HeadComment
	}
	first.HeadComment = top
}

// arrange puts the keys of a mapping, and of all below it, into the order of the struct type.
func arrange(n *yaml.Node, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[locator]()) {
		arrange(n, t.Field(0).Type)
		return
	}
	switch {
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, item := range n.Content {
			arrange(item, t.Elem())
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 1; i < len(n.Content); i += 2 {
			arrange(n.Content[i], t.Elem())
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		var content []*yaml.Node
		for _, f := range fieldsOf(t) {
			for i := 0; i+1 < len(n.Content); i += 2 {
				if !f.isPos && n.Content[i].Value == f.name {
					arrange(n.Content[i+1], f.typ)
					content = append(content, n.Content[i], n.Content[i+1])
				}
			}
		}
		n.Content = content
	}
}

// comments lists all that is said in comments, sorted: whole lines as they stand in the text, and those behind something
// as the parser sees them.
func comments(data []byte) []string {
	var out []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.LineComment != "" {
			out = append(out, "behind: "+n.LineComment)
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	for dec := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var doc yaml.Node
		if dec.Decode(&doc) != nil {
			break
		}
		walk(&doc)
	}
	slices.Sort(out)
	return out
}
