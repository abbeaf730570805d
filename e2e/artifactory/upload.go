package artifactory

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// uploads are those under way. A chunk is a content of its own until the last one joins them.
type uploads struct {
	mu    sync.Mutex
	under map[string]*upload
}

type upload struct {
	repo, image string
	chunks      []*blob
	size        int64
}

// startUpload answers POST blobs/uploads/: mount from another image, take all at once with ?digest=, or begin.
func (s *Server) startUpload(w http.ResponseWriter, r *http.Request, c registryCall) error {
	var err error
	if c.repo, err = s.pushTarget(c); err != nil {
		return err
	}
	if digest := c.param("mount"); digest != "" && s.mount(c, digest) {
		s.uploaded(w, c, digest)
		return nil
	}
	if digest := c.param("digest"); digest != "" {
		return s.takeLayer(w, c, digest, nil, r.Body)
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails
	id := hex.EncodeToString(random[:])
	s.uploads.mu.Lock()
	s.uploads.under[id] = &upload{repo: c.repo, image: c.image}
	s.uploads.mu.Unlock()
	c.ref = id
	s.accepted(w, c, 0, http.StatusAccepted)
	return nil
}

// pushTarget is where a push really goes, if the caller may.
func (s *Server) pushTarget(c registryCall) (string, error) {
	repo, err := s.deployTarget(c.repo)
	if err != nil {
		return "", err
	}
	return repo, permission(c.by, repo, 'w')
}

// mount takes a content that another image has and the caller may read.
func (s *Server) mount(c registryCall, digest string) bool {
	from, image, ok := strings.Cut(c.param("from"), "/")
	if !ok || !strings.HasPrefix(c.prefix, "/v2/") { // the name has no repository there
		from, image = c.repo, c.param("from")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, holder := range s.holders(c.by, from) {
		if n := s.layerAt(holder, image, digest); n != nil {
			s.blobs.hold(n.blob)
			return s.keepLayer(c, n.blob) == nil
		}
	}
	return false
}

// find hands out the upload of the call.
func (u *uploads) find(c registryCall) (*upload, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.under[c.ref]
	if up == nil || up.image != c.image {
		return nil, deny(http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "There is no such upload")
	}
	return up, nil
}

// continueUpload answers PATCH: one more chunk, which must follow the one before.
func (s *Server) continueUpload(w http.ResponseWriter, r *http.Request, c registryCall) error {
	up, err := s.uploads.find(c)
	if err != nil {
		return err
	}
	if from, _, ranged := strings.Cut(r.Header.Get("Content-Range"), "-"); ranged {
		s.uploads.mu.Lock()
		at := up.size
		s.uploads.mu.Unlock()
		if start, err := strconv.ParseInt(strings.TrimPrefix(from, "bytes "), 10, 64); err != nil || start != at {
			return deny(http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", fmt.Sprintf("The upload has %d bytes", at))
		}
	}
	chunk, err := s.blobs.receive(r.Body)
	if err != nil {
		return deny(http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "The body could not be read")
	}
	s.uploads.mu.Lock()
	up.chunks, up.size = append(up.chunks, chunk), up.size+chunk.size
	size := up.size
	s.uploads.mu.Unlock()
	s.accepted(w, c, size, http.StatusAccepted)
	return nil
}

func (s *Server) uploadStatus(w http.ResponseWriter, _ *http.Request, c registryCall) error {
	up, err := s.uploads.find(c)
	if err != nil {
		return err
	}
	s.uploads.mu.Lock()
	size := up.size
	s.uploads.mu.Unlock()
	s.accepted(w, c, size, http.StatusNoContent)
	return nil
}

func (s *Server) cancelUpload(w http.ResponseWriter, _ *http.Request, c registryCall) error {
	if _, err := s.endUpload(c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// endUpload forgets the upload and gives back its chunks' references.
func (s *Server) endUpload(c registryCall) ([]*blob, error) {
	up, err := s.uploads.find(c)
	if err != nil {
		return nil, err
	}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	delete(s.uploads.under, c.ref)
	for _, chunk := range up.chunks {
		defer s.blobs.release(chunk)
	}
	return up.chunks, nil
}

// finishUpload answers PUT: perhaps a last chunk, and the digest of the whole.
func (s *Server) finishUpload(w http.ResponseWriter, r *http.Request, c registryCall) error {
	up, err := s.uploads.find(c)
	if err != nil {
		return err
	}
	c.repo = up.repo
	s.uploads.mu.Lock()
	chunks := up.chunks
	delete(s.uploads.under, c.ref)
	s.uploads.mu.Unlock()
	defer func() {
		for _, chunk := range chunks {
			s.blobs.release(chunk)
		}
	}()
	return s.takeLayer(w, c, c.param("digest"), chunks, r.Body)
}

// takeLayer joins chunks and body, checks the digest and keeps the content.
func (s *Server) takeLayer(w http.ResponseWriter, c registryCall, digest string, chunks []*blob, body io.Reader) error {
	if !digestName.MatchString(digest) {
		return deny(http.StatusBadRequest, "DIGEST_INVALID", "'"+digest+"' is no digest")
	}
	last, err := s.blobs.receive(body)
	if err != nil {
		return deny(http.StatusBadRequest, "BLOB_UPLOAD_INVALID", "The body could not be read")
	}
	content := last
	if len(chunks) == 1 && last.size == 0 { // the usual way
		s.blobs.release(last)
		s.blobs.hold(chunks[0])
		content = chunks[0]
	} else if len(chunks) > 0 {
		content, err = s.join(append(chunks[:len(chunks):len(chunks)], last))
		s.blobs.release(last)
		if err != nil {
			return err
		}
	}
	if "sha256:"+content.sha256 != digest {
		s.blobs.release(content)
		return deny(http.StatusBadRequest, "DIGEST_INVALID", "The content is not "+digest)
	}
	s.mu.Lock()
	err = s.keepLayer(c, content)
	s.mu.Unlock()
	if err == nil {
		s.uploaded(w, c, digest)
	}
	return err
}

func (s *Server) join(chunks []*blob) (*blob, error) {
	var readers []io.Reader
	for _, chunk := range chunks {
		f, err := s.blobs.open(chunk)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		readers = append(readers, f)
	}
	return s.blobs.receive(io.MultiReader(readers...))
}

// keepLayer puts a content into the image's _uploads unless the image has it; the reference passes. Callers hold s.mu
// for writing.
func (s *Server) keepLayer(c registryCall, content *blob) error {
	r := s.repos[c.repo]
	if s.layerAt(r, c.image, "sha256:"+content.sha256) != nil {
		s.blobs.release(content)
		return nil
	}
	path := append(strings.Split(c.image, "/"), uploadsFolder, "sha256__"+content.sha256)
	trusted := call{by: &Token{User: c.by.User, Admin: true}, at: address{repo: c.repo, path: path}}
	_, _, err := s.placeLocked(trusted, content, nil, s.now())
	if err != nil {
		s.blobs.release(content)
	}
	return err
}

func (s *Server) uploaded(w http.ResponseWriter, c registryCall, digest string) {
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Location", c.prefix+"/blobs/"+digest)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
}

func (s *Server) accepted(w http.ResponseWriter, c registryCall, size int64, status int) {
	h := w.Header()
	h.Set("Location", c.prefix+"/blobs/uploads/"+c.ref)
	h.Set("Docker-Upload-Uuid", c.ref)
	h.Set("Range", fmt.Sprintf("0-%d", max(0, size-1)))
	w.WriteHeader(status)
}
