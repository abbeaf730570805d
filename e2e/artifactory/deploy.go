package artifactory

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// deploy answers PUT on an item: upload, checksum deploy, or a folder when the path ends with a slash.
func (s *Server) deploy(w http.ResponseWriter, r *http.Request, c call) error {
	var err error
	if c.at.repo, err = s.deployTarget(c.at.repo); err != nil {
		return err
	}
	if err := permission(c.by, c.at.repo, 'w'); err != nil {
		return err
	}
	for _, h := range []string{"X-Explode-Archive", "X-Explode-Archive-Atomic", "X-Checksum-Deploy-Token", "If-Match", "If-None-Match"} {
		if r.Header.Get(h) != "" {
			return unsupported("the header %s is not implemented on PUT", h)
		}
	}
	if len(c.query) > 0 {
		return unsupported("query parameters are not implemented on PUT of an item")
	}
	props, err := s.properties(c.at.matrix)
	if err != nil {
		return err
	}
	if c.at.folder {
		return s.deployFolder(w, r, c, props)
	}
	if len(c.at.path) == 0 {
		return refuse(http.StatusBadRequest, "A file needs a path")
	}
	claimed, err := claimedChecksums(r.Header)
	if err != nil {
		return err
	}
	if err := s.mayPlace(c); err != nil {
		return err
	}
	content, err := s.contentOf(r, c, claimed)
	if err != nil {
		return err
	}
	if err := claimed.check(c.at, content); err != nil {
		s.blobs.release(content)
		return err
	}
	n, err := s.place(c, content, props)
	if err != nil {
		return err
	}
	created := s.fileInfo(r, c.at, n)
	created.LastModified, created.ModifiedBy, created.LastUpdated = "", "", ""
	w.Header().Set("Location", created.DownloadURI)
	w.Header().Set("X-Checksum-Sha256", content.sha256)
	w.Header().Set("X-Checksum-Sha1", content.sha1)
	respond(w, http.StatusCreated, created)
	return nil
}

// contentOf takes the bytes from the body, or from what is known already. The reference is the caller's.
func (s *Server) contentOf(r *http.Request, c call, claimed checksums) (*blob, error) {
	if !strings.EqualFold(r.Header.Get("X-Checksum-Deploy"), "true") {
		b, err := s.blobs.receive(r.Body)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "The body could not be read: %v", err)
		}
		return b, nil
	}
	sum := claimed.sha256
	if sum == "" {
		sum = claimed.sha1
	}
	if sum == "" {
		return nil, refuse(http.StatusBadRequest, "Checksum deploy needs a SHA-1 or SHA-256 header")
	}
	b := s.blobs.find(sum)
	if b == nil || !s.readable(c.by, b) {
		if b != nil {
			s.blobs.release(b)
		}
		return nil, refuse(http.StatusNotFound, "Checksum deploy failed. No existing file with checksum: %s", sum)
	}
	return b, nil
}

// readable reports whether some item with these bytes lies where the caller may read.
func (s *Server) readable(by *Token, b *blob) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.ContainsFunc(b.items, func(f *node) bool { return by.allows(f.repo.Key, 'r') })
}

// mayPlace refuses early, before the body is read, what cannot succeed.
func (s *Server) mayPlace(c call) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	repo, err := s.repository(c.at.repo)
	if err != nil {
		return err
	}
	old := repo.root.at(c.at.path)
	if old == nil {
		return nil
	}
	return s.mayReplace(c, old, nil)
}

// mayReplace decides about an existing item. A nil content means "not known yet".
func (s *Server) mayReplace(c call, old *node, content *blob) error {
	switch {
	case !old.isFile():
		return refuse(http.StatusConflict, "'%s' is a folder", c.at)
	case c.by.allows(c.at.repo, 'd'):
		return nil
	case s.Quirks().SameBytes == "allow" && (content == nil || content == old.blob):
		return nil
	}
	return refuse(http.StatusForbidden, "Not enough permissions to delete/overwrite artifact '%s' (user: '%s' needs DELETE permission)", c.at, c.by.User)
}

// place puts the content at its path and announces it. The reference passes to the item, also on failure.
func (s *Server) place(c call, content *blob, props map[string][]string) (node, error) {
	now := s.now()
	s.mu.Lock()
	n, replaced, err := s.placeLocked(c, content, props, now)
	if err != nil {
		s.blobs.release(content)
	}
	s.mu.Unlock()
	if err != nil {
		return node{}, err
	}
	if s.hooks.any() {
		if replaced != nil {
			s.emit(artifactEvent("deleted", c.at.repo, c.at.path, replaced, c.by))
		}
		s.emit(artifactEvent("deployed", c.at.repo, c.at.path, content, c.by))
		s.emitProperties(c.at, content, props, c.by)
	}
	return n, nil
}

func (s *Server) placeLocked(c call, content *blob, props map[string][]string, now time.Time) (n node, replaced *blob, err error) {
	repo, err := s.repository(c.at.repo)
	if err != nil {
		return node{}, nil, err
	}
	last := len(c.at.path) - 1
	dir, err := repo.root.folderAt(c.at.path[:last], c.by.User, now)
	if err != nil {
		return node{}, nil, err
	}
	fresh := &node{name: c.at.path[last], blob: content, props: props, created: now, modified: now, createdBy: c.by.User, modifiedBy: c.by.User}
	if old := dir.children[fresh.name]; old != nil {
		if err := s.mayReplace(c, old, content); err != nil {
			return node{}, nil, err
		}
		if s.Quirks().Overwritten == "keep" {
			fresh.props = merged(old.props, props)
		}
		fresh.created, fresh.createdBy = old.created, old.createdBy
		replaced = old.blob
	}
	if dir.attach(fresh) != nil {
		s.blobs.release(replaced)
	}
	return *fresh, replaced, nil
}

func (s *Server) deployFolder(w http.ResponseWriter, r *http.Request, c call, props map[string][]string) error {
	created, err := s.placeFolder(r, c, props)
	if err == nil {
		respond(w, http.StatusCreated, created)
	}
	return err
}

func (s *Server) placeFolder(r *http.Request, c call, props map[string][]string) (folderInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo, err := s.repository(c.at.repo)
	if err != nil {
		return folderInfo{}, err
	}
	n, err := repo.root.folderAt(c.at.path, c.by.User, s.now())
	if err != nil {
		return folderInfo{}, err
	}
	n.props = merged(n.props, props)
	return s.folderInfo(r, c.at, n), nil
}
