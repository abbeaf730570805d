package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

const (
	buildRepoSuffix = "-build-info"
	noProject       = "artifactory"                  // stands before the suffix where builds belong to no project
	buildTime       = "2006-01-02T15:04:05.000-0700" // how build-info writes times
)

// run names one run of a build.
type run struct {
	project, name, number string
	started               time.Time // zero: the newest
}

// Build reads the build whose record ref names: <name>/<number>-<milliseconds of its start>.json in a build-info
// repository, or <name>/<number> for the newest run of that number. Name and number may stand there as they are or as
// Artifactory encodes them; of a path with several slashes the last ends the name. What the answer says of digests is
// no evidence: those that are none are empty. More than 64 MiB or 100,000 artifacts are ErrTooLarge, a missing build is
// artifact.ErrGone.
func (c *Client) Build(ctx context.Context, ref artifact.Ref) (artifact.Build, error) {
	if ref.Instance != "" && ref.Instance != c.name {
		return artifact.Build{}, fmt.Errorf("reading build %s: it is on instance %q, this is %q", ref, ref.Instance, c.name)
	}
	r, err := runAt(ref)
	if err != nil {
		return artifact.Build{}, fmt.Errorf("reading build %s: %w", ref, err)
	}
	b, err := c.build(ctx, r)
	if err != nil {
		return artifact.Build{}, fmt.Errorf("reading build %s: %w", ref, err)
	}
	return b.Build, nil
}

// BuildRef names the record of the newest run of a build; project is a key, or "" for none. A missing build is
// artifact.ErrGone.
func (c *Client) BuildRef(ctx context.Context, project, name, number string) (artifact.Ref, error) {
	ref, err := c.buildRef(ctx, run{project: project, name: name, number: number})
	if err != nil {
		return artifact.Ref{}, fmt.Errorf("looking up build %q number %q: %w", name, number, err)
	}
	return ref, nil
}

func (c *Client) buildRef(ctx context.Context, r run) (artifact.Ref, error) {
	b, err := c.build(ctx, r)
	if err != nil {
		return artifact.Ref{}, err
	}
	r.started = b.Started
	if r.started.IsZero() {
		return artifact.Ref{}, errors.New("its build-info does not tell when it started")
	}
	ref, err := artifact.NewRef(c.name, r.repo(), r.record(r.name, r.number))
	if err != nil { // a name that no path can hold
		ref, err = artifact.NewRef(c.name, r.repo(), r.record(encodedForBuilds(r.name), encodedForBuilds(r.number)))
	}
	return ref, err
}

// runAt takes a record's place apart.
func runAt(ref artifact.Ref) (run, error) {
	if _, err := artifact.NewRef(ref.Instance, ref.Repo, ref.Path); err != nil {
		return run{}, fmt.Errorf("%w: %w", ErrPath, err)
	}
	project, ok := strings.CutSuffix(ref.Repo, buildRepoSuffix)
	if !ok || project == "" || ref.Dir() == "" {
		return run{}, fmt.Errorf("%w: a build stands at <project>%s/<name>/<number>-<milliseconds>.json", ErrPath, buildRepoSuffix)
	}
	if project == noProject {
		project = ""
	}
	r := run{project: project, name: ref.Dir(), number: ref.Name()}
	if number, started, ok := recordName(ref.Name()); ok {
		r.number, r.started = number, started
	}
	return r, nil
}

// recordName reads "<number>-<milliseconds>.json".
func recordName(file string) (number string, started time.Time, ok bool) {
	stem, ok := strings.CutSuffix(file, ".json")
	i := strings.LastIndexByte(stem, '-')
	if !ok || i <= 0 {
		return "", time.Time{}, false
	}
	ms, err := strconv.ParseUint(stem[i+1:], 10, 62)
	if err != nil || ms == 0 {
		return "", time.Time{}, false
	}
	return stem[:i], time.UnixMilli(int64(ms)).UTC(), true
}

func (r run) repo() string {
	if r.project == "" {
		return noProject + buildRepoSuffix
	}
	return r.project + buildRepoSuffix
}

// record is the path of the run's record, with name and number spelt as given.
func (r run) record(name, number string) string {
	return name + "/" + number + "-" + strconv.FormatInt(r.started.UnixMilli(), 10) + ".json"
}

// build finds a run. Artifactory's interface wants name, number and start; the path of a record may have them encoded,
// and a server may know the start only in the words of the build-info. Then the record itself tells all three.
func (c *Client) build(ctx context.Context, r run) (buildInfo, error) {
	if r.started.IsZero() {
		newest, err := c.newestRun(ctx, r)
		if err != nil && (Temporary(err) || ctx.Err() != nil || isStatus(err, http.StatusUnauthorized)) {
			return buildInfo{}, err
		}
		r.started = newest // zero when the records cannot be listed: then the server's word counts
	}
	words := ""
	if !r.started.IsZero() {
		words = r.started.UTC().Format(buildTime)
	}
	b, err := c.buildInfo(ctx, r, words)
	if !isGone(err) || r.started.IsZero() {
		return b, err
	}
	told, err := c.buildRecord(ctx, r)
	if err != nil {
		return buildInfo{}, err
	}
	r.name, r.number = told.Name, told.Number
	return c.buildInfo(ctx, r, told.started)
}

// buildInfo asks for one run: the one that started then, "" for the one that the server thinks the newest. An answer
// about another run is ErrOtherItem.
func (c *Client) buildInfo(ctx context.Context, r run, started string) (buildInfo, error) {
	query := url.Values{}
	if started != "" {
		query.Set("started", started)
	}
	var b buildInfo
	err := c.eachSpelling(r, "api/build/", query, func(u string) error {
		return c.do(ctx, request{call: callBuild, method: http.MethodGet, url: u}, b.decode)
	})
	switch {
	case err != nil:
		return buildInfo{}, gone(err)
	case b.Name != r.name || b.Number != r.number:
		return buildInfo{}, fmt.Errorf("%w: build %q number %q", ErrOtherItem, b.Name, b.Number)
	case !r.started.IsZero() && b.Started.UnixMilli() != r.started.UnixMilli():
		return buildInfo{}, fmt.Errorf("%w: the run of %q", ErrOtherItem, b.started)
	}
	b.Project = r.project
	return b, nil
}

// newestRun finds the start of the newest run among the records of a build.
func (c *Client) newestRun(ctx context.Context, r run) (time.Time, error) {
	starts, err := c.starts(ctx, r)
	if err != nil {
		return time.Time{}, err
	}
	return starts[0], nil
}

// starts lists when the runs of a build number began, the newest first, by the names of their records. Without a record it
// is artifact.ErrGone.
func (c *Client) starts(ctx context.Context, r run) ([]time.Time, error) {
	var starts []time.Time
	for _, dir := range spellings(r.name) {
		entries, err := c.folder(ctx, r.repo(), dir)
		switch {
		case isGone(err), errors.Is(err, ErrPath), errors.Is(err, ErrNotFolder):
			continue
		case err != nil:
			return nil, err
		}
		for _, e := range entries {
			number, started, ok := recordName(e.Name)
			if ok && !e.Folder && (number == r.number || number == encodedForBuilds(r.number)) {
				starts = append(starts, started)
			}
		}
	}
	if len(starts) == 0 {
		return nil, artifact.ErrGone
	}
	slices.SortFunc(starts, func(a, b time.Time) int { return b.Compare(a) })
	return slices.CompactFunc(starts, time.Time.Equal), nil
}

// buildRecord reads the record of a run from its repository, under each path that it may have.
func (c *Client) buildRecord(ctx context.Context, r run) (buildInfo, error) {
	for _, name := range spellings(r.name) {
		for _, number := range spellings(r.number) {
			p, err := c.itemPath(artifact.Ref{Repo: r.repo(), Path: r.record(name, number)})
			if err != nil {
				continue
			}
			var b buildInfo
			err = gone(c.do(ctx, request{call: callRead, method: http.MethodGet, url: c.base + p}, b.decode))
			if !isGone(err) {
				return b, err
			}
		}
	}
	return buildInfo{}, artifact.ErrGone
}
