package artifactory

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"text/scanner"
)

// selection is one field that a GraphQL query asks for.
type selection struct {
	alias, name string
	args        map[string]any // string, int64, bool, map[string]any or []any
	fields      []selection
}

// graphqlParser reads the subset that clients of the evidence service write: one anonymous or named query without
// variables, fragments or directives.
type graphqlParser struct {
	s     scanner.Scanner
	tok   rune
	depth int
	err   error
}

func parseGraphQL(text string) ([]selection, error) {
	p := &graphqlParser{}
	p.s.Init(strings.NewReader(text))
	p.s.Mode = scanner.ScanIdents | scanner.ScanInts | scanner.ScanStrings
	p.s.Error = func(_ *scanner.Scanner, msg string) { p.fail("%s", msg) }
	p.next()
	if p.tok == scanner.Ident && p.s.TokenText() == "query" {
		p.next()
		if p.tok == scanner.Ident {
			p.next()
		}
	}
	out := p.selections()
	if p.tok != scanner.EOF {
		p.fail("unexpected %q", p.s.TokenText())
	}
	return out, p.err
}

func (p *graphqlParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("syntax error at %s: %s", p.s.Position, fmt.Sprintf(format, args...))
	}
	p.tok = scanner.EOF
}

// next skips commas, which mean nothing.
func (p *graphqlParser) next() {
	if p.err != nil {
		p.tok = scanner.EOF
		return
	}
	for p.tok = p.s.Scan(); p.tok == ','; {
		p.tok = p.s.Scan()
	}
}

func (p *graphqlParser) expect(tok rune) string {
	text := p.s.TokenText()
	if p.tok != tok {
		p.fail("expected %s, found %q", scanner.TokenString(tok), text)
		return ""
	}
	p.next()
	return text
}

// deeper bounds nesting; the returned function comes up again.
func (p *graphqlParser) deeper() func() {
	if p.depth++; p.depth > 20 {
		p.fail("too deep")
	}
	return func() { p.depth-- }
}

func (p *graphqlParser) selections() []selection {
	defer p.deeper()()
	p.expect('{')
	var out []selection
	for p.err == nil && p.tok != '}' {
		f := selection{name: p.expect(scanner.Ident)}
		f.alias = f.name
		if p.tok == ':' {
			p.next()
			f.name = p.expect(scanner.Ident)
		}
		if p.tok == '(' {
			p.next()
			f.args = p.members(')')
		}
		if p.tok == '{' {
			f.fields = p.selections()
		}
		out = append(out, f)
	}
	p.expect('}')
	return out
}

func (p *graphqlParser) members(end rune) map[string]any {
	out := map[string]any{}
	for p.err == nil && p.tok != end {
		key := p.expect(scanner.Ident)
		p.expect(':')
		out[key] = p.value()
	}
	p.expect(end)
	return out
}

func (p *graphqlParser) value() any {
	defer p.deeper()()
	text := p.s.TokenText()
	switch p.tok {
	case scanner.String:
		p.next()
		var v string
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			p.fail("bad string %s", text)
		}
		return v
	case scanner.Int:
		p.next()
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			p.fail("bad number %s", text)
		}
		return n
	case scanner.Ident:
		p.next()
		if text == "true" || text == "false" {
			return text == "true"
		}
		return text
	case '{':
		p.next()
		return p.members('}')
	case '[':
		p.next()
		var out []any
		for p.err == nil && p.tok != ']' {
			out = append(out, p.value())
		}
		p.expect(']')
		return out
	}
	p.fail("unexpected %q", text)
	return nil
}

// object is a thing with fields; a field may be a func(args) that makes its value.
type object map[string]any

// choose makes the answer: of each object only the fields that were asked for.
func choose(v any, fields []selection) (any, error) {
	switch v := v.(type) {
	case object:
		if len(fields) == 0 {
			return nil, fmt.Errorf("an object needs a selection of its fields")
		}
		out := map[string]any{}
		for _, f := range fields {
			value, ok := v[f.name]
			if !ok {
				return nil, fmt.Errorf("Cannot query field %q", f.name) //nolint:staticcheck // GraphQL's own words
			}
			if make, ok := value.(func(map[string]any) (any, error)); ok {
				var err error
				if value, err = make(f.args); err != nil {
					return nil, err
				}
			} else if len(f.args) > 0 {
				return nil, fmt.Errorf("the field %q takes no arguments", f.name)
			}
			chosen, err := choose(value, f.fields)
			if err != nil {
				return nil, err
			}
			out[f.alias] = chosen
		}
		return out, nil
	case []object:
		out := []any{}
		for _, one := range v {
			chosen, err := choose(one, fields)
			if err != nil {
				return nil, err
			}
			out = append(out, chosen)
		}
		return out, nil
	}
	if len(fields) > 0 {
		return nil, fmt.Errorf("a scalar has no fields")
	}
	return v, nil
}
