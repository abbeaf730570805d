package strictyaml

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Error is one mistake in a file. Line and Column count from 1; a mistake of the file as a whole has neither.
type Error struct {
	File         string
	Line, Column int
	Msg          string
}

// Error returns "file:line:column: message", which editors and CI systems turn into a link.
func (e *Error) Error() string { return Pos{e.File, e.Line, e.Column}.String() + ": " + e.Msg }

// Pos is a place in a file. A struct field of this type is filled with the place of the mapping that was decoded into
// the struct.
type Pos struct {
	File         string
	Line, Column int
}

// String returns "file:line:column", as far as known.
func (p Pos) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Column > 0 {
			fmt.Fprintf(&b, ":%d", p.Column)
		}
	}
	return b.String()
}

// Errorf returns an *Error at this place.
func (p Pos) Errorf(format string, args ...any) *Error {
	return &Error{File: p.File, Line: p.Line, Column: p.Column, Msg: fmt.Sprintf(format, args...)}
}

// Located is a value that remembers where it was written.
type Located[T any] struct {
	Value T
	Pos   Pos
}

func (l *Located[T]) locate(p Pos) any {
	l.Pos = p
	return &l.Value
}

// locator is what every *Located[T] satisfies, and nothing else can.
type locator interface{ locate(Pos) any }

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// syntaxError turns the parser's error into ours. The parser knows no column, and its line may be the one before.
func syntaxError(file string, err error) *Error {
	msg := err.Error()
	e := &Error{File: file}
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	e.Msg = "this is not YAML: " + msg + "; look at the indentation, colons and quotes here and on the lines around"
	return e
}
