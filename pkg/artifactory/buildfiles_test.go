package artifactory_test

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// builtIn gathers the places of a build's files and fails when one comes twice or without its facts.
func builtIn(t testing.TB, c *artifactory.Client, b artifact.Build, repo string) []string {
	t.Helper()
	var got []string
	seen := map[artifact.Ref]bool{}
	require.NoError(t, c.Built(t.Context(), b, []string{repo}, func(i artifact.Info) error {
		require.False(t, seen[i.Ref], "%s twice", i.Ref)
		seen[i.Ref] = true
		require.Equal(t, "main", i.Ref.Instance)
		require.False(t, i.SHA256.IsZero())
		require.Len(t, i.SHA1, 40)
		require.False(t, i.Created.IsZero() || i.Modified.IsZero())
		require.NotEmpty(t, i.CreatedBy)
		got = append(got, i.Ref.String())
		return nil
	}))
	return got
}

func stamps(name, number string) map[string][]string {
	return map[string][]string{"build.name": {name}, "build.number": {number}}
}

func keep(t testing.TB, s *standin.Server, repo, path, content string, props map[string][]string) {
	t.Helper()
	require.NoError(t, s.Put("ci", repo, path, strings.NewReader(content), props))
}

// entries is what a build-info with these contents says.
func entries(contents ...string) (all []artifact.Built) {
	for _, content := range contents {
		p := partOf(content, content)
		d, _ := artifact.ParseDigest(p.SHA256.(string))
		all = append(all, artifact.Built{Name: content, SHA1: p.SHA1.(string), SHA256: d})
	}
	return all
}

func TestBuiltFindsFilesByPropertyAndByDigest(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	publish(t, s, published{name: "bld", number: "7"}, partOf("a", "a")) // its record has the properties, too
	keep(t, s, artifactorytest.Staging, "a", "a", stamps("bld", "7"))
	keep(t, s, artifactorytest.Staging, "copy/of a", "a", nil)
	keep(t, s, artifactorytest.Staging, "rewritten", "not in build-info", stamps("bld", "7"))
	keep(t, s, artifactorytest.Staging, "other run", "c", stamps("bld", "8"))
	keep(t, s, artifactorytest.Staging, "other build", "d", stamps("other", "7"))
	keep(t, s, artifactorytest.Release, "both", "b", stamps("bld", "7"))
	keep(t, s, artifactorytest.Release, "unmarked", "b", nil)
	b := artifact.Build{Name: "bld", Number: "7", Artifacts: append(entries("a", "b", "b"), artifact.Built{Name: "no digest"}, artifact.Built{Name: "bad", SHA1: "*"})}

	staging := []string{"libs-staging-local/a", "libs-staging-local/copy/of a", "libs-staging-local/rewritten"}
	require.ElementsMatch(t, staging, builtIn(t, c, b, artifactorytest.Staging))
	require.ElementsMatch(t, []string{"libs-release-local/both", "libs-release-local/unmarked"}, builtIn(t, c, b, artifactorytest.Release))
	require.ElementsMatch(t, []string{staging[0], staging[2], "libs-release-local/both"}, builtIn(t, c, b, ""), "without the record of the build")
	for _, repo := range []string{artifactorytest.Staging, artifactorytest.Release} { // properties alone
		var marked []string
		require.NoError(t, c.BuiltMarked(t.Context(), b, repo, func(i artifact.Info) error { marked = append(marked, i.Ref.String()); return nil }))
		require.ElementsMatch(t, map[string][]string{artifactorytest.Staging: {staging[0], staging[2]}, artifactorytest.Release: {"libs-release-local/both"}}[repo], marked)
	}
	b.Artifacts = nil
	require.ElementsMatch(t, []string{"libs-release-local/both"}, builtIn(t, c, b, artifactorytest.Release))

	stop := errors.New("enough")
	require.ErrorIs(t, c.Built(t.Context(), b, []string{""}, func(artifact.Info) error { return stop }), stop)
	require.ErrorIs(t, c.Built(t.Context(), b, []string{"../x"}, func(artifact.Info) error { return nil }), artifactory.ErrPath)
}

// A name is a value of the query and nothing else.
func TestBuiltOfOddlyNamedBuilds(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	keep(t, s, artifactorytest.Staging, "bystander", "x", stamps("bld", "7"))
	for i, name := range []string{
		"my build", `say "hi"`, "größe", "a+b#c;d", `back\slash`, "<&>", "日本語", "*", "b?d", "$or", `"}]}).include("*")`, `bld","@build.number":{"$match":"*"},"x":"`,
		`x"},{"type":"file"}]}`, "')--", strings.Repeat("long ", 180),
	} {
		file := fmt.Sprintf("dir %d/a+b #%d;x.bin", i, i)
		keep(t, s, artifactorytest.Staging, file, name, stamps(name, name))
		b := artifact.Build{Name: name, Number: name, Artifacts: entries(name)}
		require.Equal(t, []string{"libs-staging-local/" + file}, builtIn(t, c, b, artifactorytest.Staging), name)
		require.Equal(t, []string{"libs-staging-local/" + file}, builtIn(t, c, b, ""), name)
	}
}

// Thousands of files over many pages, at one moment, with long paths, and a server that drops properties.
func TestBuiltPages(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	s := artifactorytest.Start(t, standin.Config{Now: func() time.Time { return now }})
	c := newClient(t, s.URL(), reader(t))
	long := strings.Repeat(`a "long" folder/`, 50)
	var contents []string
	for i := range 1200 {
		contents = append(contents, strconv.Itoa(i))
		keep(t, s, artifactorytest.Staging, fmt.Sprintf("%s%d/f-%04d", long, i%7, i), contents[i], stamps("bld", "7"))
		keep(t, s, artifactorytest.Release, fmt.Sprintf("%s%d/f-%04d", long, i%7, i), contents[i%90], nil)
	}
	b := artifact.Build{Name: "bld", Number: "7", Artifacts: entries(contents...)}
	for _, repo := range []string{artifactorytest.Staging, artifactorytest.Release} {
		var want []string
		for _, p := range s.Paths(repo) {
			want = append(want, repo+"/"+p)
		}
		require.ElementsMatch(t, want, builtIn(t, c, b, repo), repo)
	}
	require.Len(t, builtIn(t, c, b, ""), 1200)
	empty := artifact.Build{Name: "none", Number: "1", Artifacts: entries("same")}
	for i := range 1100 { // one SHA-1, many places
		keep(t, s, artifactorytest.Release, fmt.Sprintf("%ssame/%d", long, i), "same", nil)
	}
	require.Len(t, builtIn(t, c, empty, artifactorytest.Release), 1100)
}

func TestBuiltOfAnUnreliableServer(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	var contents []string
	for i := range 600 {
		contents = append(contents, strconv.Itoa(i))
		keep(t, s, artifactorytest.Staging, "f-"+contents[i], contents[i], stamps("bld", "7"))
	}
	b := artifact.Build{Name: "bld", Number: "7", Artifacts: entries(contents...)}
	for _, f := range []standin.Fault{{Status: 503}, {Status: 429, RetryAfter: time.Second}, {Reset: true}, {Truncate: 1000}} {
		f.Path = "/artifactory/api/search/aql"
		disarm := s.Fail(f)
		require.Len(t, builtIn(t, c, b, artifactorytest.Staging), 600)
		require.Equal(t, 1, disarm())
	}
	item := func(repo, path, name, updated string) string {
		return fmt.Sprintf(`{"repo":%q,"path":%q,"name":%q,"size":1,"updated":%q}`, repo, path, name, updated)
	}
	const at = "2026-11-22T10:00:00.000Z"
	for text, want := range map[string]error{
		item("elsewhere", ".", "a", at):                                                             artifactory.ErrOtherItem,
		item(testRepo, ".", "a", "never"):                                                           artifactory.ErrOtherItem,
		item(testRepo, ".", "a", at) + "," + item(testRepo, ".", "a", at):                           artifactory.ErrNoProgress,
		item(testRepo, ".", "a", at) + "," + item(testRepo, ".", "b", "2026-11-21T10:00:00.000Z"):   artifactory.ErrNoProgress,
		item(testRepo, "x/..", "..", at) + "," + item(testRepo, ".", "b", "2026-11-22T10:00:01.0Z"): artifactory.ErrPath,
	} {
		c := newClient(t, aqlAnswers(t, `{"results":[`+text+`]}`))
		var got []string
		err := c.Built(t.Context(), artifact.Build{Name: "bld", Number: "7"}, []string{testRepo}, func(i artifact.Info) error { got = append(got, i.Ref.Path); return nil })
		require.ErrorIs(t, err, want)
		if errors.Is(want, artifactory.ErrPath) {
			require.Equal(t, []string{"b"}, got, "the others are handed over")
		}
	}
	c = newClient(t, aqlAnswers(t, `{}`))
	require.ErrorContains(t, c.Built(t.Context(), b, []string{testRepo}, func(artifact.Info) error { return nil }), "no results")
}

// The largest build-info and many repositories do not keep a server busy without end.
func TestBuiltAsksSoManyQueries(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	c := newClient(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/api/search/aql") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		asked.Add(1)
		fmt.Fprint(w, `{"results":[]}`)
	}).URL)
	b := artifact.Build{Name: "bld", Number: "7"}
	for i := range 90_000 { // 1,000 queries, and one for the properties
		b.Artifacts = append(b.Artifacts, artifact.Built{SHA1: fmt.Sprintf("%040x", i)})
	}
	none := func(artifact.Info) error { return nil }
	require.NoError(t, c.Built(t.Context(), b, []string{"r-1", "r-2", "r-1", "r-2"}, none), "each once")
	require.EqualValues(t, 2002, asked.Swap(0))
	err := c.Built(t.Context(), b, []string{"r-1", "r-2", "r-3", "r-4"}, none)
	require.ErrorIs(t, err, artifact.ErrUnsearched)
	require.ErrorContains(t, err, `ended in "r-3" after 3000 queries`)
	require.EqualValues(t, 3000, asked.Load())
}

// aqlAnswers is the address of a server that answers every search alike and knows nothing else.
func aqlAnswers(t *testing.T, answer string) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/api/search/aql") {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, answer)
	}).URL
}

// A virtual repository holds nothing: its members do. Where they are not known, properties tell, in all repositories.
func TestBuiltInAVirtualRepository(t *testing.T) {
	t.Parallel()
	wide := artifactorytest.Wide()
	wide.Repositories = append(wide.Repositories, standin.Repository{Key: "both", Class: standin.Virtual, Members: []string{artifactorytest.LibsVirtual, artifactorytest.Remote, artifactorytest.Federated}})
	s := artifactorytest.Start(t, wide)
	keep(t, s, artifactorytest.Staging, "a", "a", stamps("bld", "7"))
	keep(t, s, artifactorytest.Release, "a", "a", nil)
	keep(t, s, artifactorytest.Federated, "f", "a", nil)
	b := artifact.Build{Name: "bld", Number: "7", Artifacts: entries("a")}
	c := newClient(t, s.URL(), reader(t))
	require.ElementsMatch(t, []string{"libs-staging-local/a", "libs-release-local/a"}, builtIn(t, c, b, artifactorytest.LibsVirtual))
	require.ElementsMatch(t, []string{"libs-staging-local/a", "libs-release-local/a", "libs-federated/f"}, builtIn(t, c, b, "both"))
	require.Empty(t, builtIn(t, c, b, "no-such-repository"))

	q := s.Quirks()
	q.Configurations = "closed"
	require.NoError(t, s.SetQuirks(q))
	c = newClient(t, s.URL(), reader(t))
	require.Equal(t, []string{"libs-staging-local/a"}, builtIn(t, c, b, artifactorytest.LibsVirtual))
}
