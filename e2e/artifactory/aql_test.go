package artifactory_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func query(t *testing.T, s *standin.Server, token, text string) (int, string) {
	t.Helper()
	resp, body := send(t, s, request{method: "POST", target: "/artifactory/api/search/aql", token: token, body: text})
	return resp.StatusCode, body
}

func searchable(t *testing.T, cfg standin.Config) *standin.Server {
	t.Helper()
	s := artifactorytest.Start(t, cfg)
	put := func(repo, path string, size int, props map[string][]string) {
		require.NoError(t, s.Put("ci", repo, path, strings.NewReader(strings.Repeat("x", size)), props))
	}
	put(artifactorytest.Staging, "root.bin", 1, nil)
	put(artifactorytest.Staging, "org/app/1/a.tgz", 30, map[string][]string{"sign.state": {"signed"}, "team": {"x", "y"}})
	put(artifactorytest.Staging, "org/app/1/a.tgz.sig", 5, nil)
	put(artifactorytest.Staging, "org/lib/b.jar", 20, map[string][]string{"sign.state": {"denied"}})
	put(artifactorytest.Release, "org/app/1/a.tgz", 30, nil)
	return s
}

func TestAQL(t *testing.T) {
	t.Parallel()
	s := searchable(t, standin.Config{})
	const root, tgz, sig, jar, rel = "libs-staging-local/./root.bin", "libs-staging-local/org/app/1/a.tgz", "libs-staging-local/org/app/1/a.tgz.sig",
		"libs-staging-local/org/lib/b.jar", "libs-release-local/org/app/1/a.tgz"
	tests := []struct {
		name, text string
		want       []string // sorted by repository, path, name unless the query sorts
	}{
		{"everything", `items.find()`, []string{rel, root, tgz, sig, jar}},
		{"equality", `items.find({"repo":"libs-staging-local","path":"org/lib"})`, []string{jar}},
		{"wildcards cross slashes", `items.find({"repo":"libs-staging-local","path":{"$match":"o*/?"}})`, []string{tgz, sig}},
		{"nmatch", `items.find({"repo":"libs-staging-local","name":{"$nmatch":"*.sig"},"path":{"$ne":"."}})`, []string{tgz, jar}},
		{"a repeated key counts each time", `items.find({"repo":"libs-staging-local","name":{"$match":"a*"},"name":{"$nmatch":"*.sig"}})`, []string{tgz}},
		{"numbers", `items.find({"repo":"libs-staging-local","size":{"$gt":1,"$lte":20}})`, []string{sig, jar}},
		{"numbers as text", `items.find({"size":"20"})`, []string{jar}},
		{"and of objects", `items.find({"$and":[{"repo":"libs-staging-local"},{"name":"a.tgz"}]})`, []string{tgz}},
		{"or of objects", `items.find({"repo":"libs-staging-local","$or":[{"name":"root.bin"},{"name":"b.jar"}]})`, []string{root, jar}},
		{"fields within an or are or-ed", `items.find({"repo":"libs-staging-local","$or":[{"name":"root.bin","path":"org/lib"}]})`, []string{root, jar}},
		{"and within an or", `items.find({"$or":[{"$and":[{"repo":"libs-staging-local","name":"a.tgz"}]}]})`, []string{tgz}},
		{"property", `items.find({"@sign.state":"signed"})`, []string{tgz}},
		{"any of several values", `items.find({"@team":{"$eq":"y"}})`, []string{tgz}},
		{"not equal finds those without", `items.find({"repo":"libs-staging-local","@sign.state":{"$ne":"signed"}})`, []string{root, sig, jar}},
		{"property nmatch", `items.find({"repo":"libs-staging-local","@sign.state":{"$nmatch":"s*"}})`, []string{root, sig, jar}},
		{"any property", `items.find({"@*":{"$match":"*"}})`, []string{tgz, jar}},
		{"sha256", `items.find({"sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"})`, []string{root}},
		{"time", `items.find({"repo":"libs-release-local","modified":{"$last":"2d"},"created":{"$gt":"2020-01-01"}})`, []string{rel}},
		{"old", `items.find({"modified":{"$before":"1minutes"}})`, nil},
		{"folders", `items.find({"type":"folder","repo":"libs-release-local","path":"org/app"})`, []string{"libs-release-local/org/app/1"}},
		{"any type", `items.find({"type":"any","path":"org/app/1"})`, []string{rel, tgz, sig}},
		{"sorted", "items.find({\"repo\":\"libs-staging-local\"})\n .include(\"repo\",\"path\",\"name\",\"size\")\n .sort({\"$desc\":[\"size\"]}).offset(1).limit(2)", []string{jar, sig}},
		{"sorted up", `items.find({"repo":"libs-staging-local"}).sort({"$asc":["size","name"]}).limit(2)`, []string{root, sig}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, body := query(t, s, artifactorytest.Reader, tt.text)
			require.Equal(t, 200, status, body)
			require.True(t, strings.HasPrefix(body, `{"results":`), "results come before range")
			var got struct {
				Results []struct{ Repo, Path, Name string }
				Range   struct{ Total int }
			}
			require.NoError(t, json.Unmarshal([]byte(body), &got))
			var names []string
			for _, r := range got.Results {
				names = append(names, r.Repo+"/"+r.Path+"/"+r.Name)
			}
			require.Equal(t, tt.want, names)
			require.Equal(t, len(tt.want), got.Range.Total)
		})
	}
}

func TestAQLRefusals(t *testing.T) {
	t.Parallel()
	s := searchable(t, standin.Config{})
	for _, tt := range []struct {
		name, text string
		status     int
	}{
		{"other domain", `builds.find()`, 501},
		{"unknown field", `items.find({"archive.entry.name":"x"})`, 501},
		{"unknown operator", `items.find({"$msp":[{"@a":"b"}]})`, 501},
		{"unknown comparator", `items.find({"name":{"$like":"x"}})`, 501},
		{"unknown clause", `items.find().transitive()`, 501},
		{"include of another domain", `items.find().include("repo","path","name","stat")`, 501},
		{"clauses out of order", `items.find().limit(1).offset(1)`, 400},
		{"clause twice", `items.find().limit(1).limit(1)`, 400},
		{"properties with limit", `items.find().include("repo","path","name","property").limit(1)`, 501},
		{"build by name alone", `items.find({"artifact.module.build.name":"x"})`, 501},
		{"two kinds of build", `items.find({"artifact.module.build.name":"x","dependency.module.build.number":"y"})`, 501},
		{"missing include", `items.find().include("name","repo")`, 400},
		{"sort by what is not included", `items.find().include("name","repo","path").sort({"$asc":["size"]})`, 400},
		{"no object", `items.find([])`, 400},
		{"broken object", `items.find({"name":"x")`, 400},
		{"two objects", `items.find({} {})`, 400},
		{"trailing text", `items.find() x`, 400},
		{"unclosed", `items.find({"name":"x"}`, 400},
		{"empty or", `items.find({"$or":[]})`, 400},
		{"match on numbers", `items.find({"size":{"$match":"1*"}})`, 400},
		{"bad number", `items.find({"size":"many"})`, 400},
		{"bad span", `items.find({"modified":{"$last":"2 fortnights"}})`, 400},
		{"too long", `items.find({"name":"` + strings.Repeat("x", 6000) + `"})`, 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, body := query(t, s, artifactorytest.Reader, tt.text)
			require.Equal(t, tt.status, status, body)
		})
	}
	t.Run("an administrator may leave out fields", func(t *testing.T) {
		t.Parallel()
		status, body := query(t, s, artifactorytest.Admin, `items.find({"repo":"libs-release-local"}).include("sha256")`)
		require.Equal(t, 200, status, body)
	})
}

func TestAQLSeesOnlyWhatTheCallerMayRead(t *testing.T) {
	t.Parallel()
	s := searchable(t, standin.Config{Tokens: []standin.Token{{Value: "t", User: "t", Rights: map[string]string{artifactorytest.Release: "r"}}}})
	_, body := query(t, s, "t", `items.find({"name":"a.tgz"})`)
	require.Contains(t, body, artifactorytest.Release)
	require.NotContains(t, body, artifactorytest.Staging)
}

// Three queries run at once. A fourth waits, then gets 429; when a slot is free again it is served.
func TestAQLThrottle(t *testing.T) {
	t.Parallel()
	s := searchable(t, standin.Config{Quirks: standin.Quirks{AQLWait: 50 * time.Millisecond}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	slow := make([]*io.PipeWriter, 3)
	answers := make(chan int, len(slow))
	for i := range slow {
		r, w := io.Pipe()
		slow[i] = w
		go func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL()+"/artifactory/api/search/aql", r)
			if err != nil {
				answers <- 0
				return
			}
			req.Header.Set("Authorization", "Bearer "+artifactorytest.Reader)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				answers <- 0
				return
			}
			_ = resp.Body.Close()
			answers <- resp.StatusCode
		}()
		_, err := w.Write([]byte("items.")) // returns when the transport has taken it
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		status, _ := query(t, s, artifactorytest.Reader, `items.find()`)
		return status == 429
	}, 10*time.Second, 10*time.Millisecond)
	for _, w := range slow {
		_, err := w.Write([]byte("find()"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	for range slow {
		require.Equal(t, 200, <-answers)
	}
	status, _ := query(t, s, artifactorytest.Reader, `items.find()`)
	require.Equal(t, 200, status)
}
