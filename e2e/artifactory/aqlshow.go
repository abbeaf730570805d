package artifactory

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// defaultFields is the answer without include.
var defaultFields = []string{"repo", "path", "name", "type", "size", "created", "created_by", "modified", "modified_by", "updated"}

// appendAnswer writes the whole answer. Results come before range: JFrog's own client finds nothing otherwise.
func (q query) appendAnswer(b []byte, hits []hit) []byte {
	fields := q.include
	if len(fields) == 0 {
		fields = defaultFields
	}
	b = append(b, `{"results":[`...)
	for i, h := range hits {
		if i > 0 {
			b = append(b, ',')
		}
		b = h.appendFields(b, fields)
	}
	b = append(b, `],"range":{"start_pos":`...)
	b = strconv.AppendInt(b, int64(q.offset), 10)
	b = append(b, `,"end_pos":`...)
	b = strconv.AppendInt(b, int64(q.offset+len(hits)), 10)
	b = append(b, `,"total":`...)
	b = strconv.AppendInt(b, int64(len(hits)), 10)
	if q.limit > 0 {
		b = append(b, `,"limit":`...)
		b = strconv.AppendInt(b, int64(q.limit), 10)
	}
	return append(b, "}}"...)
}

// appendFields writes one result with the included fields, without those that are empty: folders have no checksums.
func (h hit) appendFields(b []byte, fields []string) []byte {
	b = append(b, '{')
	empty := len(b)
	var patterns []string // of properties, which make one field together
	for _, name := range fields {
		if name == "property" || name == "property.*" {
			patterns = append(patterns, "*")
			continue
		}
		if strings.HasPrefix(name, "@") {
			patterns = append(patterns, name[1:])
			continue
		}
		before := len(b)
		if len(b) > empty {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), name...), `":`...)
		value := len(b)
		if b = aqlFields[name].appendValue(b, h.node); string(b[value:]) == `""` {
			b = b[:before]
		}
	}
	if len(patterns) > 0 {
		b = h.appendProperties(b, patterns, len(b) > empty)
	}
	return append(b, '}')
}

func (h hit) appendProperties(b []byte, patterns []string, comma bool) []byte {
	n := 0
	for _, key := range sortedKeys(h.props) {
		for _, pattern := range patterns {
			if !wildcard(pattern, key) {
				continue
			}
			for _, v := range h.props[key] {
				switch {
				case n > 0:
					b = append(b, ',')
				case comma:
					b = append(b, `,"properties":[`...)
				default:
					b = append(b, `"properties":[`...)
				}
				n++
				b = appendText(append(b, `{"key":`...), key)
				b = append(appendText(append(b, `,"value":`...), v), '}')
			}
			break
		}
	}
	if n > 0 {
		b = append(b, ']')
	}
	return b
}

// appendText writes a JSON string, at little cost for the usual ones.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // a string: cannot fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

func (f aqlField) appendValue(b []byte, n *node) []byte {
	switch f.kind {
	case numberKind:
		return strconv.AppendInt(b, f.number(n), 10)
	case timeKind:
		return append(appendStamp(append(b, '"'), f.when(n)), '"')
	}
	return appendText(b, f.text(n))
}

func appendStamp(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, timeLayout) }
