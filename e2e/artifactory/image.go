package artifactory

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// An image lies in its repository as a folder per tag, or per digest ("sha256:…"), each with its manifest.json or
// list.manifest.json and the layers and config beside it. Uploaded contents that no manifest names yet lie in _uploads.

const uploadsFolder = "_uploads"

// manifestIn is the manifest file of a tag's or digest's folder, or nil.
func manifestIn(folder *node) *node {
	if folder == nil {
		return nil
	}
	if n := folder.children[manifestFile]; n != nil && n.isFile() {
		return n
	}
	if n := folder.children[listFile]; n != nil && n.isFile() {
		return n
	}
	return nil
}

// imageFolder is the folder of an image, or nil. Callers hold s.mu.
func (r *repository) imageFolder(image string) *node { return r.root.at(strings.Split(image, "/")) }

// manifestAt finds a manifest by tag or digest. A digest is also found where only a tag has it. Callers hold s.mu.
func (s *Server) manifestAt(r *repository, image, ref string) *node {
	folder := r.imageFolder(image)
	if folder == nil {
		return nil
	}
	if n := manifestIn(folder.children[ref]); n != nil || !digestName.MatchString(ref) {
		return n
	}
	content := s.blobs.bySHA256(strings.TrimPrefix(ref, "sha256:"))
	if content == nil {
		return nil
	}
	for _, n := range content.items {
		if n.repo == r && n.parent.parent == folder && manifestIn(n.parent) == n {
			return n
		}
	}
	return nil
}

// layerAt finds a content anywhere in an image. Callers hold s.mu.
func (s *Server) layerAt(r *repository, image, digest string) *node {
	content := s.blobs.bySHA256(strings.TrimPrefix(digest, "sha256:"))
	if content == nil {
		return nil
	}
	for _, n := range content.items {
		if n.repo == r && strings.HasPrefix(n.parent.full, image+"/") {
			return n
		}
	}
	return nil
}

// holders are the repositories that a read of an image looks in: the members of a virtual one, in order, as far as the
// caller may read them. Callers hold s.mu.
func (s *Server) holders(by *Token, key string) []*repository {
	r := s.repos[key]
	if r == nil {
		return nil
	}
	switch r.Class {
	case Virtual:
		var out []*repository
		for _, m := range r.Members {
			out = append(out, s.holders(by, m)...)
		}
		return out
	case Remote:
		return s.holders(by, key+"-cache")
	}
	if !by.allows(key, 'r') {
		return nil
	}
	return []*repository{r}
}

// lookFor asks the holders one after the other. Nobody there to ask is a 403.
func (s *Server) lookFor(c registryCall, code string, find func(*repository) *node) (*node, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	holders := s.holders(c.by, c.repo)
	for _, r := range holders {
		if n := find(r); n != nil {
			return n, nil
		}
	}
	if len(holders) == 0 {
		return nil, permission(c.by, c.repo, 'r')
	}
	return nil, deny(http.StatusNotFound, code, "'"+c.ref+"' of "+c.repo+"/"+c.image+" is unknown")
}

// manifestProperties are those that Artifactory sets on a manifest.
func (s *Server) manifestProperties(c registryCall, content *blob, m *manifest, config *blob) map[string][]string {
	props := map[string][]string{
		"docker.manifest": {c.ref}, "docker.manifest.digest": {"sha256:" + content.sha256}, "docker.manifest.type": {m.MediaType},
		"docker.repoName": {c.image}, "sha256": {content.sha256}, "artifactory.content-type": {m.MediaType},
	}
	if config == nil || config.size > maxManifest {
		return props
	}
	var labels struct {
		Config struct{ Labels map[string]string }
	}
	if body, err := s.contentBytes(config); err != nil || json.Unmarshal(body, &labels) != nil {
		return props
	}
	for _, key := range slices.Sorted(maps.Keys(labels.Config.Labels)) {
		if p, err := s.checkProperty(pair{"docker.label." + key, labels.Config.Labels[key]}); err == nil {
			props[p.key] = []string{p.value}
		}
	}
	return props
}

// imageEvent is one of the docker domain about a manifest file. Callers hold s.mu.
func (s *Server) imageEvent(kind string, n *node, by *Token) Event {
	folder := n.parent
	e := Event{
		Domain: "docker", Type: kind, Repo: n.repo.Key, Path: n.path(), SHA256: n.blob.sha256, Size: n.blob.size, User: by.User,
		Image: &Image{Name: folder.parent.full, Tag: folder.name, Type: registryTypes[n.repo.PackageType]},
	}
	if m := s.manifestOf(n); m != nil {
		for _, d := range m.Manifests {
			if d.Platform != nil {
				e.Image.Platforms = append(e.Image.Platforms, *d.Platform)
			}
		}
	}
	return e
}

// deletedImages has an event for each manifest at or below n, which is about to go. Callers hold s.mu.
func (s *Server) deletedImages(n *node, by *Token) []Event {
	if registryTypes[n.repo.PackageType] == "" {
		return nil
	}
	var out []Event
	n.files(nil, func(_ []string, f *node) {
		if f.parent.parent != nil && f.parent.parent.parent != nil && manifestIn(f.parent) == f && s.announcesTag(f.parent.name) {
			out = append(out, s.imageEvent("deleted", f, by))
		}
	})
	return out
}

// announcesTag reports whether events tell of it: manifests pushed by digest are a quirk.
func (s *Server) announcesTag(tag string) bool {
	return !digestName.MatchString(tag) || s.Quirks().DigestPushes != "silent"
}
