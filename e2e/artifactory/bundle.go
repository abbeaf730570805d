package artifactory

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// bundleKey names one version of a release bundle.
type bundleKey struct{ project, name, version string }

// bundle is a release bundle v2. Its contents and their properties are those of the moment it was made. Guarded by
// Server.mu.
type bundle struct {
	bundleKey
	createdBy  string
	created    time.Time
	status     string
	messages   []bundleMessage
	contents   []*bundled
	promotions []*bundlePromotion
	tag        string
}

// bundled is one artifact of a bundle.
type bundled struct {
	from        address // where it came from
	at          address // where it is now: as from, or where the latest promotion put it
	packageType string
	stored      *node // in the bundles' repository, with the frozen properties
}

type bundleMessage struct {
	Source  string `json:"source"`
	Text    string `json:"text"`
	Created string `json:"created"`
}

// Statuses of bundles and promotions.
const (
	processing = "PROCESSING"
	completed  = "COMPLETED"
	failed     = "FAILED"
)

// bundleName is the identification in bodies.
type bundleName struct {
	Name    string `json:"release_bundle_name"`
	Version string `json:"release_bundle_version"`
}

// creation is the body of POST release_bundle: one source with its type beside it, or a list.
type creation struct {
	bundleName
	SourceType string         `json:"source_type"`
	Source     *bundleSource  `json:"source"`
	Sources    []bundleSource `json:"sources"`
}

var bundleWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$`)

// bundleRepository is the key of the repository that keeps a project's release bundles.
func bundleRepository(project string) string {
	if project == "" {
		return "release-bundles-v2"
	}
	return project + "-release-bundles-v2"
}

func (k bundleKey) folder() []string { return []string{k.name, k.version} }

// createBundle answers POST release_bundle. The contents are gathered and frozen before the answer, also when the rest
// happens later (async).
func (s *Server) createBundle(w http.ResponseWriter, r *http.Request, c call) error {
	if err := onlyQueries(c, "project", "async"); err != nil {
		return err
	}
	var body creation
	d := json.NewDecoder(io.LimitReader(r.Body, 16<<20))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return refuse(http.StatusBadRequest, "The body is not a release bundle: %v", err)
	}
	if !bundleWord.MatchString(body.Name) || !bundleWord.MatchString(body.Version) {
		return refuse(http.StatusBadRequest, "'%s' and '%s' must be a name and a version", body.Name, body.Version)
	}
	key := bundleKey{projectOf(c), body.Name, body.Version}
	if err := permission(c.by, bundleRepository(key.project), 'w'); err != nil {
		return err
	}
	if body.Source != nil {
		body.Source.Type = cmp.Or(body.Source.Type, body.SourceType)
		body.Sources = append(body.Sources, *body.Source)
	}
	later := c.param("async") != "false"
	b, stored, err := s.freeze(c, key, body.Sources, later)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	s.emit(b.event("started", c.by, nil))
	s.emitService(stored...)
	if later {
		status = http.StatusAccepted
		s.background(func() { s.finishBundle(b, c.by) })
	} else {
		s.finishBundle(b, c.by)
	}
	respond(w, status, struct {
		Repo string `json:"repository_key"`
		bundleName
		Created string `json:"created"`
	}{bundleRepository(key.project), body.bundleName, stamp(b.created)})
	return nil
}

// freeze takes the contents as they are. A source that cannot be taken refuses the call, or fails the bundle when the
// caller does not wait.
func (s *Server) freeze(c call, key bundleKey, sources []bundleSource, later bool) (*bundle, []Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bundles[key] != nil {
		return nil, nil, refuse(http.StatusConflict, "The release bundle '%s/%s' exists", key.name, key.version)
	}
	b := &bundle{bundleKey: key, createdBy: c.by.User, created: s.now(), status: processing}
	var stored []Event
	contents, err := s.gatherBundle(c, sources)
	if err == nil {
		stored, err = s.storeBundle(b, contents, c.by)
	}
	if err != nil {
		if !later || asRefusal(err) == 0 {
			return nil, nil, err
		}
		b.fail(s.now(), err.Error())
	}
	s.bundles[key] = b
	return b, stored, nil
}

// storeBundle puts the contents into the read-only repository. Callers hold s.mu for writing.
func (s *Server) storeBundle(b *bundle, contents []*bundled, by *Token) ([]Event, error) {
	repo := s.serviceRepository(bundleRepository(b.project), b.project, "releasebundles")
	taken := map[string]string{}
	for _, x := range contents {
		place := x.packageType + "/" + x.from.below()
		if other := taken[place]; other != "" && other != x.from.repo {
			return nil, refuse(http.StatusBadRequest, "'%s' and '%s' have the path '%s'", other, x.from.repo, x.from.below())
		}
		taken[place] = x.from.repo
	}
	var events []Event
	now := s.now()
	for _, x := range contents {
		path := append(b.folder(), "artifacts", x.packageType)
		folder, err := repo.root.folderAt(append(path, x.from.path[:len(x.from.path)-1]...), by.User, now)
		if err != nil {
			return nil, err
		}
		n := x.stored
		x.stored = &node{name: n.name, blob: n.blob, props: n.props, created: now, modified: now, createdBy: by.User, modifiedBy: by.User}
		s.blobs.hold(n.blob)
		folder.attach(x.stored)
		events = append(events, artifactEvent("deployed", repo.Key, x.stored.address().path, n.blob, by))
		b.contents = append(b.contents, x)
	}
	return events, nil
}

// finishBundle signs the specification and completes the bundle, unless it failed or was deleted meanwhile.
func (s *Server) finishBundle(b *bundle, by *Token) {
	s.mu.Lock()
	if s.bundles[b.bundleKey] != b {
		s.mu.Unlock()
		return
	}
	var events []Event
	if b.status == processing {
		spec, err := s.storeSpecification(b, by)
		if err != nil {
			b.fail(s.now(), err.Error())
		} else {
			b.status, events = completed, []Event{spec}
		}
	}
	status := b.status
	s.mu.Unlock()
	s.emitService(events...)
	s.emit(b.event(strings.ToLower(status), by, nil))
}

func (b *bundle) fail(at time.Time, why string) {
	b.status = failed
	b.messages = append(b.messages, bundleMessage{"jfrt@stand-in", why, stamp(at)})
}

// event is one about the bundle, or about a promotion of it.
func (b *bundle) event(kind string, by *Token, p *bundlePromotion) Event {
	e := Event{
		Domain: "release_bundle_v2", User: by.User,
		Bundle: &BundleVersion{Name: b.name, Version: b.version, Repo: bundleRepository(b.project), Created: b.created.UnixMilli()},
	}
	if p != nil {
		e.Domain, e.Bundle.Environment, e.Bundle.Created = "release_bundle_v2_promotion", p.Environment, p.CreatedMillis
	}
	e.Type = e.Domain + "_" + kind
	return e
}

// background runs f after Config.ServiceDelay, as a service does when the caller does not wait. Close waits for it.
func (s *Server) background(f func()) {
	s.jobs.Add(1)
	go func() {
		defer s.jobs.Done()
		select {
		case <-time.After(s.cfg.ServiceDelay):
			f()
		case <-s.sender.ctx.Done():
		}
	}()
}

// bundleAt finds the bundle that "name/version[/rest]" means. Callers hold s.mu.
func (s *Server) bundleAt(c call, right byte) (*bundle, string, error) {
	project := projectOf(c)
	if err := permission(c.by, bundleRepository(project), right); err != nil {
		return nil, "", err
	}
	segments := strings.SplitN(c.rest, "/", 3)
	for i := range segments {
		var err error
		if segments[i], err = url.PathUnescape(segments[i]); err != nil {
			return nil, "", refuse(http.StatusBadRequest, "The path is badly encoded")
		}
	}
	if len(segments) < 2 {
		return nil, "", unsupported("release bundles by name alone are not implemented here")
	}
	b := s.bundles[bundleKey{project, segments[0], segments[1]}]
	if b == nil {
		return nil, "", refuse(http.StatusNotFound, "The release bundle '%s/%s' was not found", segments[0], segments[1])
	}
	return b, strings.Join(segments[2:], "/"), nil
}
