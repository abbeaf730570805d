package artifactory

import (
	"cmp"
	"slices"
	"strings"
)

// indexOrder is an order that repositories keep.
type indexOrder struct {
	name string
	by   order
}

var (
	indexByPath     = indexOrder{"path", byPath}
	indexByModified = indexOrder{"modified", byModified}
	indexByCreated  = indexOrder{"created", byCreated}
)

// indexedOrder is the kept order that the query's sort agrees with: none or repo, path, name; or a time, and then perhaps
// path and name, which all kept orders end with.
func (q query) indexedOrder() (indexOrder, bool) {
	fields := q.sortBy
	order := indexByPath
	if len(fields) > 0 {
		switch fields[0] {
		case "repo":
			fields = fields[1:]
		case "modified", "updated":
			order, fields = indexByModified, fields[1:]
		case "created":
			order, fields = indexByCreated, fields[1:]
		}
	}
	path := []string{"path", "name"}
	return order, len(fields) <= len(path) && slices.Equal(fields, path[:len(fields)])
}

// byRepo reports whether the query's order begins with the repository: then one after the other is in order.
func (q query) byRepo() bool { return len(q.sortBy) == 0 || q.sortBy[0] == "repo" }

// compare is the query's order for what no index has.
func (q query) compare(a, b *node) int {
	for _, name := range q.sortBy {
		if c := aqlFields[name].compare(a, b); c != 0 {
			if q.descending {
				return -c
			}
			return c
		}
	}
	return cmp.Or(strings.Compare(a.repo.Key, b.repo.Key), byPath(a, b))
}
