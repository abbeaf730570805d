package artifactory

import (
	"slices"
	"strings"
	"time"
)

// scope is where an item must lie to satisfy a criterion; empty fields do not narrow. A criterion has a list of them,
// of which one must hold, so that a query looks only where it can find something.
type scope struct {
	repo, path, name string
	since            time.Time // modified then or later
}

// anywhere does not narrow.
var anywhere = []scope{{}}

// maxScopes bounds what and-ing lists of scopes may grow to.
const maxScopes = 64

func narrow(a, b []scope) []scope {
	if len(a)*len(b) > maxScopes {
		if len(a) < len(b) {
			return a
		}
		return b
	}
	out := []scope{}
	for _, x := range a {
		for _, y := range b {
			if both, ok := x.and(y); ok {
				out = append(out, both)
			}
		}
	}
	return out
}

func (a scope) and(b scope) (scope, bool) {
	ok := true
	join := func(x, y string) string {
		if x == "" {
			return y
		}
		ok = ok && (y == "" || x == y)
		return x
	}
	both := scope{join(a.repo, b.repo), join(a.path, b.path), join(a.name, b.name), a.since}
	if b.since.After(both.since) {
		both.since = b.since
	}
	return both, ok
}

// inOrder calls each for every item that the query finds and the caller may read, in the query's order, until it says
// false. Callers hold s.mu.
func (s *Server) inOrder(by *Token, q query, each func(*node) bool) {
	repos := s.reposIn(by, q)
	by1, indexed := q.indexedOrder()
	if indexed && (len(repos) < 2 || q.byRepo()) {
		if q.descending {
			slices.Reverse(repos)
		}
		for _, r := range repos {
			if !s.inRepository(r, q, by1, each) {
				return
			}
		}
		return
	}
	var hits []*node
	for _, r := range repos {
		s.inRepository(r, query{where: q.where, anyType: q.anyType, scopes: q.scopes}, indexByPath, func(n *node) bool { hits = append(hits, n); return true })
	}
	slices.SortStableFunc(hits, q.compare)
	for _, n := range hits {
		if !each(n) {
			return
		}
	}
}

// reposIn are the repositories that the query can find something in, sorted.
func (s *Server) reposIn(by *Token, q query) []*repository {
	var out []*repository
	add := func(r *repository) {
		if r != nil && r.Class != Virtual && r.Class != Remote && by.allows(r.Key, 'r') && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	for _, sc := range q.scopes {
		if sc.repo != "" {
			add(s.repos[sc.repo])
			continue
		}
		for _, r := range s.repos {
			add(r)
		}
	}
	slices.SortFunc(out, func(a, b *repository) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// inRepository goes through one repository: through the folders that the scopes name, else through an index.
func (s *Server) inRepository(r *repository, q query, order indexOrder, each func(*node) bool) bool {
	items, narrowed := q.named(r)
	if narrowed {
		slices.SortFunc(items, order.by)
	} else {
		items = r.items(order.name, order.by)
		if order.name == "modified" {
			since := q.since(r)
			from, _ := slices.BinarySearchFunc(items, since, func(n *node, t time.Time) int { return n.modified.Compare(t) })
			items = items[from:]
		}
	}
	for i := range items {
		n := items[i]
		if q.descending {
			n = items[len(items)-1-i]
		}
		if !n.gone && (q.anyType || n.isFile()) && q.where(n) && !each(n) {
			return false
		}
	}
	return true
}

// named are the items that the scopes name by path, if all of them do; each once.
func (q query) named(r *repository) ([]*node, bool) {
	var out []*node
	var seen []scope
	for _, sc := range q.scopes {
		if sc.repo != "" && sc.repo != r.Key {
			continue
		}
		if sc.path == "" {
			return nil, false
		}
		sc = scope{path: sc.path, name: sc.name}
		if slices.Contains(seen, sc) || slices.Contains(seen, scope{path: sc.path}) {
			continue
		}
		if sc.name == "" { // the folder whole: what was taken out of it by name goes
			out = slices.DeleteFunc(out, func(n *node) bool { return n.dir() == sc.path })
		}
		seen = append(seen, sc)
		out = append(out, r.under(sc)...)
	}
	return out, true
}

// under are the items with that path, and name if given.
func (r *repository) under(sc scope) []*node {
	folder := r.root
	var out []*node
	if sc.path != "." {
		folder = r.root.at(strings.Split(sc.path, "/"))
	} else if sc.name == "" || sc.name == "." {
		out = append(out, r.root)
	}
	if folder == nil {
		return nil
	}
	if sc.name != "" {
		if n := folder.children[sc.name]; n != nil {
			out = append(out, n)
		}
		return out
	}
	for _, n := range folder.children {
		out = append(out, n)
	}
	return out
}

// since is the earliest that any scope of the repository allows.
func (q query) since(r *repository) time.Time {
	var out time.Time
	first := true
	for _, sc := range q.scopes {
		if (sc.repo == "" || sc.repo == r.Key) && (first || sc.since.Before(out)) {
			out, first = sc.since, false
		}
	}
	return out
}
