package artifactory

import (
	"net/http"
	"slices"
	"strings"

	"unicode/utf8"
)

// Limits of a property, in characters.
const (
	maxKey   = 255
	maxValue = 2400
)

const forbiddenInKey = ")(}{][*+^$\\/~`!@#%&<>;=,±§ "

// properties checks pairs and gathers the values of each key, as a set in order of appearance.
func (s *Server) properties(pairs []pair) (map[string][]string, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	out := map[string][]string{}
	for _, p := range pairs {
		p, err := s.checkProperty(p)
		if err != nil {
			return nil, err
		}
		if p.value == "" || !slices.Contains(out[p.key], p.value) {
			out[p.key] = append(out[p.key], p.value)
		}
	}
	return out, nil
}

func (s *Server) checkProperty(p pair) (pair, error) {
	if p.key == "" || strings.ContainsAny(p.key, forbiddenInKey) {
		return pair{}, refuse(http.StatusBadRequest, "The property key '%s' is empty or has a forbidden character", p.key)
	}
	if !utf8.ValidString(p.key) || !utf8.ValidString(p.value) {
		return pair{}, refuse(http.StatusBadRequest, "The property '%s' is not UTF-8", p.key)
	}
	if s.Quirks().LongValue == "cut" {
		return pair{cut(p.key, maxKey), cut(p.value, maxValue)}, nil
	}
	if n := utf8.RuneCountInString(p.key); n > maxKey {
		return pair{}, refuse(http.StatusBadRequest, "The property key has %d characters, the limit is %d", n, maxKey)
	}
	if n := utf8.RuneCountInString(p.value); n > maxValue {
		return pair{}, refuse(http.StatusBadRequest, "The value of property '%s' has %d characters, the limit is %d", p.key, n, maxValue)
	}
	return p, nil
}

func cut(v string, limit int) string {
	if utf8.RuneCountInString(v) <= limit {
		return v
	}
	return string([]rune(v)[:limit])
}

// merged is old with the keys of fresh replaced; neither is changed.
func merged(old, fresh map[string][]string) map[string][]string {
	if len(old) == 0 {
		return fresh
	}
	out := make(map[string][]string, len(old)+len(fresh))
	for k, v := range old {
		out[k] = v
	}
	for k, v := range fresh {
		out[k] = v
	}
	return out
}

type propertiesInfo struct {
	URI        string              `json:"uri"`
	Properties map[string][]string `json:"properties"`
}

// readProperties answers ?properties[=k1,k2]: 404 when there is nothing to tell. The caller holds s.mu.
func (s *Server) readProperties(r *http.Request, c call, n *node) (any, error) {
	found := n.props
	if c.query[0].value != "" {
		found = map[string][]string{}
		for key := range strings.SplitSeq(c.query[0].value, ",") {
			if v, ok := n.props[key]; ok {
				found[key] = v
			}
		}
	}
	if len(found) == 0 {
		return nil, refuse(http.StatusNotFound, "No properties could be found.")
	}
	return propertiesInfo{URI: s.baseFor(r) + "/artifactory/api/storage/" + escaped(c.at), Properties: found}, nil
}

// propertyCall is the query of PUT and DELETE ?properties=…&recursive=0|1.
func propertyCall(c call) (list string, recursive bool, err error) {
	recursive = true // JFrog's default, for folders
	seen := false
	for _, q := range c.query {
		switch q.key {
		case "properties":
			list, seen = q.value, true
		case "recursive":
			recursive = q.value != "0"
		default:
			return "", false, unsupported("the query parameter %q is not implemented here", q.key)
		}
	}
	if !seen || list == "" {
		return "", false, refuse(http.StatusBadRequest, "Please provide the properties")
	}
	return list, recursive, nil
}

// putProperties sets the listed keys and leaves the others.
func (s *Server) putProperties(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := permission(c.by, c.at.repo, 'a'); err != nil {
		return err
	}
	list, recursive, err := propertyCall(c)
	if err != nil {
		return err
	}
	var pairs []pair
	for _, prop := range splitEscaped(list, ";|") {
		kv := splitEscaped(prop, "=")
		if len(kv) != 2 || kv[0] == "" {
			return refuse(http.StatusBadRequest, "The property '%s' is not of the form key=value", prop)
		}
		for _, v := range splitEscaped(kv[1], ",") {
			pairs = append(pairs, pair{unescape(kv[0]), unescape(v)})
		}
	}
	set, err := s.properties(pairs)
	if err != nil {
		return err
	}
	return s.changeProperties(w, c, recursive, set, nil)
}

// deleteProperties removes the listed keys; keys that are not there do not matter.
func (s *Server) deleteProperties(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := permission(c.by, c.at.repo, 'a'); err != nil {
		return err
	}
	list, recursive, err := propertyCall(c)
	if err != nil {
		return err
	}
	return s.changeProperties(w, c, recursive, nil, splitEscaped(list, ","))
}

// changeProperties is all three ways of writing: set replaces keys, gone removes them. All or nothing.
func (s *Server) changeProperties(w http.ResponseWriter, c call, recursive bool, set map[string][]string, gone []string) error {
	s.mu.Lock()
	n, err := s.find(c.at)
	if err == nil {
		err = s.writable(c.at.repo, false)
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	var events []Event
	change := func(path []string, n *node) {
		events = append(events, propertyEvents(address{repo: c.at.repo, path: path}, n, set, gone, c.by)...)
		n.change(set, gone)
	}
	if recursive && !n.isFile() {
		n.walk(c.at.path, change)
	} else {
		change(c.at.path, n)
	}
	s.mu.Unlock()
	s.emit(events...)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// change replaces the map rather than writing to it: readers that copied the node keep theirs.
func (n *node) change(set map[string][]string, gone []string) {
	next := make(map[string][]string, len(n.props)+len(set))
	for k, v := range n.props {
		if !slices.Contains(gone, k) {
			next[k] = v
		}
	}
	for k, v := range set {
		next[k] = v
	}
	n.props = next
}

// splitEscaped splits at any of the separators unless a backslash stands before it.
func splitEscaped(s, separators string) []string {
	var out []string
	from := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.IndexByte(separators, s[i]) >= 0:
			out = append(out, s[from:i])
			from = i + 1
		}
	}
	return append(out, s[from:])
}

// unescape takes away the backslashes that protected separators.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`,\|=;`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
