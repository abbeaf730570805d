package artifactory

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// query is one items.find, compiled.
type query struct {
	where      func(*node) bool
	scopes     []scope
	anyType    bool // the criteria speak about type; else only files are found
	include    []string
	sortBy     []string
	descending bool
	offset     int
	limit      int
	rows       bool // offset and limit count rows of items and properties, not items
}

func (q query) includes(field string) bool {
	return slices.Contains(q.include, field) || slices.Contains(q.include, "*")
}

// aqlClauses follow find in this order, each at most once.
var aqlClauses = []struct {
	name string
	read func(q *query, args string) error
}{
	{"include", (*query).readInclude},
	{"sort", (*query).readSort},
	{"offset", func(q *query, args string) error { return readCount(&q.offset, args) }},
	{"limit", func(q *query, args string) error { return readCount(&q.limit, args) }},
}

var aqlClause = regexp.MustCompile(`^\s*\.\s*([a-z]+)\s*\(`)

func badAQL(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "Failed to parse query: "+format, args...)
}

// parseAQL reads items.find({…}).include(…).sort({…}).offset(n).limit(n).
func (s *Server) parseAQL(text string) (query, error) {
	text = strings.TrimSpace(text)
	rest, ok := strings.CutPrefix(text, "items.find(")
	if !ok {
		return query{}, unsupported("only items.find is implemented, not %.40q", text)
	}
	args, rest, err := arguments(rest)
	if err != nil {
		return query{}, err
	}
	var q query
	where, anyType, err := s.compile(args)
	if err != nil {
		return query{}, err
	}
	q.where, q.scopes, q.anyType = where.holds, where.scopes, anyType
	next := 0
	for strings.TrimSpace(rest) != "" {
		m := aqlClause.FindStringSubmatch(rest)
		if m == nil {
			return query{}, badAQL("unexpected %.40q", rest)
		}
		if args, rest, err = arguments(rest[len(m[0]):]); err != nil {
			return query{}, err
		}
		i := slices.IndexFunc(aqlClauses, func(c struct {
			name string
			read func(q *query, args string) error
		}) bool {
			return c.name == m[1]
		})
		if i < 0 {
			return query{}, unsupported("the AQL clause %q is not implemented", m[1])
		}
		if i < next {
			return query{}, badAQL("the clause %q is out of order", m[1])
		}
		next = i + 1
		if err := aqlClauses[i].read(&q, args); err != nil {
			return query{}, err
		}
	}
	if (slices.Contains(q.include, "property") || slices.Contains(q.include, "property.*")) && (q.limit > 0 || q.offset > 0) {
		switch s.Quirks().PropertyPages {
		case "":
			return query{}, unsupported("offset and limit together with included properties are not reliable at JFrog, see the quirk PropertyPages")
		case "rows":
			q.rows = true
		}
	}
	return q, nil
}

// arguments returns what stands before the closing parenthesis, strings respected.
func arguments(s string) (args, rest string, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == ')':
			return s[:i], s[i+1:], nil
		}
	}
	return "", "", badAQL("a parenthesis is not closed")
}

func (q *query) readInclude(args string) error {
	if err := json.Unmarshal([]byte("["+args+"]"), &q.include); err != nil || len(q.include) == 0 {
		return badAQL("include(%s)", args)
	}
	if q.include[0] == "*" && len(q.include) == 1 {
		q.include = nil
		q.include = sortedKeys(aqlFields)
		return nil
	}
	for _, f := range q.include {
		if _, ok := aqlFields[f]; !ok && f != "property" && f != "property.*" && !strings.HasPrefix(f, "@") {
			return unsupported("the AQL field %q is not implemented", f)
		}
	}
	return nil
}

func (q *query) readSort(args string) error {
	var by map[string][]string
	if err := json.Unmarshal([]byte(args), &by); err != nil || len(by) != 1 {
		return badAQL("sort(%s)", args)
	}
	for direction, fields := range by {
		if direction != "$asc" && direction != "$desc" {
			return badAQL("sort(%s)", args)
		}
		q.sortBy, q.descending = fields, direction == "$desc"
	}
	for _, f := range q.sortBy {
		if _, ok := aqlFields[f]; !ok {
			return unsupported("the AQL field %q is not implemented", f)
		}
		if q.include != nil && !q.includes(f) {
			return badAQL("sorting by %q needs it included", f)
		}
	}
	return nil
}

func readCount(to *int, args string) error {
	n, err := strconv.Atoi(strings.TrimSpace(args))
	if err != nil || n < 0 {
		return badAQL("%q is no count", args)
	}
	*to = n
	return nil
}
