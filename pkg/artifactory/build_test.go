package artifactory_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

const buildStarted = "2026-11-21T21:26:55.486+0200" // 1795289215486

// part is an artifact as a build-info has it; digests may be anything.
type part struct {
	Name   string `json:"name,omitempty"`
	SHA1   any    `json:"sha1,omitempty"`
	SHA256 any    `json:"sha256,omitempty"`
}

// partOf is the honest entry of a file whose content is given.
func partOf(name, content string) part {
	s1, s256 := sha1.Sum([]byte(content)), sha256.Sum256([]byte(content))
	return part{name, hex.EncodeToString(s1[:]), hex.EncodeToString(s256[:])}
}

type published struct{ project, name, number, started string }

// publish stores a build-info with two modules.
func publish(t testing.TB, s *standin.Server, p published, parts ...part) {
	t.Helper()
	half := len(parts) / 2
	doc := map[string]any{
		"name": p.name, "number": p.number, "agent": map[string]string{"name": "test"}, "properties": map[string]any{"name": "trap", "modules": []any{1, nil, "x"}},
		"modules": []any{
			map[string]any{"id": "one", "artifacts": parts[:half], "dependencies": []part{partOf("dep", "dep")}},
			map[string]any{"id": "two", "artifacts": parts[half:]},
		},
		"started": p.started,
	}
	if p.started == "" {
		doc["started"] = buildStarted
	}
	body, err := json.Marshal(doc)
	require.NoError(t, err)
	target := "/artifactory/api/build"
	if p.project != "" {
		target += "?project=" + p.project
	}
	require.Equal(t, 204, call(t, s, http.MethodPut, target, string(body)))
}

// call sends a request as CI does.
func call(t testing.TB, s *standin.Server, method, target, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+target, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode
}

func buildPlace(t testing.TB, repo, path string) artifact.Ref {
	t.Helper()
	r, err := artifact.NewRef("main", repo, path)
	require.NoError(t, err)
	return r
}

const buildRepo = "artifactory-build-info"

// Every way in which an event, a person or the sweep may name a build leads to it, whatever the server understands.
func TestBuildIsFoundByAnyName(t *testing.T) {
	t.Parallel()
	names := []published{
		{name: "bld", number: "7"},
		{project: "fw", name: "bld", number: "7"},
		{name: "team/my build", number: "1:2"},
		{name: "größe + #5; \"x\" 100%", number: "2026-08-14"},
		{name: "it's", number: "v1.0-rc.1+b?3"},
		{name: "a&b=c@d", number: "1-2"},
	}
	for _, quirk := range []string{"time", "text"} {
		s := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{BuildStarted: quirk}})
		c := newClient(t, s.URL(), reader(t))
		for _, p := range names {
			publish(t, s, p, partOf("a", "content of "+p.project+p.name), partOf("b", "b"))
		}
		for _, p := range names {
			repo := buildRepo
			if p.project != "" {
				repo = p.project + "-build-info"
			}
			paths := []string{p.name + "/" + p.number + "-1795289215486.json", p.name + "/" + p.number}
			for _, stored := range s.Paths(repo) {
				f, _ := s.File(repo, stored)
				if f.Properties["build.name"][0] == p.name {
					paths = append(paths, stored)
				}
			}
			require.Len(t, paths, 3)
			for _, path := range paths {
				b, err := c.Build(t.Context(), buildPlace(t, repo, path))
				require.NoError(t, err, "%s: %s", quirk, path)
				require.Equal(t, []string{p.project, p.name, p.number}, []string{b.Project, b.Name, b.Number})
				require.EqualValues(t, 1795289215486, b.Started.UnixMilli())
				require.Len(t, b.Artifacts, 2)
				require.Equal(t, artifact.Digest(sha256.Sum256([]byte("content of "+p.project+p.name))), b.Artifacts[0].SHA256)
				require.Equal(t, "a", b.Artifacts[0].Name)
				require.Len(t, b.Artifacts[0].SHA1, 40)
				require.Empty(t, b.Promotions)
			}
			ref, err := c.BuildRef(t.Context(), p.project, p.name, p.number)
			require.NoError(t, err)
			require.Equal(t, buildPlace(t, repo, paths[0]), ref, "the place that events name")
			for _, r := range s.Requests() { // which run is the newest is read off the records, not left to the server
				require.False(t, quirk == "time" && r.Status == 200 && strings.Contains(r.Target, "/api/build/") && !strings.Contains(r.Target, "started="), r.Target)
			}
		}
	}
}

func TestBuildRuns(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	for i, at := range []string{"2026-11-21T19:00:00.000+0000", "2026-11-21T20:30:00.000+0200", "2026-11-21T18:00:00.000+0000"} {
		publish(t, s, published{name: "bld", number: "7", started: at}, partOf("a", strconv.Itoa(i)))
	}
	publish(t, s, published{name: "bld", number: "7-8", started: "2026-11-22T19:00:00.000+0000"})
	millis := func(text string) int64 {
		at, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return at.UnixMilli()
	}
	newest := millis("2026-11-21T19:00:00Z")
	ref, err := c.BuildRef(t.Context(), "", "bld", "7")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("bld/7-%d.json", newest), ref.Path)
	b, err := c.Build(t.Context(), buildPlace(t, buildRepo, "bld/7"))
	require.NoError(t, err)
	require.Equal(t, newest, b.Started.UnixMilli())
	for text, content := range map[string]string{"2026-11-21T18:30:00Z": "1", "2026-11-21T18:00:00Z": "2"} {
		b, err := c.Build(t.Context(), buildPlace(t, buildRepo, fmt.Sprintf("bld/7-%d.json", millis(text))))
		require.NoError(t, err)
		require.Equal(t, millis(text), b.Started.UnixMilli())
		require.Equal(t, partOf("a", content).SHA256, b.Artifacts[0].SHA256.String())
	}
	for _, path := range []string{"bld/7-1.json", "bld/8", "other/7", "bld/7-1795289215486.json.evd"} {
		_, err := c.Build(t.Context(), buildPlace(t, buildRepo, path))
		require.ErrorIs(t, err, artifact.ErrGone, path)
	}
	_, err = c.BuildRef(t.Context(), "fw", "bld", "7")
	require.ErrorIs(t, err, artifact.ErrGone)
	for repo, path := range map[string]string{testRepo: "bld/7", "-build-info": "bld/7", buildRepo: "7-1.json"} {
		_, err := c.Build(t.Context(), artifact.Ref{Repo: repo, Path: path})
		require.ErrorIs(t, err, artifactory.ErrPath, repo)
	}
	for _, name := range []string{"", ".", "..", "a\x00b"} {
		_, err := c.BuildRef(t.Context(), "", name, "7")
		require.ErrorIs(t, err, artifactory.ErrPath, "%q", name)
	}
	_, err = c.Build(t.Context(), artifact.Ref{Instance: "elsewhere", Repo: buildRepo, Path: "bld/7"})
	require.ErrorContains(t, err, `instance "elsewhere"`)
}

// A build-info says what CI wrote. What is no digest is none; nothing else suffers.
func TestBuildWithBadDigests(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	good := partOf("good", "x")
	sum, _ := good.SHA256.(string)
	publish(t, s, published{name: "bld", number: "7"},
		good, part{"upper", strings.ToUpper(good.SHA1.(string)), strings.ToUpper(sum)}, good, part{Name: "none"}, part{"short", "abc", "def"},
		part{"prefixed", "sha1:" + sum[:35], "sha256:" + sum[:57]}, part{"letters", strings.Repeat("g", 40), strings.Repeat("z", 64)},
		part{"swapped", sum, good.SHA1})
	b, err := c.Build(t.Context(), buildPlace(t, buildRepo, "bld/7"))
	require.NoError(t, err)
	require.Len(t, b.Artifacts, 8)
	for _, a := range b.Artifacts {
		whole := a.Name == "good" || a.Name == "upper"
		require.Equal(t, whole, !a.SHA256.IsZero(), a.Name)
		require.Equal(t, whole, a.SHA1 == good.SHA1, a.Name)
		require.True(t, whole || a.SHA1 == "", a.Name)
	}
}

func TestBuildHistory(t *testing.T) {
	t.Parallel()
	s, c := house(t, artifactorytest.Reader)
	publish(t, s, published{name: "bld", number: "7"})
	for _, body := range []string{
		`{"status":"tested","timestamp":"2026-11-22T10:00:00.000+0000","ciUser":"release-manager"}`,
		`{"status":"released","targetRepo":"libs-release-local","timestamp":"2026-11-22T13:00:00.000+0200"}`,
		`{"status":"late","timestamp":"2026-11-22T09:00:00.000+0000"}`,
	} {
		require.Equal(t, 200, call(t, s, http.MethodPost, "/artifactory/api/build/promote/bld/7", body))
	}
	b, err := c.Build(t.Context(), buildPlace(t, buildRepo, "bld/7"))
	require.NoError(t, err)
	at := func(hour int) time.Time { return time.Date(2026, 11, 22, hour, 0, 0, 0, time.UTC) }
	require.Equal(t, []artifact.BuildPromotion{
		{Status: "released", Repo: "libs-release-local", At: at(11), By: "ci"}, {Status: "tested", At: at(10), By: "ci"}, {Status: "late", At: at(9), By: "ci"},
	}, b.Promotions)
}

// A server or a proxy that answers about something else is not believed; one that fails now and then is asked again.
func TestBuildOfAnUnreliableServer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"another name":   `{"buildInfo":{"name":"other","number":"7","started":"` + buildStarted + `"}}`,
		"another number": `{"buildInfo":{"name":"bld","number":"8","started":"` + buildStarted + `"}}`,
		"another run":    `{"buildInfo":{"name":"bld","number":"7","started":"2026-11-21T21:26:55.487+0200"}}`,
	} {
		c := newClient(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }).URL)
		_, err := c.Build(t.Context(), buildPlace(t, buildRepo, "bld/7-1795289215486.json"))
		require.ErrorIs(t, err, artifactory.ErrOtherItem, name)
	}
	s, c := house(t, artifactorytest.Reader)
	var parts []part
	for i := range 3000 {
		parts = append(parts, partOf("file-"+strconv.Itoa(i), strconv.Itoa(i%1000)))
	}
	publish(t, s, published{name: "bld", number: "7"}, parts...)
	for _, f := range []standin.Fault{{Status: 503}, {Status: 429, RetryAfter: time.Second}, {Reset: true}, {Truncate: 1000}, {Truncate: 200_000}} {
		f.Path = "/artifactory/api/build/**"
		disarm := s.Fail(f)
		b, err := c.Build(t.Context(), buildPlace(t, buildRepo, "bld/7-1795289215486.json"))
		require.NoError(t, err)
		require.Equal(t, 1, disarm())
		require.Len(t, b.Artifacts, 3000, "no entry twice after an answer that broke off")
		require.Equal(t, "file-2999", b.Artifacts[2999].Name)
	}
	s.Fail(standin.Fault{Path: "/artifactory/api/build/**", Status: 503, Times: -1})
	_, err := newClient(t, s.URL(), reader(t), func(cfg *artifactory.Config) { cfg.Retries = -1 }).Build(t.Context(), buildPlace(t, buildRepo, "bld/7"))
	require.True(t, artifactory.Temporary(err), "%v", err)
}
