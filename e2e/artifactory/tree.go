package artifactory

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"
)

// Repository is one local repository.
type Repository struct {
	Key         string
	PackageType string // default "generic"
	Description string
}

type repository struct {
	Repository
	root *node
}

// node is a file or a folder. A file has a blob and no children; a folder has children, perhaps none.
type node struct {
	name                  string
	children              map[string]*node
	blob                  *blob
	props                 map[string][]string
	created, modified     time.Time
	createdBy, modifiedBy string
}

func (n *node) isFile() bool { return n.blob != nil }

var repositoryKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,63}$`)

// AddRepository makes an empty local repository.
func (s *Server) AddRepository(r Repository) error {
	if !repositoryKey.MatchString(r.Key) || r.Key == "api" {
		return fmt.Errorf("stand-in: %q is no repository key", r.Key)
	}
	if r.PackageType == "" {
		r.PackageType = "generic"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[r.Key] != nil {
		return errors.New("stand-in: repository " + r.Key + " exists")
	}
	s.repos[r.Key] = &repository{Repository: r, root: newFolder("", "_system_", time.Now())}
	return nil
}

func newFolder(name, by string, now time.Time) *node {
	return &node{name: name, children: map[string]*node{}, created: now, modified: now, createdBy: by, modifiedBy: by}
}

// repository answers 404 for an unknown key. Callers hold s.mu.
func (s *Server) repository(key string) (*repository, error) {
	if r := s.repos[key]; r != nil {
		return r, nil
	}
	return nil, refuse(http.StatusNotFound, "The repository '%s' was not found", key)
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
			n.children[seg] = next
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

// drop forgets the contents at and below n. Callers hold s.mu for writing.
func (s *Server) drop(n *node) {
	n.files(nil, func(_ []string, f *node) { s.blobs.release(f.blob) })
}
