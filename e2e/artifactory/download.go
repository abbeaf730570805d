package artifactory

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"time"
)

// download answers GET and HEAD on a file, ranges included.
func (s *Server) download(w http.ResponseWriter, r *http.Request, c call) error {
	if err := s.fill(c.by, c.at); err != nil {
		return err
	}
	// Opened under the lock: a file is removed only by those who hold it for writing.
	s.mu.RLock()
	n, at, err := s.reading(c.by, c.at)
	c.at = at
	if err == nil && !n.isFile() {
		err = unsupported("listing the folder '%s' is not implemented here, ask api/storage", c.at)
	}
	if err != nil {
		s.mu.RUnlock()
		return err
	}
	f, err := s.blobs.open(n.blob)
	s.mu.RUnlock()
	if err != nil {
		return fmt.Errorf("stand-in: reading '%s': %w", c.at, err)
	}
	defer f.Close()
	w.Header().Set("Content-Type", mediaType(c.at.name()))
	return s.sendContent(w, r, n, f)
}

// sendContent writes a file with the headers that tell its checksums.
func (s *Server) sendContent(w http.ResponseWriter, r *http.Request, n *node, f io.ReadSeeker) error {
	h, b, modified := w.Header(), n.blob, n.modified
	h.Set("X-Checksum-Sha256", b.sha256)
	h.Set("X-Checksum-Sha1", b.sha1)
	h.Set("X-Checksum-Md5", b.md5)
	h.Set("ETag", `"`+b.sha1+`"`)
	if b.file != "" || r.Header.Get("Range") != "" || r.Header.Get("If-None-Match") != "" || r.Header.Get("If-Modified-Since") != "" {
		http.ServeContent(w, r, "", modified, f)
		return nil
	}
	return s.serveSmall(w, r, b, modified)
}

// serveSmall is the short way for a whole small file: one read, one write.
func (s *Server) serveSmall(w http.ResponseWriter, r *http.Request, b *blob, modified time.Time) error {
	buf := s.blobs.bufs.Get().(*[]byte)
	defer s.blobs.bufs.Put(buf)
	content := (*buf)[:b.size]
	if _, err := s.blobs.pack.ReadAt(content, b.offset); err != nil {
		return fmt.Errorf("stand-in: reading a file: %w", err)
	}
	h := w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	h.Set("Content-Length", strconv.FormatInt(b.size, 10))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(content) // the client is gone: nothing to tell it
	}
	return nil
}

// remove answers DELETE on a file or folder.
func (s *Server) remove(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := permission(c.by, c.at.repo, 'd'); err != nil {
		return err
	}
	if err := s.removeItem(c); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// removeItem makes one event per file.
func (s *Server) removeItem(c call) error {
	if len(c.at.path) == 0 {
		return unsupported("deleting a whole repository's content is not implemented")
	}
	s.mu.Lock()
	n, err := s.find(c.at)
	if err == nil {
		err = s.writable(c.at.repo, true)
	}
	if err != nil {
		s.mu.Unlock()
		return err
	}
	events := s.deletedImages(n, c.by)
	n.detach()
	n.files(c.at.path, func(p []string, f *node) {
		events = append(events, artifactEvent("deleted", c.at.repo, p, f.blob, c.by))
	})
	s.drop(n)
	s.mu.Unlock()
	s.emit(events...)
	return nil
}

// mediaTypes has what tests look at; the rest is a stream of bytes.
var mediaTypes = map[string]string{
	".gz": "application/x-gzip", ".jar": "application/java-archive", ".json": "application/json", ".pom": "application/x-maven-pom+xml",
	".tgz": "application/x-gzip", ".txt": "text/plain", ".xml": "application/xml", ".zip": "application/zip",
}

func mediaType(name string) string {
	if t := mediaTypes[path.Ext(name)]; t != "" {
		return t
	}
	return "application/octet-stream"
}
