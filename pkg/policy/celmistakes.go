package policy

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"

	"github.com/hallmark-signing/hallmark/pkg/strictyaml"
)

// maxMistakes bounds what is told of one expression.
const maxMistakes = 3

// mistake is one thing that is wrong with an expression. Line and column count from 1.
type mistake struct {
	line, column int
	message      string
}

// mistakes are an error.
type mistakes []mistake

func (m mistakes) Error() string {
	said := make([]string, len(m))
	for i, one := range m {
		said[i] = one.where() + ": " + one.message
	}
	return strings.Join(said, "; ")
}

func (m mistake) where() string {
	if m.line > 1 {
		return fmt.Sprintf("line %d, character %d", m.line, m.column)
	}
	return fmt.Sprintf("character %d", m.column)
}

var noField = regexp.MustCompile(`^undefined field '([^']*)'$`)

// mistakesOf takes over what the compiler of CEL has to say, in our words and with the nearest field.
func mistakesOf(issues *cel.Issues) mistakes {
	var out mistakes
	for _, e := range issues.Errors() {
		message := e.Message
		for view, name := range viewNames {
			message = strings.ReplaceAll(message, view, name)
		}
		if m := noField.FindStringSubmatch(message); m != nil {
			if near, ok := strictyaml.Nearest(m[1], viewFields); ok {
				message += fmt.Sprintf(" (did you mean '%s'?)", near)
			}
		}
		if out = append(out, mistake{e.Location.Line(), e.Location.Column() + 1, message}); len(out) == maxMistakes {
			break
		}
	}
	return out
}

// expression compiles what stands at a place, with errors at the line and column that they are about.
func (c *compiler) expression(text strictyaml.Located[string]) (expression, bool) {
	if e, known := c.expressions[text.Value]; known {
		return e, true
	}
	if c.compiled++; c.compiled > maxExpressions {
		if c.compiled == maxExpressions+1 {
			c.fail(text.Pos, "expression: the policies have more than %d different expressions; write as other checks what can be, or alike what is alike", maxExpressions)
		}
		return expression{}, false
	}
	e, err := compileExpression(text.Value)
	if err == nil {
		c.expressions[text.Value] = e
		return e, true
	}
	var many mistakes
	if !errors.As(err, &many) {
		many = mistakes{{message: err.Error()}}
	}
	for _, one := range many {
		if at, ok := within(c.source.data, text, one.line, one.column); ok {
			c.fail(at, "expression: %s", one.message)
		} else if one.line > 0 {
			c.fail(text.Pos, "expression: %s: %s", one.where(), one.message)
		} else {
			c.fail(text.Pos, "expression: %s", one.message)
		}
	}
	return expression{}, false
}

// within finds the place in a file of a character of a text that was read from it, both counted from 1: of plain and
// quoted text on one line, and of text below a |. Of other text that is not known.
func within(file []byte, text strictyaml.Located[string], line, column int) (strictyaml.Pos, bool) {
	lines, said := strings.Split(string(file), "\n"), strings.Split(text.Value, "\n")
	at := text.Pos
	if line < 1 || line > len(said) || at.Line < 1 || at.Line > len(lines) || at.Column < 1 {
		return at, false
	}
	first := []rune(lines[at.Line-1])
	if at.Column > len(first) {
		return at, false
	}
	start := string(first[at.Column-1:])
	if strings.HasPrefix(start, "|") {
		if at.Line += line; at.Line > len(lines) {
			return text.Pos, false
		}
		there := strings.TrimSuffix(lines[at.Line-1], "\r")
		indent, ok := strings.CutSuffix(there, said[line-1])
		at.Column = len(indent) + column
		return at, ok && strings.Trim(indent, " ") == ""
	}
	quote := 0
	if strings.HasPrefix(start, "'") || strings.HasPrefix(start, `"`) {
		quote = 1
	}
	at.Column += quote + column - 1
	return at, len(said) == 1 && strings.HasPrefix(start[quote:], text.Value)
}
