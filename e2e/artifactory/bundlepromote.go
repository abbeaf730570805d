package artifactory

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// bundlePromotion is the record of one promotion.
type bundlePromotion struct {
	Status        string          `json:"status"`
	RepositoryKey string          `json:"repository_key"`
	Name          string          `json:"release_bundle_name"`
	Version       string          `json:"release_bundle_version"`
	Environment   string          `json:"environment"`
	ServiceID     string          `json:"service_id"`
	CreatedBy     string          `json:"created_by"`
	Created       string          `json:"created"`
	CreatedMillis int64           `json:"created_millis"`
	Messages      []bundleMessage `json:"messages,omitempty"`
}

type bundlePromotionBody struct {
	Environment string   `json:"environment"`
	Included    []string `json:"included_repository_keys,omitempty"`
	Excluded    []string `json:"excluded_repository_keys,omitempty"`
}

type promotedBundle struct {
	RepositoryKey string `json:"repository_key"`
	bundleName
	bundlePromotionBody
	Created       string `json:"created"`
	CreatedMillis int64  `json:"created_millis"`
}

// promoteBundle answers POST promotion/records/{name}/{version}?operation=copy|move: the frozen contents go into the
// environment's repository for their package type. Moving also takes them from where they were.
func (s *Server) promoteBundle(w http.ResponseWriter, r *http.Request, c call) error {
	if err := onlyQueries(c, "project", "async", "operation"); err != nil {
		return err
	}
	var body bundlePromotionBody
	d := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, "The body is not a promotion: %v", err)
	}
	operation := c.param("operation")
	if !slices.Contains([]string{"", "copy", "move"}, operation) {
		return refuse(http.StatusBadRequest, "The operation '%s' is neither copy nor move", operation)
	}
	b, p, err := s.beginPromotion(c, body)
	if err != nil {
		return err
	}
	s.emit(b.event("started", c.by, p))
	run := func() int { return s.runPromotion(c, b, p, body, operation == "move") }
	status := http.StatusCreated
	if c.param("async") != "false" {
		status = http.StatusAccepted
		s.background(func() { run() })
	} else if refused := run(); refused != 0 {
		s.mu.RLock()
		why := p.Messages[len(p.Messages)-1].Text
		s.mu.RUnlock()
		return refuse(refused, "%s", why)
	}
	respond(w, status, promotedBundle{p.RepositoryKey, bundleName{p.Name, p.Version}, body, p.Created, p.CreatedMillis})
	return nil
}

// beginPromotion checks what can be checked at once and makes the record, whose created_millis is unique.
func (s *Server) beginPromotion(c call, body bundlePromotionBody) (*bundle, *bundlePromotion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, _, err := s.bundleAt(c, 'r')
	switch {
	case err != nil:
		return nil, nil, err
	case b.status != completed:
		return nil, nil, refuse(http.StatusBadRequest, "The release bundle '%s/%s' is %s", b.name, b.version, b.status)
	case s.cfg.Environments[body.Environment] == nil:
		return nil, nil, refuse(http.StatusBadRequest, "There is no environment '%s'", body.Environment)
	}
	if err := permission(c.by, bundleRepository(b.project), 'w'); err != nil {
		return nil, nil, err
	}
	now := s.now()
	if n := len(b.promotions); n > 0 && now.UnixMilli() <= b.promotions[n-1].CreatedMillis {
		now = time.UnixMilli(b.promotions[n-1].CreatedMillis + 1)
	}
	p := &bundlePromotion{
		Status: processing, RepositoryKey: bundleRepository(b.project), Name: b.name, Version: b.version, Environment: body.Environment,
		ServiceID: "jfrt@stand-in", CreatedBy: c.by.User, Created: stamp(now), CreatedMillis: now.UnixMilli(),
	}
	b.promotions = append(b.promotions, p)
	return b, p, nil
}

// runPromotion carries the contents and settles the record. It returns the status to refuse with, 0 when all is well.
func (s *Server) runPromotion(c call, b *bundle, p *bundlePromotion, body bundlePromotionBody, move bool) int {
	job := &shipment{by: c.by, failFast: true, service: true, create: true}
	targets := map[*bundled]string{}
	s.mu.RLock()
	for _, x := range b.contents {
		target, err := s.targetFor(x, body)
		if err != nil {
			job.fail(asRefusal(err), "%v", err)
			break
		}
		targets[x] = target
		job.items = append(job.items, cargo{file: x.stored, repo: target, to: x.from.path})
	}
	s.mu.RUnlock()
	if job.status == 0 {
		s.ship(job)
	}
	if job.status == 0 && move {
		s.takeAway(c, b, targets, job)
	}
	s.mu.Lock()
	for _, m := range job.report {
		if m.Level == "ERROR" {
			p.Messages = append(p.Messages, bundleMessage{p.ServiceID, m.Message, stamp(s.now())})
		}
	}
	p.Status = completed
	if job.status != 0 {
		p.Status = failed
	} else {
		for x, target := range targets {
			x.at = address{repo: target, path: x.from.path}
		}
	}
	kind := strings.ToLower(p.Status)
	s.mu.Unlock()
	s.emit(b.event(kind, c.by, p))
	return job.status
}

// targetFor is the one repository of the environment that takes the artifact. Callers hold s.mu.
func (s *Server) targetFor(x *bundled, body bundlePromotionBody) (string, error) {
	var fit []string
	for _, key := range s.cfg.Environments[body.Environment] {
		r := s.repos[key]
		if r == nil || !r.takesFiles() || r.PackageType != x.packageType {
			continue
		}
		if (len(body.Included) == 0 || slices.Contains(body.Included, key)) && !slices.Contains(body.Excluded, key) {
			fit = append(fit, key)
		}
	}
	if len(fit) != 1 {
		return "", refuse(http.StatusBadRequest, "'%s' (%s) needs one target repository in %s, there are %d", x.from, x.packageType, body.Environment, len(fit))
	}
	return fit[0], nil
}

// takeAway removes the contents from where they were before, as far as they are still the same.
func (s *Server) takeAway(c call, b *bundle, targets map[*bundled]string, job *shipment) {
	for _, x := range b.contents {
		s.mu.RLock()
		at := x.at
		n, err := s.find(at)
		same := err == nil && n.isFile() && n.blob == x.stored.blob
		s.mu.RUnlock()
		if !same || at.repo == targets[x] {
			continue
		}
		if err := permission(c.by, at.repo, 'd'); err != nil {
			job.fail(http.StatusForbidden, "%v", err)
			return
		}
		if err := s.removeItem(call{by: c.by, at: at}); err != nil {
			job.fail(http.StatusConflict, "%v", err)
			return
		}
	}
}
