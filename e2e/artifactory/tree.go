package artifactory

import (
	"net/http"
	"time"
)

// node is a file or a folder. A file has a blob and no children; a folder has children, perhaps none. A node's place,
// its content and its times never change: whatever changes them makes a new node.
type node struct {
	name                  string
	repo                  *repository
	parent                *node  // nil at the repository's root
	full                  string // of a folder: its path below the repository, "" at the root
	gone                  bool   // no longer in the tree
	slot                  int    // in the blob's list of items
	children              map[string]*node
	blob                  *blob
	props                 map[string][]string
	created, modified     time.Time
	createdBy, modifiedBy string
}

func (n *node) isFile() bool { return n.blob != nil }

// dir is the path of the folder above, below the repository; "." for the root's children and the root itself: so AQL
// names it.
func (n *node) dir() string {
	if n.parent == nil || n.parent.full == "" {
		return "."
	}
	return n.parent.full
}

// path is the path below the repository, "" at the root.
func (n *node) path() string {
	if n.parent == nil || n.parent.full == "" {
		return n.name
	}
	return n.parent.full + "/" + n.name
}

func newFolder(name, by string, now time.Time) *node {
	return &node{name: name, children: map[string]*node{}, created: now, modified: now, createdBy: by, modifiedBy: by}
}

// attach puts a new node into a folder, in place of one with its name, which is detached and returned. Callers hold
// Server.mu for writing.
func (n *node) attach(child *node) (replaced *node) {
	if replaced = n.children[child.name]; replaced != nil {
		replaced.detach()
	}
	child.parent, child.repo = n, n.repo
	if child.blob == nil {
		child.full = child.path()
	} else {
		child.slot = len(child.blob.items)
		child.blob.items = append(child.blob.items, child)
	}
	n.children[child.name] = child
	n.repo.indexes.add(child)
	return replaced
}

// detach takes a node and all below out of the tree; their contents stay held. Callers hold Server.mu for writing.
func (n *node) detach() {
	delete(n.parent.children, n.name)
	n.forget()
}

func (n *node) forget() {
	n.gone = true
	n.repo.indexes.drop()
	if n.isFile() {
		items := n.blob.items
		last := items[len(items)-1]
		items[n.slot], last.slot = last, n.slot
		items[len(items)-1] = nil
		n.blob.items = items[:len(items)-1]
	}
	for _, child := range n.children {
		child.forget()
	}
}

// find answers 404 for a missing item. Callers hold s.mu.
func (s *Server) find(a address) (*node, error) {
	r, err := s.repository(a.repo)
	if err != nil {
		return nil, err
	}
	n := r.root.at(a.path)
	if n == nil || (a.folder && n.isFile()) {
		return nil, refuse(http.StatusNotFound, "Unable to find item '%s'", a)
	}
	return n, nil
}

// at walks down; nil when there is nothing.
func (n *node) at(path []string) *node {
	for _, seg := range path {
		if n = n.children[seg]; n == nil {
			return nil
		}
	}
	return n
}

// folderAt walks down and makes the folders that are missing. A file in the way is a 409.
func (n *node) folderAt(path []string, by string, now time.Time) (*node, error) {
	for _, seg := range path {
		next := n.children[seg]
		if next == nil {
			next = newFolder(seg, by, now)
			n.attach(next)
		}
		if next.isFile() {
			return nil, refuse(http.StatusConflict, "Parent '%s' is a file, not a folder", seg)
		}
		n = next
	}
	return n, nil
}

// files calls each for every file at or below n, with its path relative to n.
func (n *node) files(prefix []string, each func(path []string, f *node)) {
	if n.isFile() {
		each(prefix, n)
		return
	}
	for name, child := range n.children {
		child.files(append(prefix[:len(prefix):len(prefix)], name), each)
	}
}

// walk calls each for n and everything below.
func (n *node) walk(path []string, each func(path []string, n *node)) {
	each(path, n)
	for name, child := range n.children {
		child.walk(append(path[:len(path):len(path)], name), each)
	}
}

// drop forgets the contents at and below n. Callers hold s.mu for writing.
func (s *Server) drop(n *node) {
	n.files(nil, func(_ []string, f *node) { s.blobs.release(f.blob) })
}
