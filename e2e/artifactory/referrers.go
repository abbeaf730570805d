package artifactory

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// referrerIndex is the answer to GET referrers.
type referrerIndex struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

// referrers lists the manifests of the image whose subject is the digest; the subject itself need not be there.
func (s *Server) referrers(w http.ResponseWriter, _ *http.Request, c registryCall) error {
	switch s.Quirks().Referrers {
	case "404":
		return deny(http.StatusNotFound, "NOT_FOUND", "404 page not found")
	case "403":
		return deny(http.StatusForbidden, "DENIED", "The referrers API is disabled")
	}
	if !digestName.MatchString(c.ref) {
		return deny(http.StatusBadRequest, "DIGEST_INVALID", "'"+c.ref+"' is no digest")
	}
	s.mu.RLock()
	holders := s.holders(c.by, c.repo)
	answer := referrerIndex{2, ociIndex, []descriptor{}}
	for _, r := range holders {
		for _, n := range s.referring(r, c.image, c.ref) {
			answer.Manifests = append(answer.Manifests, s.describe(n))
		}
	}
	s.mu.RUnlock()
	if len(holders) == 0 {
		return permission(c.by, c.repo, 'r')
	}
	if kind := c.param("artifactType"); kind != "" {
		answer.Manifests = slices.DeleteFunc(answer.Manifests, func(d descriptor) bool { return d.ArtifactType != kind })
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	slices.SortFunc(answer.Manifests, func(a, b descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	answer.Manifests = slices.CompactFunc(answer.Manifests, func(a, b descriptor) bool { return a.Digest == b.Digest })
	respondAs(w, http.StatusOK, ociIndex, answer)
	return nil
}

// referring are the manifest files of an image with the subject. Callers hold s.mu.
func (s *Server) referring(r *repository, image, digest string) []*node {
	folder := r.imageFolder(image)
	if folder == nil {
		return nil
	}
	var out []*node
	for _, child := range folder.children {
		if n := manifestIn(child); n != nil {
			if m := s.manifestOf(n); m != nil && m.Subject != nil && m.Subject.Digest == digest {
				out = append(out, n)
			}
		}
	}
	return out
}

// describe is a manifest as the list of referrers has it. Callers hold s.mu.
func (s *Server) describe(n *node) descriptor {
	m := s.manifestOf(n)
	d := descriptor{MediaType: m.MediaType, Digest: "sha256:" + n.blob.sha256, Size: n.blob.size, ArtifactType: m.ArtifactType, Annotations: m.Annotations}
	if d.ArtifactType == "" && m.Config != nil {
		d.ArtifactType = m.Config.MediaType
	}
	return d
}

// listTags answers GET tags/list?n=&last=; manifests that only a digest names are no tags.
func (s *Server) listTags(w http.ResponseWriter, _ *http.Request, c registryCall) error {
	s.mu.RLock()
	holders := s.holders(c.by, c.repo)
	tags := []string{}
	known := false
	for _, r := range holders {
		if folder := r.imageFolder(c.image); folder != nil {
			for name, child := range folder.children {
				if manifestIn(child) != nil {
					known = true
					if !digestName.MatchString(name) {
						tags = append(tags, name)
					}
				}
			}
		}
	}
	s.mu.RUnlock()
	if len(holders) == 0 {
		return permission(c.by, c.repo, 'r')
	}
	if !known {
		return deny(http.StatusNotFound, "NAME_UNKNOWN", "There is no image "+c.image)
	}
	name := strings.TrimPrefix(c.prefix, "/v2/")
	if name == c.prefix {
		name = c.image
	}
	respond(w, http.StatusOK, struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{name, page(w, c, tags, c.prefix+"/tags/list")})
	return nil
}

// catalog answers GET _catalog with the images that the caller may read.
func (s *Server) catalog(w http.ResponseWriter, _ *http.Request, c registryCall) error {
	images := []string{}
	s.mu.RLock()
	for key, r := range s.repos {
		if registryTypes[r.PackageType] == "" || (c.repo != "" && c.repo != key) || !c.by.allows(key, 'r') {
			continue
		}
		prefix := key + "/"
		if c.repo != "" {
			prefix = ""
		}
		r.root.walk(nil, func(_ []string, n *node) {
			if slices.ContainsFunc(slices.Collect(childFolders(n)), func(child *node) bool { return manifestIn(child) != nil }) {
				images = append(images, prefix+n.full)
			}
		})
	}
	s.mu.RUnlock()
	respond(w, http.StatusOK, struct {
		Repositories []string `json:"repositories"`
	}{page(w, c, images, c.prefix+"_catalog")})
	return nil
}

func childFolders(n *node) func(yield func(*node) bool) {
	return func(yield func(*node) bool) {
		for _, child := range n.children {
			if !child.isFile() && !yield(child) {
				return
			}
		}
	}
}

// page sorts the names, takes those after ?last=, at most ?n=, and links to the rest.
func page(w http.ResponseWriter, c registryCall, names []string, target string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	if last := c.param("last"); last != "" {
		from, found := slices.BinarySearch(names, last)
		if found {
			from++
		}
		names = names[from:]
	}
	n, err := strconv.Atoi(c.param("n"))
	if err != nil || n < 1 || n >= len(names) {
		return names
	}
	w.Header().Set("Link", "<"+target+"?n="+strconv.Itoa(n)+"&last="+url.QueryEscape(names[n-1])+`>; rel="next"`)
	return names[:n]
}
