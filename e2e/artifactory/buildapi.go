package artifactory

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

type buildAnswer struct {
	URI       string                     `json:"uri"`
	BuildInfo map[string]json.RawMessage `json:"buildInfo"`
}

type buildRuns struct {
	URI    string     `json:"uri"`
	Builds []buildRun `json:"buildsNumbers,omitempty"`
	Names  []buildRun `json:"builds,omitempty"`
}

type buildRun struct {
	URI         string `json:"uri"`
	Started     string `json:"started,omitempty"`
	LastStarted string `json:"lastStarted,omitempty"`
}

// getBuild answers GET api/build/{name} with its runs and GET api/build/{name}/{number} with the latest of them, or
// the one of ?started=. The statuses of promotions stand in the build-info.
func (s *Server) getBuild(w http.ResponseWriter, r *http.Request, c call) error {
	if err := onlyQueries(c, "project", "started"); err != nil {
		return err
	}
	if err := permission(c.by, buildRepository(projectOf(c)), 'r'); err != nil {
		return err
	}
	name, number, err := buildPath(c.rest)
	if err != nil {
		return err
	}
	base := s.baseFor(r) + "/artifactory/api/build/" + url.PathEscape(name)
	if number == "" {
		runs := s.runsOf(projectOf(c), name)
		if len(runs) == 0 {
			return refuse(http.StatusNotFound, "No build was found for build name: %s", name)
		}
		respond(w, http.StatusOK, buildRuns{URI: base, Builds: runs})
		return nil
	}
	s.mu.RLock()
	b, err := s.run(buildKey{projectOf(c), name, number}, c.param("started"))
	var info map[string]json.RawMessage
	if err == nil {
		info = b.answer()
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	respond(w, http.StatusOK, buildAnswer{URI: base + "/" + url.PathEscape(number), BuildInfo: info})
	return nil
}

// answer is the published build-info and its statuses.
func (b *build) answer() map[string]json.RawMessage {
	out := maps.Clone(b.info)
	if len(b.statuses) > 0 {
		out["statuses"], _ = json.Marshal(b.statuses) // strings and numbers only
	}
	return out
}

func (s *Server) runsOf(project, name string) []buildRun {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []buildRun
	for key, runs := range s.builds {
		if key.project == project && key.name == name {
			for _, b := range runs {
				out = append(out, buildRun{URI: "/" + url.PathEscape(b.number), Started: b.started})
			}
		}
	}
	slices.SortFunc(out, func(a, b buildRun) int { return cmp.Or(cmp.Compare(b.Started, a.Started), cmp.Compare(a.URI, b.URI)) })
	return out
}

// listBuilds answers GET api/build.
func (s *Server) listBuilds(w http.ResponseWriter, r *http.Request, c call) error {
	if err := onlyQueries(c, "project"); err != nil {
		return err
	}
	project := projectOf(c)
	if err := permission(c.by, buildRepository(project), 'r'); err != nil {
		return err
	}
	latest := map[string]*build{}
	s.mu.RLock()
	for key, runs := range s.builds {
		if last := runs[len(runs)-1]; key.project == project && (latest[key.name] == nil || latest[key.name].at.Before(last.at)) {
			latest[key.name] = last
		}
	}
	s.mu.RUnlock()
	list := buildRuns{URI: s.baseFor(r) + "/artifactory/api/build"}
	for _, name := range slices.Sorted(maps.Keys(latest)) {
		list.Names = append(list.Names, buildRun{URI: "/" + url.PathEscape(name), LastStarted: latest[name].started})
	}
	respond(w, http.StatusOK, list)
	return nil
}

// deleteBuilds answers DELETE api/build/{name}?buildNumbers=1,2&artifacts=1&deleteAll=1.
func (s *Server) deleteBuilds(w http.ResponseWriter, _ *http.Request, c call) error {
	if err := onlyQueries(c, "project", "buildNumbers", "artifacts", "deleteAll"); err != nil {
		return err
	}
	segments, err := url.PathUnescape(strings.Trim(c.rest, "/"))
	if err != nil {
		return refuse(http.StatusBadRequest, "The build '%s' is badly named", c.rest)
	}
	numbers := strings.Split(c.param("buildNumbers"), ",")
	return s.removeBuilds(w, c, deletion{segments, projectOf(c), numbers, c.param("artifacts") == "1", c.param("deleteAll") == "1"})
}

// deletion is what to delete; as JSON it is the body of POST api/build/delete.
type deletion struct {
	Name      string   `json:"buildName"`
	Project   string   `json:"project"`
	Numbers   []string `json:"buildNumbers"`
	Artifacts bool     `json:"deleteArtifacts"`
	All       bool     `json:"deleteAll"`
}

func (s *Server) postDeleteBuilds(w http.ResponseWriter, r *http.Request, c call) error {
	var d deletion
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&d); err != nil {
		return refuse(http.StatusBadRequest, "The body is not a deletion: %v", err)
	}
	return s.removeBuilds(w, c, d)
}

func (s *Server) removeBuilds(w http.ResponseWriter, c call, d deletion) error {
	if err := permission(c.by, buildRepository(d.Project), 'd'); err != nil {
		return err
	}
	s.mu.Lock()
	var gone []*build
	for key, runs := range s.builds {
		if key.project == d.Project && key.name == d.Name && (d.All || slices.Contains(d.Numbers, key.number)) {
			gone = append(gone, runs...)
			delete(s.builds, key)
		}
	}
	var files []*node
	for _, b := range gone {
		if d.Artifacts {
			files = append(files, s.filesOf(b, b.artifacts, true)...)
		}
		if n, err := s.find(b.stored); err == nil {
			n.detach()
			s.drop(n)
		}
	}
	s.mu.Unlock()
	if len(gone) == 0 {
		return refuse(http.StatusNotFound, "No such build was found")
	}
	for _, f := range files {
		// What a neighbour has taken away meanwhile, or what the caller may not delete, stays as it is.
		if c.by.allows(f.repo.Key, 'd') {
			_ = s.removeItem(call{by: c.by, at: f.address()})
		}
	}
	for _, b := range gone {
		s.emit(b.event("deleted", c.by))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
