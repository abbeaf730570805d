package artifactory

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// promotion is the body of POST api/build/promote. Without a target repository only the status changes.
type promotion struct {
	Status       string              `json:"status"`
	Comment      string              `json:"comment"`
	CIUser       string              `json:"ciUser"`
	Timestamp    string              `json:"timestamp"` // unique among the build's promotions
	DryRun       bool                `json:"dryRun"`
	SourceRepo   string              `json:"sourceRepo"` // "" looks everywhere
	TargetRepo   string              `json:"targetRepo"`
	Copy         bool                `json:"copy"` // else the files move
	Artifacts    *bool               `json:"artifacts"`
	Dependencies bool                `json:"dependencies"`
	Scopes       []string            `json:"scopes"` // of the dependencies; none means all
	Properties   map[string][]string `json:"properties"`
	FailFast     *bool               `json:"failFast"`
}

// promoteBuild answers POST api/build/promote/{name}/{number}. It finds files by the SHA-1 in the build-info and by
// their build.name and build.number properties, carries one after the other, sets properties, and last the status.
func (s *Server) promoteBuild(w http.ResponseWriter, r *http.Request, c call) error {
	if err := onlyQueries(c, "project"); err != nil {
		return err
	}
	p := promotion{}
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return refuse(http.StatusBadRequest, "The body is not a promotion: %v", err)
	}
	b, err := s.buildToPromote(c)
	if err != nil {
		return err
	}
	if err := s.checkPromotion(c, b, &p); err != nil {
		return err
	}
	job := &shipment{by: c.by, move: !p.Copy, dry: p.DryRun, failFast: p.FailFast == nil || *p.FailFast, properties: p.Properties}
	if p.TargetRepo != "" {
		job.target = p.TargetRepo
		s.gather(b, p, job)
		s.ship(job)
	}
	if status := job.failed(); status != 0 {
		respond(w, status, messages{job.report})
		return nil
	}
	if !p.DryRun {
		s.recordPromotion(c, b, p)
		s.emit(b.event("promoted", c.by))
	}
	job.say("INFO", "Promotion of build %s/%s completed: %d files", b.name, b.number, job.done)
	respond(w, http.StatusOK, messages{job.report})
	return nil
}

// buildToPromote finds the build. JFrog's client writes a space in this path as '+': that reading is tried second.
func (s *Server) buildToPromote(c call) (*build, error) {
	name, number, err := buildPath(c.rest)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, err := s.run(buildKey{projectOf(c), name, number}, "")
	if err != nil && strings.Contains(c.rest, "+") {
		if name, number, err = buildPath(strings.ReplaceAll(c.rest, "+", "%20")); err == nil {
			return s.run(buildKey{projectOf(c), name, number}, "")
		}
	}
	return b, err
}

// checkPromotion checks rights, resolves a virtual target and completes the body.
func (s *Server) checkPromotion(c call, b *build, p *promotion) error {
	if err := permission(c.by, buildRepository(b.project), 'w'); err != nil {
		return err
	}
	now := s.now()
	if p.Timestamp == "" {
		p.Timestamp = now.Format(buildTime)
	} else if _, err := time.Parse(buildTime, p.Timestamp); err != nil {
		return refuse(http.StatusBadRequest, "The timestamp '%s' is not of the form %s", p.Timestamp, buildTime)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if slices.ContainsFunc(b.statuses, func(old buildStatus) bool { return old.Timestamp == p.Timestamp && p.Status != "" }) {
		return refuse(http.StatusBadRequest, "A promotion of this build with the timestamp %s exists", p.Timestamp)
	}
	if p.TargetRepo == "" {
		return nil
	}
	if p.Artifacts != nil && !*p.Artifacts && !p.Dependencies {
		switch s.Quirks().EmptyPromotion {
		case "without":
			p.TargetRepo = ""
			return nil
		case "refuse":
			return refuse(http.StatusBadRequest, "A promotion to '%s' needs artifacts or dependencies", p.TargetRepo)
		}
	}
	if p.SourceRepo != "" {
		if _, err := s.repository(p.SourceRepo); err != nil {
			return err
		}
	}
	var err error
	p.TargetRepo, err = s.deployTargetLocked(p.TargetRepo)
	return err
}

// gather puts the build's files into the shipment, in the order of the build-info.
func (s *Server) gather(b *build, p promotion, job *shipment) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var wanted []buildFile
	if p.Artifacts == nil || *p.Artifacts {
		wanted = append(wanted, b.artifacts...)
	}
	stamped := len(wanted)
	if p.Dependencies {
		for _, d := range b.dependencies {
			if len(p.Scopes) == 0 || slices.ContainsFunc(d.Scopes, func(sc string) bool { return slices.Contains(p.Scopes, sc) }) {
				wanted = append(wanted, d)
			}
		}
	}
	seen := map[string]bool{}
	for i, w := range wanted {
		if seen[w.SHA1] {
			continue
		}
		seen[w.SHA1] = true
		there := 0
		var files []*node
		for _, f := range s.filesOf(b, wanted[i:i+1], i < stamped) {
			switch {
			case f.repo.Key == p.TargetRepo:
				there++
			case p.SourceRepo == "" || f.repo.Key == p.SourceRepo:
				files = append(files, f)
			}
		}
		if len(files) > 1 && s.Quirks().SameContent == "one" {
			files = files[:1]
		}
		for _, f := range files {
			job.add(f, f.address().path)
		}
		if len(files) == 0 && there == 0 && s.Quirks().MissingArtifact != "skip" {
			job.miss(fmt.Sprintf("Unable to find %s%s with SHA-1 '%s' of build %s/%s", w.Name, w.ID, w.SHA1, b.name, b.number))
		}
	}
}

// filesOf are the items with the SHA-1 values, sorted; stamped ones must also have the build's properties. Callers hold
// s.mu.
func (s *Server) filesOf(b *build, wanted []buildFile, stamped bool) []*node {
	var out []*node
	for _, w := range wanted {
		content := s.blobs.bySHA1(strings.ToLower(w.SHA1))
		if content == nil {
			continue
		}
		for _, f := range content.items {
			if stamped && (!slices.Contains(f.props["build.name"], b.name) || !slices.Contains(f.props["build.number"], b.number)) {
				continue
			}
			if !f.repo.sealed && f.repo.Class != cache {
				out = append(out, f)
			}
		}
	}
	slices.SortFunc(out, func(x, y *node) int { return strings.Compare(x.address().String(), y.address().String()) })
	return out
}

func (s *Server) recordPromotion(c call, b *build, p promotion) {
	at, _ := time.Parse(buildTime, p.Timestamp) // checked
	s.mu.Lock()
	defer s.mu.Unlock()
	b.statuses = append(b.statuses, buildStatus{
		Status: p.Status, Comment: p.Comment, Repository: p.TargetRepo, Timestamp: p.Timestamp, User: c.by.User, CIUser: p.CIUser,
		TimestampDate: at.UnixMilli(),
	})
}
