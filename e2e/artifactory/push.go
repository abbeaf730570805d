package artifactory

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// push places a manifest and, beside it, all it names. What lay there of an older manifest goes.
func (s *Server) push(c registryCall, m *manifest, content *blob) ([]Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[c.repo]
	var parts []*node
	for _, d := range m.blobs() {
		n := s.layerAt(r, c.image, d.Digest)
		if n == nil {
			return nil, deny(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", d.Digest+" is not in "+c.image)
		}
		if n.blob.size != d.Size {
			return nil, deny(http.StatusBadRequest, "SIZE_INVALID", "the size of "+d.Digest+" is another")
		}
		parts = append(parts, n)
	}
	for _, d := range m.Manifests {
		if s.manifestAt(r, c.image, d.Digest) == nil && s.Quirks().MissingChildren != "accept" {
			return nil, deny(http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", d.Digest+" is not in "+c.image)
		}
	}
	now := s.now()
	folder, err := r.root.folderAt(append(strings.Split(c.image, "/"), c.ref), c.by.User, now)
	if err != nil {
		return nil, deny(http.StatusConflict, "NAME_INVALID", err.Error())
	}
	old := manifestIn(folder)
	if old != nil && !c.by.allows(c.repo, 'd') && (s.Quirks().SameBytes != "allow" || old.blob != content) {
		return nil, deny(http.StatusForbidden, "DENIED", "Not enough permissions to overwrite "+folder.full)
	}
	var config *blob
	if m.Config != nil {
		config = parts[0].blob
	}
	events := s.clear(folder, m, c.by)
	put := func(name string, b *blob, props map[string][]string) *node {
		placed, e := s.placePart(folder, name, b, props, c.by, now)
		events = append(events, e...)
		return placed
	}
	for _, n := range parts {
		put(layerFile("sha256:"+n.blob.sha256), n.blob, nil)
	}
	placed := put(m.file(), content, s.manifestProperties(c, content, m, config))
	if pending := r.imageFolder(c.image).children[uploadsFolder]; pending != nil {
		for _, n := range parts {
			if n.parent == pending && !n.gone {
				n.detach()
				s.blobs.release(n.blob)
			}
		}
	}
	if s.Quirks().ImageFiles == "silent" {
		events = nil
	}
	if s.announcesTag(c.ref) {
		events = append(events, s.imageEvent("pushed", placed, c.by))
	}
	return events, nil
}

// clear takes away what the new manifest of a folder does not name. Callers hold s.mu for writing.
func (s *Server) clear(folder *node, m *manifest, by *Token) []Event {
	keep := []string{m.file()}
	for _, d := range m.blobs() {
		keep = append(keep, layerFile(d.Digest))
	}
	var events []Event
	for name, n := range folder.children {
		if n.isFile() && !slices.Contains(keep, name) {
			events = append(events, artifactEvent("deleted", folder.repo.Key, n.address().path, n.blob, by))
			n.detach()
			s.blobs.release(n.blob)
		}
	}
	return events
}

// placePart puts one file of an image into its folder; the same content stays as it is, the manifest's properties are
// written all the same. Callers hold s.mu for writing.
func (s *Server) placePart(folder *node, name string, b *blob, props map[string][]string, by *Token, now time.Time) (*node, []Event) {
	if old := folder.children[name]; old != nil && old.blob == b {
		if props != nil {
			old.change(props, nil)
		}
		return old, nil
	}
	s.blobs.hold(b)
	fresh := &node{name: name, blob: b, props: props, created: now, modified: now, createdBy: by.User, modifiedBy: by.User}
	var events []Event
	if old := folder.attach(fresh); old != nil {
		events = append(events, artifactEvent("deleted", folder.repo.Key, fresh.address().path, old.blob, by))
		if s.Quirks().Overwritten == "keep" {
			fresh.props = merged(old.props, props)
		}
		s.blobs.release(old.blob)
	}
	return fresh, append(events, artifactEvent("deployed", folder.repo.Key, fresh.address().path, b, by))
}
