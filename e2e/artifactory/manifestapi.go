package artifactory

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// getLayer answers GET and HEAD of a blob.
func (s *Server) getLayer(w http.ResponseWriter, r *http.Request, c registryCall) error {
	if !digestName.MatchString(c.ref) {
		return deny(http.StatusBadRequest, "DIGEST_INVALID", "'"+c.ref+"' is no digest")
	}
	n, err := s.lookFor(c, "BLOB_UNKNOWN", func(in *repository) *node { return s.layerAt(in, c.image, c.ref) })
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	return s.sendImagePart(w, r, n)
}

// getManifest answers GET and HEAD of a manifest by tag or digest.
func (s *Server) getManifest(w http.ResponseWriter, r *http.Request, c registryCall) error {
	mediaType := "application/octet-stream"
	n, err := s.lookFor(c, "MANIFEST_UNKNOWN", func(in *repository) *node {
		n := s.manifestAt(in, c.image, c.ref)
		if n == nil {
			return nil
		}
		if kind := n.props["docker.manifest.type"]; len(kind) == 1 {
			mediaType = kind[0]
		} else if m := s.manifestOf(n); m != nil {
			mediaType = m.MediaType
		}
		return n
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", mediaType)
	return s.sendImagePart(w, r, n)
}

// sendImagePart tells which repository really holds the part.
func (s *Server) sendImagePart(w http.ResponseWriter, r *http.Request, n *node) error {
	w.Header().Set("Docker-Content-Digest", "sha256:"+n.blob.sha256)
	w.Header().Set("X-Artifactory-Docker-Registry", n.repo.Key)
	s.mu.RLock()
	if n.gone {
		s.mu.RUnlock()
		return deny(http.StatusNotFound, "MANIFEST_UNKNOWN", "It is gone")
	}
	f, err := s.blobs.open(n.blob)
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	defer f.Close()
	return s.sendContent(w, r, n, f)
}

// putManifest answers PUT of a manifest: everything it names must be there.
func (s *Server) putManifest(w http.ResponseWriter, r *http.Request, c registryCall) error {
	var err error
	if c.repo, err = s.pushTarget(c); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxManifest+1))
	if err != nil || len(body) > maxManifest {
		return deny(http.StatusBadRequest, "SIZE_INVALID", "A manifest has at most "+strconv.Itoa(maxManifest)+" bytes")
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	m, ok := parseManifest(body, kind)
	if !ok || m.MediaType != kind {
		return deny(http.StatusBadRequest, "MANIFEST_INVALID", "The body is no manifest of type '"+kind+"'")
	}
	content, err := s.blobs.receive(bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer s.blobs.release(content)
	digest := "sha256:" + content.sha256
	if strings.Contains(c.ref, ":") {
		if c.ref != digest {
			return deny(http.StatusBadRequest, "DIGEST_INVALID", "The manifest is "+digest+", not "+c.ref)
		}
	} else if !tagName.MatchString(c.ref) {
		return deny(http.StatusBadRequest, "TAG_INVALID", "'"+c.ref+"' is no tag")
	}
	events, err := s.push(c, m, content)
	if err != nil {
		return err
	}
	s.emit(events...)
	h := w.Header()
	if m.Subject != nil && s.Quirks().Referrers == "" && s.Quirks().SubjectHeader != "omit" {
		h.Set("OCI-Subject", m.Subject.Digest)
	}
	h.Set("Docker-Content-Digest", digest)
	h.Set("Location", c.prefix+"/manifests/"+digest)
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// deleteManifest answers DELETE: a tag goes alone, a digest with all its tags.
func (s *Server) deleteManifest(w http.ResponseWriter, _ *http.Request, c registryCall) error {
	if err := permission(c.by, c.repo, 'd'); err != nil {
		return err
	}
	found := false
	for {
		s.mu.RLock()
		err := s.writable(c.repo, true)
		var n *node
		if err == nil {
			n = s.manifestAt(s.repos[c.repo], c.image, c.ref)
		}
		s.mu.RUnlock()
		if err != nil {
			return err
		}
		if n == nil {
			break
		}
		found = true
		if err := s.removeItem(call{by: c.by, at: n.parent.address()}); err != nil && asRefusal(err) != http.StatusNotFound {
			return err
		}
	}
	if !found {
		return deny(http.StatusNotFound, "MANIFEST_UNKNOWN", "'"+c.ref+"' is unknown")
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}
