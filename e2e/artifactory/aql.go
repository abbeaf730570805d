package artifactory

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// aqlParallel is how many queries run at once; more wait, and are refused when they wait too long.
const aqlParallel = 3

// aqlLength is the limit of a query's text, in characters.
const aqlLength = 6000

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
	q, err := s.parseAQL(string(text))
	if err != nil {
		return err
	}
	if err := s.mayAsk(c.by, q); err != nil {
		return err
	}
	hits, err := s.search(c.by, q)
	if err != nil {
		return err
	}
	buf := s.blobs.bufs.Get().(*[]byte)
	defer s.blobs.bufs.Put(buf)
	body := q.appendAnswer((*buf)[:0], hits)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // the client is gone: nothing to tell it
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

// hit is one item of an answer. Its properties are those of the moment of the search.
type hit struct {
	*node
	props map[string][]string
}

// search finds the page that the query asks for, in its order.
func (s *Server) search(by *Token, q query) ([]hit, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.mayName(q); err != nil {
		return nil, err
	}
	var hits []hit
	rows, first := 0, 0
	s.inOrder(by, q, func(n *node) bool {
		count := 1
		if q.rows {
			count = max(1, valueCount(n.props))
		}
		rows += count
		if rows <= q.offset {
			return true
		}
		h := hit{n, n.props}
		if q.rows {
			first = max(0, q.offset-(rows-count))
			last := count
			if q.limit > 0 && rows > q.offset+q.limit {
				last = count - (rows - q.offset - q.limit)
			}
			h.props = valueRange(n.props, first, last)
		}
		hits = append(hits, h)
		return q.limit == 0 || rows < q.offset+q.limit
	})
	return hits, nil
}

// mayName refuses queries of repositories that have no items of their own: what Artifactory answers there differs.
func (s *Server) mayName(q query) error {
	for _, sc := range q.scopes {
		if r := s.repos[sc.repo]; r != nil && (r.Class == Virtual || r.Class == Remote) {
			return unsupported("AQL on the %s repository %q is not implemented", r.Class, sc.repo)
		}
	}
	return nil
}

// matching are all items that a query finds, without its page. Callers hold s.mu.
func (s *Server) matching(by *Token, q query) []*node {
	var out []*node
	s.inOrder(by, q, func(n *node) bool { out = append(out, n); return true })
	return out
}

func valueCount(props map[string][]string) int {
	n := 0
	for _, values := range props {
		n += len(values)
	}
	return n
}

// valueRange is the part of the properties between two rows.
func valueRange(props map[string][]string, from, to int) map[string][]string {
	out := map[string][]string{}
	row := 0
	for _, key := range sortedKeys(props) {
		for _, v := range props[key] {
			if row >= from && row < to {
				out[key] = append(out[key], v)
			}
			row++
		}
	}
	return out
}
