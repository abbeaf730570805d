package artifactory_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

type aqlItem struct {
	Repo, Path, Name, Modified string
	Properties                 []struct{ Key, Value string }
}

func (i aqlItem) String() string { return i.Repo + "/" + i.Path + "/" + i.Name }

func ask(t testing.TB, s *standin.Server, text string) []aqlItem {
	t.Helper()
	resp, body := send(t, s, request{method: "POST", target: "/artifactory/api/search/aql", token: artifactorytest.Reader, body: text})
	require.Equal(t, 200, resp.StatusCode, body)
	var got struct{ Results []aqlItem }
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	return got.Results
}

// stepped is a clock that goes on by a step whenever it is asked, or stands still.
func stepped(step *time.Duration) func() time.Time {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	return func() time.Time { now = now.Add(*step); return now }
}

// Paging by any of the kept orders shows each item once, also while the repository changes behind the page.
func TestAQLPages(t *testing.T) {
	t.Parallel()
	const n = 300
	for _, sort := range []string{"", `.sort({"$asc":["modified"]})`, `.sort({"$desc":["modified","path","name"]})`, `.sort({"$asc":["created"]})`, `.sort({"$asc":["path","name"]})`, `.sort({"$desc":["size"]})`} {
		t.Run(sort, func(t *testing.T) {
			t.Parallel()
			step := time.Millisecond
			s := artifactorytest.Start(t, standin.Config{Now: stepped(&step)})
			for i := range n {
				if i > n/2 {
					step = 0 // many with one time
				}
				require.NoError(t, s.Put("ci", artifactorytest.Staging, fmt.Sprintf("d%d/%d", i%7, i), strings.NewReader(strings.Repeat("x", i%50)), nil))
			}
			var seen []string
			for offset := 0; ; offset += 40 {
				page := ask(t, s, fmt.Sprintf(`items.find({"repo":"libs-staging-local","type":"file"}).include("repo","path","name","size","modified","created")%s.offset(%d).limit(40)`, sort, offset))
				for _, i := range page {
					seen = append(seen, i.String())
				}
				if len(page) < 40 {
					break
				}
				put(t, s, artifactorytest.Release, fmt.Sprint(offset)) // elsewhere
			}
			require.Len(t, seen, n)
			slices.Sort(seen)
			require.Len(t, slices.Compact(seen), n)
		})
	}
}

// A cursor of the last time seen goes on where a page ended, also when items were overwritten, added and deleted.
func TestAQLCursor(t *testing.T) {
	t.Parallel()
	step := time.Millisecond
	s := artifactorytest.Start(t, standin.Config{Now: stepped(&step)})
	file := func(i int) string { return fmt.Sprintf("f%03d", i) }
	for i := range 100 {
		put(t, s, artifactorytest.Staging, file(i))
	}
	since, seen := "2000-01-01T00:00:00.000Z", map[string]int{}
	for round := 0; ; round++ {
		page := ask(t, s, `items.find({"repo":"libs-staging-local","type":"file","modified":{"$gt":"`+since+`"}}).include("repo","path","name","modified").sort({"$asc":["modified"]}).limit(10)`)
		if len(page) == 0 {
			break
		}
		for _, i := range page {
			seen[i.Name]++
		}
		since = page[len(page)-1].Modified
		if round == 2 {
			put(t, s, artifactorytest.Staging, file(5)) // comes again
			require.NoError(t, s.Delete("ci", artifactorytest.Staging, file(99)))
			put(t, s, artifactorytest.Staging, "late")
		}
	}
	require.Len(t, seen, 100)
	require.Equal(t, []int{2, 0, 1, 1}, []int{seen[file(5)], seen[file(99)], seen["late"], seen[file(50)]})
}

func TestAQLPropertyPages(t *testing.T) {
	t.Parallel()
	for quirk, want := range map[string][]string{
		"items": {"a:k=1,k=2,l=3", "b:", "c:m=4"}, // pages of two items
		"rows":  {"a:k=1,k=2", "a:l=3", "b:", "c:m=4"},
	} {
		s := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{PropertyPages: quirk}})
		for name, props := range map[string]map[string][]string{"a": {"k": {"1", "2"}, "l": {"3"}}, "b": nil, "c": {"m": {"4"}}} {
			require.NoError(t, s.Put("ci", artifactorytest.Staging, name, strings.NewReader(name), props))
		}
		var got []string
		for offset := 0; ; offset += 2 {
			page := ask(t, s, fmt.Sprintf(`items.find({"repo":"libs-staging-local"}).include("repo","path","name","property").sort({"$asc":["name"]}).offset(%d).limit(2)`, offset))
			if len(page) == 0 {
				break
			}
			for _, i := range page {
				var props []string
				for _, p := range i.Properties {
					props = append(props, p.Key+"="+p.Value)
				}
				got = append(got, i.Name+":"+strings.Join(props, ","))
			}
		}
		require.Equal(t, want, got)
	}
}

func TestServicesSearchByBuild(t *testing.T) {
	t.Parallel()
	s := works(t, standin.Quirks{})
	require.NoError(t, s.Put("ci", "other-release", "org/b", strings.NewReader("b"), nil)) // the same bytes, of no build
	got := names(search(t, client(t, s, artifactorytest.CI), func(p *services.SearchParams) { p.Pattern, p.Build = "libs-staging-local/*", "bld/7" }))
	require.Equal(t, []string{"libs-staging-local/org/a", "libs-staging-local/org/b"}, got)
}

func TestAQLOnVirtual(t *testing.T) {
	t.Parallel()
	s := classes(t, standin.Quirks{})
	status, body := query(t, s, artifactorytest.Reader, `items.find({"repo":"all"})`)
	require.Equal(t, 501, status, body)
	put(t, s, "b-local", "x y/z")
	require.Len(t, ask(t, s, `items.find({"repo":"b-local","path":"x y","name":"z"})`), 1)
	require.Empty(t, ask(t, s, `items.find({"$and":[{"repo":"b-local"},{"repo":"a-local"}]})`))
	require.Len(t, ask(t, s, `items.find({"$or":[{"path":"x y"},{"name":"z"},{"path":"x y"}]})`), 1)
}

// BenchmarkAQL pages through 200,000 items as a sweep does.
func BenchmarkAQL(b *testing.B) {
	const n, size = 200_000, 1000
	step := time.Millisecond
	s := artifactorytest.Start(b, standin.Config{Now: stepped(&step)})
	for i := range n {
		require.NoError(b, s.Put("ci", artifactorytest.Staging, fmt.Sprintf("org/app/%d/%d.tgz", i/100, i), strings.NewReader(fmt.Sprint(i)), map[string][]string{"hallmark.state": {"signed"}}))
	}
	const find = `items.find({"repo":"libs-staging-local","type":"file","name":{"$nmatch":"*.sigstore.json"}%s}).include("repo","path","name","sha256","size","modified","@hallmark.state")`
	b.Run("offset", func(b *testing.B) {
		before := cpu(b)
		for i := range b.N {
			require.NotEmpty(b, ask(b, s, fmt.Sprintf(find+`.sort({"$asc":["path","name"]}).offset(%d).limit(%d)`, "", i%(n/size)*size, size)))
		}
		b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
	})
	b.Run("cursor", func(b *testing.B) {
		before := cpu(b)
		since := "2000-01-01T00:00:00.000Z"
		for range b.N {
			page := ask(b, s, fmt.Sprintf(find+`.sort({"$asc":["modified"]}).limit(%d)`, `,"modified":{"$gt":"`+since+`"}`, size))
			if since = "2000-01-01T00:00:00.000Z"; len(page) > 0 {
				since = page[len(page)-1].Modified
			}
			put(b, s, artifactorytest.Staging, page[0].Path+"/"+page[0].Name+".sigstore.json") // as a sweep that repairs
		}
		b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
	})
	b.Run("one item", func(b *testing.B) {
		before := cpu(b)
		for i := range b.N {
			i %= n
			require.Len(b, ask(b, s, fmt.Sprintf(`items.find({"repo":"libs-staging-local","path":"org/app/%d","name":"%d.tgz"}).include("repo","path","name","sha256")`, i/100, i)), 1)
		}
		b.ReportMetric(float64(cpu(b)-before)/float64(b.N), "cpu-ns/op")
	})
}
