package artifactory

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// File is what the stand-in holds at a path, for tests that look behind the API.
type File struct {
	SHA256     string
	Size       int64
	CreatedBy  string
	ModifiedBy string
	Properties map[string][]string // not to be written to
}

// Put deploys a file as user by, past all permissions, with its event. It replaces what is there.
func (s *Server) Put(by, repo, path string, content io.Reader, props map[string][]string) error {
	c := call{by: &Token{User: by, Admin: true}, at: address{repo: repo, path: strings.Split(path, "/")}}
	for _, seg := range c.at.path {
		if err := checkSegment(seg); err != nil {
			return fmt.Errorf("stand-in: putting %s: %w", c.at, err)
		}
	}
	b, err := s.blobs.receive(content)
	if err != nil {
		return err
	}
	_, err = s.place(c, b, props)
	return err
}

// Delete removes a file or folder past all permissions, with its events.
func (s *Server) Delete(by, repo, path string) error {
	return s.removeItem(call{by: &Token{User: by, Admin: true}, at: address{repo: repo, path: strings.Split(path, "/")}})
}

// File tells about a file; false when there is none.
func (s *Server) File(repo, path string) (File, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.find(address{repo: repo, path: strings.Split(path, "/")})
	if err != nil || !n.isFile() {
		return File{}, false
	}
	return File{SHA256: n.blob.sha256, Size: n.blob.size, CreatedBy: n.createdBy, ModifiedBy: n.modifiedBy, Properties: n.props}, true
}

// Content reads a file whole; for small ones.
func (s *Server) Content(repo, path string) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.find(address{repo: repo, path: strings.Split(path, "/")})
	if err == nil && !n.isFile() {
		err = refuse(http.StatusConflict, "'%s/%s' is a folder", repo, path)
	}
	if err != nil {
		return nil, err
	}
	f, err := s.blobs.open(n.blob)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Paths lists every file of a repository, in no order.
func (s *Server) Paths(repo string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	if r := s.repos[repo]; r != nil {
		r.root.files(nil, func(path []string, _ *node) { out = append(out, strings.Join(path, "/")) })
	}
	return out
}

// Corrupt replaces a file's bytes while the server goes on telling the old checksums, of the old time and properties: a
// broken disk, or a manifest that is not what its digest says. Its size is told truly.
func (s *Server) Corrupt(repo, path string, content []byte) error {
	b, err := s.blobs.receive(bytes.NewReader(content))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.find(address{repo: repo, path: strings.Split(path, "/")})
	if err != nil || !n.isFile() {
		s.blobs.release(b)
		return fmt.Errorf("stand-in: corrupting %s/%s: no such file", repo, path)
	}
	// The reference to b is kept: its bytes must stay.
	lie := &blob{sha256: n.blob.sha256, sha1: n.blob.sha1, md5: n.blob.md5, size: b.size, file: b.file, offset: b.offset, refs: 1}
	fresh := &node{name: n.name, blob: lie, props: n.props, created: n.created, modified: n.modified, createdBy: n.createdBy, modifiedBy: n.modifiedBy}
	old := n.parent.attach(fresh)
	s.blobs.release(old.blob)
	return nil
}
