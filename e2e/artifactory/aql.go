package artifactory

import (
	"fmt"
	"io"
	"net/http"
	"sort"
	"strings"
	"time"
)

// aqlParallel is how many queries run at once; more wait, and are refused when they wait too long.
const aqlParallel = 3

// aqlLength is the limit of a query's text, in characters.
const aqlLength = 6000

// found is one item as AQL sees it.
type found struct {
	repo, path, name string // path is "." at the repository's root
	node             *node
	depth            int
}

// aqlAnswer keeps its order: JFrog's own client finds nothing when range comes before results.
type aqlAnswer struct {
	Results []map[string]any `json:"results"`
	Range   aqlRange         `json:"range"`
}

type aqlRange struct {
	Start int `json:"start_pos"`
	End   int `json:"end_pos"`
	Total int `json:"total"`
	Limit int `json:"limit,omitempty"`
}

// aql answers POST api/search/aql for items.find.
func (s *Server) aql(w http.ResponseWriter, r *http.Request, c call) error {
	patience := time.NewTimer(s.Quirks().AQLWait)
	defer patience.Stop()
	select {
	case s.aqlSlot <- struct{}{}:
		defer func() { <-s.aqlSlot }()
	case <-patience.C:
		return refuse(http.StatusTooManyRequests, "Too many AQL queries at once, %d are allowed", aqlParallel)
	case <-r.Context().Done():
		return refuse(http.StatusRequestTimeout, "The client is gone")
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, 4*aqlLength))
	if err != nil {
		return refuse(http.StatusBadRequest, "The query could not be read: %v", err)
	}
	if len([]rune(string(text))) > aqlLength {
		return refuse(http.StatusBadRequest, "The query is longer than %d characters", aqlLength)
	}
	q, err := parseAQL(string(text))
	if err != nil {
		return err
	}
	if err := s.mayAsk(c.by, q); err != nil {
		return err
	}
	respond(w, http.StatusOK, s.search(c.by, q))
	return nil
}

// mayAsk insists on the fields that let Artifactory check a non-admin's rights.
func (s *Server) mayAsk(by *Token, q query) error {
	if by.Admin || len(q.include) == 0 || s.Quirks().ListRights == "ignore" {
		return nil
	}
	for _, must := range []string{"repo", "path", "name"} {
		if !q.includes(must) {
			return refuse(http.StatusBadRequest, "This query is permitted only when it includes repo, path and name; %s is missing", must)
		}
	}
	return nil
}

// matching are the items that a query finds, in no order. Callers hold s.mu.
func (s *Server) matching(by *Token, q query) []*node {
	var out []*node
	for key, repo := range s.repos {
		if !by.allows(key, 'r') {
			continue
		}
		repo.root.walk(nil, func(path []string, n *node) {
			if f := locate(key, path, n); (q.anyType || n.isFile()) && q.where(f) {
				out = append(out, n)
			}
		})
	}
	return out
}

func (s *Server) search(by *Token, q query) aqlAnswer {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var hits []found
	for _, n := range s.matching(by, q) {
		hits = append(hits, locate(n.repo.Key, n.address().path, n))
	}
	sort.Slice(hits, func(i, j int) bool { return hits[i].full() < hits[j].full() })
	q.order(hits)
	if q.offset > len(hits) {
		q.offset = len(hits)
	}
	hits = hits[q.offset:]
	if q.limit > 0 && q.limit < len(hits) {
		hits = hits[:q.limit]
	}
	a := aqlAnswer{Results: []map[string]any{}, Range: aqlRange{Start: q.offset, End: q.offset + len(hits), Total: len(hits), Limit: q.limit}}
	for _, f := range hits {
		a.Results = append(a.Results, q.show(f))
	}
	return a
}

func locate(repo string, path []string, n *node) found {
	f := found{repo: repo, path: ".", name: ".", node: n, depth: len(path)}
	if last := len(path) - 1; last >= 0 {
		f.name = path[last]
		if last > 0 {
			f.path = strings.Join(path[:last], "/")
		}
	}
	return f
}

func (f found) full() string { return f.repo + "/" + f.path + "/" + f.name }

func (f found) kind() string {
	if f.node.isFile() {
		return "file"
	}
	return "folder"
}

// order sorts by the query's fields, stably.
func (q query) order(hits []found) {
	for i := len(q.sortBy) - 1; i >= 0; i-- {
		f := aqlFields[q.sortBy[i]]
		sort.SliceStable(hits, func(a, b int) bool {
			if q.descending {
				a, b = b, a
			}
			return f.compare(f.get(hits[a]), f.get(hits[b])) < 0
		})
	}
}

// defaultFields is the answer without include.
var defaultFields = []string{"repo", "path", "name", "type", "size", "created", "created_by", "modified", "modified_by", "updated"}

// show is one result with the included fields. Folders have no checksums.
func (q query) show(f found) map[string]any {
	fields := q.include
	if len(fields) == 0 {
		fields = defaultFields
	}
	out := map[string]any{}
	for _, name := range fields {
		switch {
		case name == "property" || name == "property.*":
			showProperties(out, f, "*")
		case strings.HasPrefix(name, "@"):
			showProperties(out, f, name[1:])
		default:
			v := aqlFields[name].get(f)
			if t, ok := v.(time.Time); ok {
				v = stamp(t)
			}
			if v != "" {
				out[name] = v
			}
		}
	}
	return out
}

func showProperties(out map[string]any, f found, pattern string) {
	list, _ := out["properties"].([]map[string]string)
	for key, values := range f.node.props {
		if wildcard(pattern, key) {
			for _, v := range values {
				list = append(list, map[string]string{"key": key, "value": v})
			}
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return fmt.Sprint(list[i]) < fmt.Sprint(list[j]) })
	if len(list) > 0 {
		out["properties"] = list
	}
}
