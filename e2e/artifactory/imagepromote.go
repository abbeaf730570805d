package artifactory

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
)

// imagePromotion is the body of POST api/docker/{repo}/v2/promote.
type imagePromotion struct {
	TargetRepo             string `json:"targetRepo"`
	DockerRepository       string `json:"dockerRepository"`
	TargetDockerRepository string `json:"targetDockerRepository"` // default: as in the source
	Tag                    string `json:"tag"`                    // "": all tags, or latest, see the quirk
	TargetTag              string `json:"targetTag"`              // default: as in the source
	Copy                   bool   `json:"copy"`                   // else the image moves
}

// promoteImage carries a tag with its layers, and for an index the manifests that it names. Signatures under tags of
// their own stay; referrers are a quirk.
func (s *Server) promoteImage(w http.ResponseWriter, r *http.Request, c registryCall) error {
	var p imagePromotion
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return refuse(http.StatusBadRequest, "The body is not a promotion: %v", err)
	}
	if err := s.checkImagePromotion(c, &p); err != nil {
		return err
	}
	tags, err := s.tagsToPromote(c, p)
	if err != nil {
		return err
	}
	for _, tag := range tags {
		if err := s.promoteTag(c, p, tag); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte("Promotion ended successfully")) // the client is gone: nothing to tell it
	return nil
}

func (s *Server) checkImagePromotion(c registryCall, p *imagePromotion) error {
	p.TargetDockerRepository = cmp.Or(p.TargetDockerRepository, p.DockerRepository)
	if p.TargetTag != "" && p.Tag == "" {
		return refuse(http.StatusBadRequest, "A target tag needs a tag")
	}
	for _, tag := range []string{p.Tag, p.TargetTag} {
		if tag != "" && !tagName.MatchString(tag) && !digestName.MatchString(tag) {
			return refuse(http.StatusBadRequest, "'%s' is no tag", tag)
		}
	}
	if !imageName.MatchString(p.DockerRepository) || !imageName.MatchString(p.TargetDockerRepository) {
		return refuse(http.StatusBadRequest, "'%s' and '%s' must be image names", p.DockerRepository, p.TargetDockerRepository)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, key := range []string{c.repo, p.TargetRepo} {
		repo, err := s.repository(key)
		if err != nil {
			return err
		}
		if !repo.takesFiles() || registryTypes[repo.PackageType] == "" {
			return refuse(http.StatusBadRequest, "'%s' is no local repository of images", key)
		}
	}
	return nil
}

func (s *Server) tagsToPromote(c registryCall, p imagePromotion) ([]string, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	folder := s.repos[c.repo].imageFolder(p.DockerRepository)
	var tags []string
	switch {
	case folder == nil:
	case p.Tag != "" || s.Quirks().PromoteNoTag == "latest":
		if tag := cmp.Or(p.Tag, "latest"); manifestIn(folder.children[tag]) != nil {
			tags = append(tags, tag)
		}
	default:
		for name, child := range folder.children {
			if manifestIn(child) != nil {
				tags = append(tags, name)
			}
		}
		slices.Sort(tags)
	}
	if len(tags) == 0 {
		return nil, refuse(http.StatusNotFound, "Unable to find tag '%s' of image '%s' in '%s'", p.Tag, p.DockerRepository, c.repo)
	}
	return tags, nil
}

func (s *Server) promoteTag(c registryCall, p imagePromotion, tag string) error {
	targetTag := cmp.Or(p.TargetTag, tag)
	job := &shipment{by: c.by, move: !p.Copy, failFast: true, target: p.TargetRepo}
	event, err := s.loadImage(c, p, tag, targetTag, job)
	if err != nil {
		return err
	}
	s.ship(job)
	if status := job.failed(); status != 0 {
		return refuse(status, "%s", job.report[len(job.report)-1].Message)
	}
	s.emit(s.settleImage(c, p, tag, targetTag, event.Path[strings.LastIndexByte(event.Path, '/')+1:])...)
	event.Image.TargetRepo, event.Image.TargetTag = p.TargetRepo, targetTag
	s.emit(event)
	return nil
}

// loadImage puts the tag's files into the shipment: what others need first, the tag's manifest last.
func (s *Server) loadImage(c registryCall, p imagePromotion, tag, targetTag string, job *shipment) (Event, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	folder := s.repos[c.repo].imageFolder(p.DockerRepository)
	if folder == nil || manifestIn(folder.children[tag]) == nil {
		return Event{}, refuse(http.StatusNotFound, "Unable to find tag '%s' of image '%s'", tag, p.DockerRepository)
	}
	top := manifestIn(folder.children[tag])
	if old := s.manifestAt(s.repos[p.TargetRepo], p.TargetDockerRepository, targetTag); old != nil && old.blob != top.blob && !c.by.allows(p.TargetRepo, 'd') {
		return Event{}, refuse(http.StatusForbidden, "Not enough permissions to overwrite tag '%s' in '%s'", targetTag, p.TargetRepo)
	}
	along := s.along(folder, top)
	for _, part := range along {
		needed := slices.ContainsFunc(slices.Collect(childFolders(folder)), func(other *node) bool {
			n := manifestIn(other)
			return n != nil && n != top && !slices.Contains(along, n) && s.names(n, "sha256:"+part.blob.sha256)
		})
		s.loadFolder(part.parent, p, part.parent.name, needed, job)
	}
	s.loadFolder(top.parent, p, targetTag, false, job)
	return s.imageEvent("promoted", top, c.by), nil
}

// along are the manifests that go with one: those that an index names, and perhaps referrers.
func (s *Server) along(folder, top *node) []*node {
	var out []*node
	add := func(n *node) {
		if n != nil && n.parent != top.parent && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	for _, d := range s.manifestOf(top).children() {
		add(manifestIn(folder.children[d.Digest]))
	}
	if s.Quirks().PromotedReferrers != "follow" {
		return out
	}
	for _, subject := range append(slices.Clone(out), top) {
		for _, n := range s.referring(folder.repo, folder.full, "sha256:"+subject.blob.sha256) {
			if digestName.MatchString(n.parent.name) {
				add(n)
			}
		}
	}
	return out
}

// children are the manifests that an index names.
func (m *manifest) children() []descriptor {
	if m == nil {
		return nil
	}
	return m.Manifests
}

// names reports whether the index names the manifest.
func (s *Server) names(index *node, digest string) bool {
	return slices.ContainsFunc(s.manifestOf(index).children(), func(d descriptor) bool { return d.Digest == digest })
}

// loadFolder adds a manifest's folder. What lies in the target already under its digest, the same, is left out.
func (s *Server) loadFolder(folder *node, p imagePromotion, targetTag string, keep bool, job *shipment) {
	names := make([]string, 0, len(folder.children))
	for name := range folder.children {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { // layers before the manifest
		return cmp.Or(cmp.Compare(b[:min(8, len(b))], a[:min(8, len(a))]), cmp.Compare(a, b))
	})
	image := strings.Split(p.TargetDockerRepository, "/")
	for _, name := range names {
		n := folder.children[name]
		if !n.isFile() {
			continue
		}
		to := append(image[:len(image):len(image)], targetTag, name)
		if old := s.repos[p.TargetRepo].root.at(to); old != nil && old.blob == n.blob && digestName.MatchString(targetTag) && (p.Copy || keep) {
			continue
		}
		job.items = append(job.items, cargo{file: n, to: to, keep: keep})
	}
}

// settleImage renames the manifest's properties when tag or image changed, takes away what the target had of an older
// image, and removes folders that a move emptied.
func (s *Server) settleImage(c registryCall, p imagePromotion, tag, targetTag, file string) (events []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := append(strings.Split(p.TargetDockerRepository, "/"), targetTag, file)
	if n := s.repos[p.TargetRepo].root.at(target); n != nil {
		if m := s.manifestOf(n); m != nil {
			events = s.clear(n.parent, m, c.by)
		}
		n.change(map[string][]string{"docker.manifest": {targetTag}, "docker.repoName": {p.TargetDockerRepository}}, nil)
	}
	if folder := s.repos[c.repo].imageFolder(p.DockerRepository); folder != nil {
		for child := range childFolders(folder) {
			if len(child.children) == 0 && (child.name == tag || digestName.MatchString(child.name)) {
				child.detach()
			}
		}
	}
	return events
}
