package artifactory_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// pages follows a query to its end, and between any two pages calls meanwhile.
func pages(t *testing.T, c *artifactory.Client, q artifactory.ItemQuery, meanwhile func(n int, seen []string)) (paths []string) {
	t.Helper()
	for n := 0; ; n++ {
		page, err := c.Items(t.Context(), q)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), q.Limit)
		for _, i := range page.Items {
			require.Equal(t, q.Repo, i.Ref.Repo)
			require.False(t, i.SHA256.IsZero())
			require.False(t, i.Updated.IsZero())
			require.Positive(t, i.Size)
			paths = append(paths, i.Ref.Path)
		}
		if !page.More {
			return paths
		}
		q.After = page.Last
		if meanwhile != nil {
			meanwhile(n, paths)
		}
	}
}

func filled(t *testing.T, n int) *standin.Server {
	t.Helper()
	s := artifactorytest.Start(t, standin.Config{})
	for i := range n {
		file(t, s, fmt.Sprintf("a/%d/f-%03d.bin", i%7, i))
	}
	return s
}

func file(t *testing.T, s *standin.Server, path string) {
	t.Helper()
	require.NoError(t, s.Put("ci", artifactorytest.Staging, path, strings.NewReader(path), nil))
}

func TestItemsSeeEveryFileOnce(t *testing.T) {
	t.Parallel()
	s := filled(t, 60)
	for _, path := range []string{"root.bin", `odd 'name', with ¦ more.bin`, "smörgås & <b>.bin", "a b/c+d.bin"} {
		file(t, s, path)
	}
	c := newClient(t, s.URL(), reader(t))
	for _, limit := range []int{1, 7, 64, 500} {
		got := pages(t, c, artifactory.ItemQuery{Repo: artifactorytest.Staging, Limit: limit}, nil)
		require.ElementsMatch(t, s.Paths(artifactorytest.Staging), got, "pages of %d", limit)
	}
	got := pages(t, c, artifactory.ItemQuery{Repo: artifactorytest.Staging, Prefix: "a/3", Limit: 3}, nil)
	require.Len(t, got, 9)
	for _, p := range got {
		require.True(t, strings.HasPrefix(p, "a/3/"))
	}
	require.Empty(t, pages(t, c, artifactory.ItemQuery{Repo: artifactorytest.Staging, Prefix: "a/*", Limit: 3}, nil), "a prefix is no pattern")
}

// What is uploaded, overwritten or deleted between two pages hides no other file and shows none twice.
func TestItemsWhileTheRepositoryChanges(t *testing.T) {
	t.Parallel()
	s := filled(t, 40)
	c := newClient(t, s.URL(), reader(t))
	all := s.Paths(artifactorytest.Staging)
	got := pages(t, c, artifactory.ItemQuery{Repo: artifactorytest.Staging, Limit: 5}, func(n int, seen []string) {
		if n > 6 {
			return
		}
		gone := seen[n] // an offset would now skip another
		require.NoError(t, s.Delete("admin", artifactorytest.Staging, gone))
		file(t, s, fmt.Sprintf("new/%d.bin", n))
	})
	for _, p := range all {
		require.Equal(t, 1, count(got, p), p)
	}
	for n := range 7 {
		require.Equal(t, 1, count(got, fmt.Sprintf("new/%d.bin", n)), "what came meanwhile comes last")
	}
}

func reader(t *testing.T) func(*artifactory.Config) {
	return func(c *artifactory.Config) { c.Token = secret(t, artifactorytest.Reader) }
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}

func TestItemsWithinTimes(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	file(t, s, "old.bin")
	c := newClient(t, s.URL(), reader(t))
	page, err := c.Items(t.Context(), artifactory.ItemQuery{Repo: artifactorytest.Staging, Limit: 5})
	require.NoError(t, err)
	at := page.Items[0].Updated
	for !time.Now().After(at.Add(2 * time.Millisecond)) {
		time.Sleep(time.Millisecond) // times have milliseconds
	}
	file(t, s, "new.bin")
	q := artifactory.ItemQuery{Repo: artifactorytest.Staging, Limit: 5, Since: at.Add(time.Millisecond)}
	require.Equal(t, []string{"new.bin"}, pages(t, c, q, nil))
	q.Since, q.Until = at, at.Add(time.Millisecond)
	require.Equal(t, []string{"old.bin"}, pages(t, c, q, nil), "since is included, until is not")
}

// Artifactory runs few queries at once, and others need them too.
func TestItemsAreAskedForOneAtATime(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		time.Sleep(5 * time.Millisecond) // others could come
		now.Add(-1)
		_, _ = w.Write([]byte(`{"results":[]}`))
	}))
	defer srv.Close()
	c := newClient(t, srv.URL)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := c.Items(context.Background(), artifactory.ItemQuery{Repo: artifactorytest.Staging, Limit: 5})
			require.NoError(t, err)
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, most.Load())
}

func TestItemsOverFaults(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]standin.Fault{
		"5xx": {Status: 503}, "reset": {Reset: true}, "truncated": {Truncate: 100}, "429": {Status: 429, RetryAfter: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := filled(t, 20)
			require.NoError(t, s.Put("ci", artifactorytest.Staging, "marked.bin", strings.NewReader("x"), map[string][]string{"k": {"v", "w"}, "other": {"x"}}))
			c := newClient(t, s.URL(), reader(t))
			f.Path = "/artifactory/api/search/aql"
			s.Fail(f)
			require.Len(t, pages(t, c, artifactory.ItemQuery{Repo: artifactorytest.Staging, Limit: 30}, nil), 21)
			s.Fail(f)
			found := map[string]map[string][]string{}
			err := c.Marked(t.Context(), artifactorytest.Staging, "k", time.Time{}, time.Now().Add(time.Hour), func(path string, props map[string][]string) { found[path] = props })
			require.NoError(t, err)
			require.Len(t, found, 1)
			require.ElementsMatch(t, []string{"v", "w"}, found["marked.bin"]["k"])
		})
	}
}

func TestItemsRefuseWhatDoesNotAdd(t *testing.T) {
	t.Parallel()
	at := artifactory.Position{At: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Path: "b/x"}
	item := func(repo, path, name, updated string) string {
		return fmt.Sprintf(`{"results":[{"repo":%q,"path":%q,"name":%q,"size":1,"updated":%q}]}`, repo, path, name, updated)
	}
	for name, tt := range map[string]struct {
		answer string
		is     error
	}{
		"the same again":     {item("r", "b", "x", "2026-01-02T03:04:05.006Z"), artifactory.ErrNoProgress},
		"going back":         {item("r", "c", "x", "2026-01-02T03:04:05.005Z"), artifactory.ErrNoProgress},
		"another repository": {item("q", "c", "x", "2026-01-02T03:04:06.000Z"), artifactory.ErrOtherItem},
		"no time":            {item("r", "c", "x", "yesterday"), artifactory.ErrOtherItem},
		"no results":         {`{"range":{}}`, nil},
		"no JSON":            {`<html>`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tt.answer)) }))
			defer srv.Close()
			_, err := newClient(t, srv.URL).Items(t.Context(), artifactory.ItemQuery{Repo: "r", Limit: 3, After: at})
			require.Error(t, err)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
		})
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(item("r", "c", `..\u0000`, "2026-01-02T03:04:06.000Z")))
	}))
	defer srv.Close()
	_, err := newClient(t, srv.URL).Items(t.Context(), artifactory.ItemQuery{Repo: "r", Limit: 3, After: artifactory.Position{At: at.At, Path: strings.Repeat("x/", 3000)}})
	require.ErrorContains(t, err, "6000")
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	list, err := newClient(t, s.URL(), reader(t)).Repositories(t.Context())
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(list, func(r artifact.Repository) bool { return r.Key == artifactorytest.Staging && r.Class == "local" }))
}
