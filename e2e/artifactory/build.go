package artifactory

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// buildTime is how build-info writes points in time: milliseconds, and a zone without a colon.
const buildTime = "2006-01-02T15:04:05.000-0700"

// maxBuildInfo bounds a published build-info.
const maxBuildInfo = 64 << 20

// buildKey names the runs of one build number.
type buildKey struct{ project, name, number string }

// build is one published run. Guarded by Server.mu.
type build struct {
	buildKey
	started      string
	at           time.Time
	info         map[string]json.RawMessage // as published, by field
	artifacts    []buildFile
	dependencies []buildFile
	statuses     []buildStatus
	stored       address // the JSON file in the build-info repository
}

// buildFile is one artifact or dependency of a module.
type buildFile struct {
	Name   string   `json:"name"` // of an artifact
	ID     string   `json:"id"`   // of a dependency
	SHA1   string   `json:"sha1"`
	Scopes []string `json:"scopes"`
}

// buildStatus is one line of a build's history of promotions.
type buildStatus struct {
	Status        string `json:"status"`
	Comment       string `json:"comment,omitempty"`
	Repository    string `json:"repository,omitempty"`
	Timestamp     string `json:"timestamp"`
	User          string `json:"user"`
	CIUser        string `json:"ciUser,omitempty"`
	TimestampDate int64  `json:"timestampDate"`
}

// buildRepository is the key of the repository that keeps a project's build-info.
func buildRepository(project string) string { return cmp.Or(project, "artifactory") + "-build-info" }

// projectOf reads ?project=; the default project is none.
func projectOf(c call) string {
	for _, q := range c.query {
		if q.key == "project" && q.value != "default" {
			return q.value
		}
	}
	return ""
}

// onlyQueries refuses parameters that are not implemented.
func onlyQueries(c call, known ...string) error {
	for _, q := range c.query {
		if !slices.Contains(known, q.key) {
			return unsupported("the query parameter %q is not implemented here", q.key)
		}
	}
	return nil
}

func (c call) param(key string) string {
	for _, q := range c.query {
		if q.key == key {
			return q.value
		}
	}
	return ""
}

// publishBuild answers PUT api/build. The run is also a file of its own in the build-info repository.
func (s *Server) publishBuild(w http.ResponseWriter, r *http.Request, c call) error {
	if err := onlyQueries(c, "project"); err != nil {
		return err
	}
	project := projectOf(c)
	if err := permission(c.by, buildRepository(project), 'w'); err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBuildInfo+1))
	if err != nil || len(body) > maxBuildInfo {
		return refuse(http.StatusBadRequest, "The build-info could not be read or has over %d bytes", maxBuildInfo)
	}
	b, err := decodeBuild(body)
	if err != nil {
		return err
	}
	b.project = project
	content, err := s.blobs.receive(bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := s.keepBuild(c, b, content); err != nil {
		return err
	}
	s.emitService(artifactEvent("deployed", b.stored.repo, b.stored.path, content, c.by))
	s.emit(b.event("uploaded", c.by))
	w.Header().Set("X-Checksum-Sha256", content.sha256)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// decodeBuild takes what promotion and answers need. A build-info with wrong or missing digests is taken as it is.
func decodeBuild(body []byte) (*build, error) {
	b := &build{}
	var known struct {
		Name    string `json:"name"`
		Number  string `json:"number"`
		Started string `json:"started"`
		Modules []struct {
			Artifacts    []buildFile `json:"artifacts"`
			Dependencies []buildFile `json:"dependencies"`
		} `json:"modules"`
	}
	if err := json.Unmarshal(body, &b.info); err != nil {
		return nil, refuse(http.StatusBadRequest, "The body is not a build-info: %v", err)
	}
	if err := json.Unmarshal(body, &known); err != nil {
		return nil, refuse(http.StatusBadRequest, "The body is not a build-info: %v", err)
	}
	at, err := time.Parse(buildTime, known.Started)
	if err != nil || known.Name == "" || known.Number == "" {
		return nil, refuse(http.StatusBadRequest, "A build-info needs a name, a number and a start like %s", buildTime)
	}
	b.name, b.number, b.started, b.at = known.Name, known.Number, known.Started, at
	for _, m := range known.Modules {
		b.artifacts = append(b.artifacts, m.Artifacts...)
		b.dependencies = append(b.dependencies, m.Dependencies...)
	}
	return b, nil
}

// keepBuild stores the file, making the repository when it is the project's first build, and remembers the run. The
// reference to the content passes to the item.
func (s *Server) keepBuild(c call, b *build, content *blob) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := buildRepository(b.project)
	s.serviceRepository(key, b.project, "buildinfo")
	file := encodedForBuilds(b.number) + "-" + strconv.FormatInt(b.at.UnixMilli(), 10) + ".json"
	b.stored = address{repo: key, path: []string{encodedForBuilds(b.name), file}}
	trusted := call{by: &Token{User: c.by.User, Admin: true}, at: b.stored}
	if _, _, err := s.placeLocked(trusted, content, map[string][]string{"build.name": {b.name}, "build.number": {b.number}}, s.now()); err != nil {
		s.blobs.release(content)
		return err
	}
	runs := slices.DeleteFunc(s.builds[b.buildKey], func(old *build) bool { return old.at.Equal(b.at) })
	runs = append(runs, b)
	slices.SortStableFunc(runs, func(x, y *build) int { return x.at.Compare(y.at) })
	s.builds[b.buildKey] = runs
	return nil
}

// serviceRepository makes a repository that only a service writes to, unless it is there. Callers hold s.mu for writing.
func (s *Server) serviceRepository(key, project, packageType string) *repository {
	if r := s.repos[key]; r != nil {
		return r
	}
	r := s.addRepository(Repository{Key: key, Class: Local, PackageType: packageType, Project: project})
	r.sealed = true
	return r
}

func (b *build) event(kind string, by *Token) Event {
	return Event{Domain: "build", Type: kind, User: by.User, Build: &BuildRun{b.name, b.number, b.started, buildRepository(b.project)}}
}

// encodedForBuilds is a name or number as the build-info repository has it, encoded like JFrog's client expects it.
func encodedForBuilds(v string) string {
	var out strings.Builder
	for _, c := range v {
		switch {
		case unicode.IsSpace(c):
			out.WriteByte(' ')
		case c == '\'':
			out.WriteString("%22")
		case strings.ContainsRune(`/\|*?:;%`, c):
			out.WriteString("%" + strings.ToUpper(strconv.FormatInt(int64(c), 16)))
		default:
			out.WriteRune(c)
		}
	}
	return strings.NewReplacer("%2F ", "%2F%20", " %2F", "%20%2F").Replace(out.String())
}

// buildPath reads "name" or "name/number" of a request path. A name with slashes has them encoded, or takes all
// segments but the last, as JFrog's client sends it.
func buildPath(raw string) (name, number string, err error) {
	segments := strings.Split(strings.Trim(raw, "/"), "/")
	for i, seg := range segments {
		if segments[i], err = url.PathUnescape(seg); err != nil || segments[i] == "" {
			return "", "", refuse(http.StatusBadRequest, "The build '%s' is badly named", raw)
		}
	}
	last := len(segments) - 1
	if last == 0 {
		return segments[0], "", nil
	}
	return strings.Join(segments[:last], "/"), segments[last], nil
}

// run finds the latest run of a build number, or the one that started then. Callers hold s.mu.
func (s *Server) run(key buildKey, started string) (*build, error) {
	at, err := time.Parse(buildTime, started)
	if started != "" && err != nil {
		return nil, refuse(http.StatusBadRequest, "The start '%s' is not of the form %s", started, buildTime)
	}
	asText := s.Quirks().BuildStarted == "text"
	for _, b := range slices.Backward(s.builds[key]) {
		if started == "" || b.started == started || !asText && b.at.Equal(at) {
			return b, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "No build was found for build name: %s, build number: %s", key.name, key.number)
}
