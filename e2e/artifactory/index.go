package artifactory

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// order is one way to sort a repository's items; equals are told apart by their path, so that pages do not overlap.
type order func(a, b *node) int

func byPath(a, b *node) int {
	return cmp.Or(strings.Compare(a.dir(), b.dir()), strings.Compare(a.name, b.name))
}

func byModified(a, b *node) int { return cmp.Or(a.modified.Compare(b.modified), byPath(a, b)) }

func byCreated(a, b *node) int { return cmp.Or(a.created.Compare(b.created), byPath(a, b)) }

// indexes keeps a repository's items sorted, for queries that page through hundreds of thousands. An order costs
// nothing until the first query that needs it.
type indexes struct {
	mu    sync.Mutex
	lists []*list
}

// list is one order. What is added waits until somebody asks: then it is sorted and merged. What is gone stays until
// it is the greater part.
type list struct {
	name   string // of the field
	order  order
	sorted []*node
	fresh  []*node
	gone   int
}

// add notes a new item. Callers hold Server.mu for writing.
func (x *indexes) add(n *node) {
	for _, l := range x.lists {
		l.fresh = append(l.fresh, n)
	}
}

// drop notes that an item is gone. Callers hold Server.mu for writing.
func (x *indexes) drop() {
	for _, l := range x.lists {
		l.gone++
	}
}

// items are all of a repository in an order, some of them gone; the slice is not written to afterwards. Callers hold
// Server.mu, for reading at least.
func (r *repository) items(name string, by order) []*node {
	x := &r.indexes
	x.mu.Lock()
	defer x.mu.Unlock()
	i := slices.IndexFunc(x.lists, func(l *list) bool { return l.name == name })
	if i < 0 {
		l := &list{name: name, order: by}
		r.root.walk(nil, func(_ []string, n *node) { l.fresh = append(l.fresh, n) })
		i, x.lists = len(x.lists), append(x.lists, l)
	}
	return x.lists[i].settle()
}

// settle merges what is fresh and returns the whole. Slices given out before stay as they were: a merge makes a new
// one, an append writes behind their end.
func (l *list) settle() []*node {
	if l.gone > (len(l.sorted)+len(l.fresh))/2 {
		here := func(n *node) bool { return !n.gone }
		l.sorted, l.fresh, l.gone = filter(l.sorted, here), filter(l.fresh, here), 0
	}
	if len(l.fresh) > 0 {
		slices.SortFunc(l.fresh, l.order)
		if last := len(l.sorted) - 1; last < 0 || l.order(l.sorted[last], l.fresh[0]) <= 0 {
			l.sorted = append(l.sorted, l.fresh...)
		} else {
			l.sorted = merge(l.sorted, l.fresh, l.order)
		}
		l.fresh = nil
	}
	return l.sorted[:len(l.sorted):len(l.sorted)]
}

func filter(from []*node, keep func(*node) bool) []*node {
	out := make([]*node, 0, len(from))
	for _, n := range from {
		if keep(n) {
			out = append(out, n)
		}
	}
	return out
}

func merge(a, b []*node, by order) []*node {
	out := make([]*node, 0, len(a)+len(b)+len(a)/8)
	for len(a) > 0 && len(b) > 0 {
		if by(b[0], a[0]) < 0 {
			out, b = append(out, b[0]), b[1:]
		} else {
			out, a = append(out, a[0]), a[1:]
		}
	}
	return append(append(out, a...), b...)
}
