package artifactory_test

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	buildinfo "github.com/jfrog/build-info-go/entities"
	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

const started = "2026-11-21T19:26:55.486+0000" // 1795289215486

func sha1Of(content string) string {
	sum := sha1.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

// info is a build-info whose artifacts have their own name as content.
func info(name, number string, artifacts ...string) *buildinfo.BuildInfo {
	m := buildinfo.Module{Type: buildinfo.Generic, Id: name}
	for _, a := range artifacts {
		m.Artifacts = append(m.Artifacts, buildinfo.Artifact{Name: a, Path: "org/" + a, Checksum: buildinfo.Checksum{Sha1: sha1Of(a)}})
	}
	return &buildinfo.BuildInfo{Name: name, Number: number, Started: started, Agent: &buildinfo.Agent{Name: "test"}, Modules: []buildinfo.Module{m}}
}

// built puts a build's artifacts, and a file beside each, into the staging repository and publishes the build-info.
func built(t *testing.T, s *standin.Server, project, name, number string, artifacts ...string) {
	t.Helper()
	for _, a := range artifacts {
		props := map[string][]string{"build.name": {name}, "build.number": {number}, "team": {"x"}}
		require.NoError(t, s.Put("ci", artifactorytest.Staging, "org/"+a, strings.NewReader(a), props))
		require.NoError(t, s.Put("ci", artifactorytest.Staging, "org/"+a+".sig", strings.NewReader("signature of "+a), nil))
	}
	_, err := client(t, s, artifactorytest.CI).PublishBuildInfo(info(name, number, artifacts...), project)
	require.NoError(t, err)
}

func promotion(number string, change func(*services.PromotionParams)) services.PromotionParams {
	p := services.NewPromotionParams()
	p.BuildName, p.BuildNumber, p.TargetRepo, p.Status, p.Copy, p.FailFast = "bld", number, artifactorytest.Release, "released", true, true
	if change != nil {
		change(&p)
	}
	return p
}

func sortedPaths(s *standin.Server, repo string) []string {
	out := s.Paths(repo)
	slices.Sort(out)
	return out
}

func TestServicesBuildInfo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ project, name, number, repo, path string }{
		{"", "bld", "7", "artifactory-build-info", "bld/7-1795289215486.json"},
		{"fw", "bld", "7", "fw-build-info", "bld/7-1795289215486.json"},
		{"", "team/my build", "1:2", "artifactory-build-info", "team%2Fmy build/1%3A2-1795289215486.json"},
	} {
		t.Run(tt.project+tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{})
			m := client(t, s, artifactorytest.CI)
			want := info(tt.name, tt.number, "a.tgz", "b.tgz")
			summary, err := m.PublishBuildInfo(want, tt.project)
			require.NoError(t, err)
			f, ok := s.File(tt.repo, tt.path)
			require.True(t, ok, "%v", s.Paths(tt.repo))
			require.Equal(t, f.SHA256, summary.GetSha256())
			got, found, err := m.GetBuildInfo(services.BuildInfoParams{BuildName: tt.name, BuildNumber: tt.number, ProjectKey: tt.project})
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, *want, got.BuildInfo)
			_, found, err = m.GetBuildInfo(services.BuildInfoParams{BuildName: tt.name, BuildNumber: "8", ProjectKey: tt.project})
			require.NoError(t, err)
			require.False(t, found)
			runs, found, err := m.GetBuildRuns(services.BuildInfoParams{BuildName: url.PathEscape(tt.name), ProjectKey: tt.project})
			if !strings.Contains(tt.name, "/") { // the library cannot ask for the runs of such a name
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, []buildinfo.BuildRun{{Uri: "/" + tt.number, Started: started}}, runs.BuildsNumbers)
			}
			require.NoError(t, m.DeleteBuildInfo(want, tt.project, 1))
			_, found, err = m.GetBuildInfo(services.BuildInfoParams{BuildName: tt.name, BuildNumber: tt.number, ProjectKey: tt.project})
			require.NoError(t, err)
			require.False(t, found)
			require.Empty(t, s.Paths(tt.repo))
		})
	}
}

func TestLatestBuild(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	m := client(t, s, artifactorytest.CI)
	for i, at := range []string{"2026-11-21T19:00:00.000+0000", "2026-11-21T19:30:00.000+0200", "2026-11-21T18:00:00.000+0000"} {
		b := info("bld", fmt.Sprint(i/2), "a")
		b.Started = at
		_, err := m.PublishBuildInfo(b, "")
		require.NoError(t, err)
	}
	got, found, err := m.GetBuildInfo(services.BuildInfoParams{BuildName: "bld", BuildNumber: "0"})
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, "2026-11-21T19:00:00.000+0000", got.BuildInfo.Started, "by time, not by order of arrival")
	_, body := send(t, s, request{method: "GET", target: "/artifactory/api/build/bld/0?started=2026-11-21T19:30:00.000%2B0200", token: artifactorytest.Reader})
	require.Contains(t, body, `"started":"2026-11-21T19:30:00.000+0200"`)
	utc := request{method: "GET", target: "/artifactory/api/build/bld/0?started=2026-11-21T17:30:00.000%2B0000", token: artifactorytest.Reader}
	_, body = send(t, s, utc)
	require.Contains(t, body, `"started":"2026-11-21T19:30:00.000+0200"`, "the same moment in another zone")
	require.NoError(t, s.SetQuirks(standin.Quirks{BuildStarted: "text"}))
	resp, _ := send(t, s, utc)
	require.Equal(t, 404, resp.StatusCode)
	resp, _ = send(t, s, request{method: "GET", target: "/artifactory/api/build/bld/0?started=yesterday", token: artifactorytest.Reader})
	require.Equal(t, 400, resp.StatusCode)
	require.Len(t, s.Paths("artifactory-build-info"), 3)
	resp, _ = send(t, s, request{method: "DELETE", target: "/artifactory/artifactory-build-info/bld/0-1.json", token: artifactorytest.CI})
	require.Contains(t, []int{403, 404}, resp.StatusCode)
	resp, _ = send(t, s, request{method: "PUT", target: "/artifactory/artifactory-build-info/bld/0-1.json", token: artifactorytest.CI, body: "{}"})
	require.Equal(t, 403, resp.StatusCode)
}

func TestServicesPromoteBuild(t *testing.T) {
	t.Parallel()
	type want struct {
		ok              bool
		staging, target []string
	}
	all := []string{"org/a", "org/a.sig", "org/b", "org/b.sig", "twice/a"}
	for _, tt := range []struct {
		name   string
		token  string
		quirks standin.Quirks
		before func(t *testing.T, s *standin.Server)
		change func(*services.PromotionParams)
		want   want
	}{
		{name: "copy", want: want{true, all, []string{"org/a", "org/b", "twice/a"}}},
		{name: "move", change: func(p *services.PromotionParams) { p.Copy = false }, want: want{true, []string{"org/a.sig", "org/b.sig"}, []string{"org/a", "org/b", "twice/a"}}},
		{name: "only one of the same content", quirks: standin.Quirks{SameContent: "one"}, want: want{true, all, []string{"org/a", "org/b"}}},
		{name: "from another repository", change: func(p *services.PromotionParams) { p.SourceRepo = artifactorytest.Release }, want: want{false, all, nil}},
		{name: "skip what is missing", quirks: standin.Quirks{MissingArtifact: "skip"}, change: func(p *services.PromotionParams) { p.SourceRepo = artifactorytest.Release }, want: want{true, all, nil}},
		{name: "without the properties", before: func(t *testing.T, s *standin.Server) {
			require.NoError(t, s.Put("ci", artifactorytest.Staging, "org/b", strings.NewReader("b"), nil))
		}, want: want{false, all, []string{"org/a", "twice/a"}}},
		{name: "rewritten", before: func(t *testing.T, s *standin.Server) {
			require.NoError(t, s.Put("ci", artifactorytest.Staging, "org/b", strings.NewReader("b signed"), map[string][]string{"build.name": {"bld"}, "build.number": {"7"}}))
		}, want: want{false, all, []string{"org/a", "twice/a"}}},
		{name: "not permitted", token: artifactorytest.Annotator, want: want{false, all, nil}},
		{name: "move without delete", token: artifactorytest.Signer, change: func(p *services.PromotionParams) { p.Copy = false }, want: want{false, all, nil}},
		{name: "target taken", token: artifactorytest.Signer, before: func(t *testing.T, s *standin.Server) {
			require.NoError(t, s.Put("ci", artifactorytest.Release, "org/b", strings.NewReader("other"), nil))
		}, want: want{false, all, []string{"org/a", "org/b", "twice/a"}}},
		{name: "target taken, all or nothing", token: artifactorytest.Signer, quirks: standin.Quirks{PromotionAbort: "none"}, before: func(t *testing.T, s *standin.Server) {
			require.NoError(t, s.Put("ci", artifactorytest.Release, "org/b", strings.NewReader("other"), nil))
		}, want: want{false, all, []string{"org/b"}}},
		{name: "target has the same", token: artifactorytest.Signer, quirks: standin.Quirks{SameBytes: "allow"}, before: func(t *testing.T, s *standin.Server) {
			require.NoError(t, s.Put("ci", artifactorytest.Release, "org/b", strings.NewReader("b"), nil))
		}, want: want{true, all, []string{"org/a", "org/b", "twice/a"}}},
		{name: "go on after a failure", token: artifactorytest.Signer, before: func(t *testing.T, s *standin.Server) {
			require.NoError(t, s.Put("ci", artifactorytest.Release, "org/a", strings.NewReader("other"), nil))
		}, change: func(p *services.PromotionParams) { p.FailFast = false }, want: want{true, all, []string{"org/a", "org/b", "twice/a"}}},
		{name: "status alone", change: func(p *services.PromotionParams) { p.TargetRepo = "" }, want: want{true, all, nil}},
		{name: "unknown target", change: func(p *services.PromotionParams) { p.TargetRepo = "nowhere" }, want: want{false, all, nil}},
		{name: "unknown build", change: func(p *services.PromotionParams) { p.BuildNumber = "8" }, want: want{false, all, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{Quirks: tt.quirks})
			built(t, s, "", "bld", "7", "a", "b")
			require.NoError(t, s.Put("ci", artifactorytest.Staging, "twice/a", strings.NewReader("a"), map[string][]string{"build.name": {"bld"}, "build.number": {"7"}}))
			if tt.before != nil {
				tt.before(t, s)
			}
			token := tt.token
			if token == "" {
				token = artifactorytest.CI
			}
			params := promotion("7", tt.change)
			params.Properties = "lane=release,second"
			err := client(t, s, token).PromoteBuild(params)
			require.Equal(t, tt.want.ok, err == nil, "%v", err)
			require.Equal(t, tt.want.staging, sortedPaths(s, artifactorytest.Staging))
			require.Equal(t, tt.want.target, sortedPaths(s, artifactorytest.Release))
			_, body := send(t, s, request{method: "GET", target: "/artifactory/api/build/bld/7", token: artifactorytest.Reader})
			require.Equal(t, tt.want.ok, strings.Contains(body, `"statuses":[{"status":"released"`), body)
			if f, ok := s.File(artifactorytest.Release, "org/a"); ok && err == nil && f.CreatedBy != "ci" || tt.name == "copy" {
				require.Equal(t, []string{"release", "second"}, f.Properties["lane"])
			}
		})
	}
}

// A failure half way leaves what was carried; a second run completes it.
func TestPromotionHalfWay(t *testing.T) {
	t.Parallel()
	for _, copying := range []bool{true, false} {
		s := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{SameBytes: "allow"}})
		built(t, s, "", "bld", "7", "a", "b", "c")
		s.Interrupt(func(from, _ string) error {
			if strings.HasSuffix(from, "/b") {
				return errors.New("disk full")
			}
			return nil
		})
		m := client(t, s, artifactorytest.CI)
		p := promotion("7", func(p *services.PromotionParams) { p.Copy = copying })
		require.Error(t, m.PromoteBuild(p))
		require.Equal(t, []string{"org/a"}, sortedPaths(s, artifactorytest.Release))
		s.Interrupt(nil)
		require.NoError(t, m.PromoteBuild(p))
		require.Equal(t, []string{"org/a", "org/b", "org/c"}, sortedPaths(s, artifactorytest.Release))
	}
}

func TestPromotionAnswers(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	built(t, s, "fw", "my build", "7", "a")
	post := func(target, body string) (int, string) {
		resp, got := send(t, s, request{method: "POST", target: "/artifactory/api/build/promote/" + target, token: artifactorytest.CI, body: body})
		return resp.StatusCode, got
	}
	for _, tt := range []struct {
		name, target, body string
		status             int
	}{
		{"dry run", "my%20build/7?project=fw", `{"targetRepo":"libs-release-local","dryRun":true}`, 200},
		{"plus for a space", "my+build/7?project=fw", `{"targetRepo":"libs-release-local","dryRun":true}`, 200},
		{"other project", "my%20build/7", `{"targetRepo":"libs-release-local"}`, 404},
		{"unknown field", "my%20build/7?project=fw", `{"colour":"red"}`, 400},
		{"bad timestamp", "my%20build/7?project=fw", `{"timestamp":"today"}`, 400},
		{"status", "my%20build/7?project=fw", `{"status":"tested","timestamp":"2026-08-14T12:10:00.000+0000","ciUser":"bot","comment":"fine"}`, 200},
		{"timestamp again", "my%20build/7?project=fw", `{"status":"tested","timestamp":"2026-08-14T12:10:00.000+0000"}`, 400},
	} {
		status, got := post(tt.target, tt.body)
		require.Equal(t, tt.status, status, "%s: %s", tt.name, got)
		require.Empty(t, s.Paths(artifactorytest.Release), tt.name)
	}
	status, _ := post("my%20build/7?project=fw", `{"status":"released","targetRepo":"libs-release-local"}`)
	require.Equal(t, 200, status)
	require.Equal(t, []string{"org/a.sig"}, s.Paths(artifactorytest.Staging), "moving is the default")
	_, body := send(t, s, request{method: "GET", target: "/artifactory/api/build/my%20build/7?project=fw", token: artifactorytest.Reader})
	var got struct {
		BuildInfo struct {
			Statuses []struct{ Status, Repository, User, CIUser, Comment, Timestamp string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Len(t, got.BuildInfo.Statuses, 2)
	require.Equal(t, "bot", got.BuildInfo.Statuses[0].CIUser)
	require.Equal(t, []string{"released", "libs-release-local", "ci"}, []string{got.BuildInfo.Statuses[1].Status, got.BuildInfo.Statuses[1].Repository, got.BuildInfo.Statuses[1].User})
}

// A promotion that is to carry nothing changes the history alone, whatever becomes of its target.
func TestEmptyPromotion(t *testing.T) {
	t.Parallel()
	for quirk, want := range map[string]struct {
		status  int
		history string
	}{
		"":        {200, `"status":"released","repository":"libs-release-local"`},
		"without": {200, `"status":"released","timestamp"`},
		"refuse":  {400, ""},
	} {
		s := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{EmptyPromotion: quirk}})
		built(t, s, "", "bld", "7", "a")
		resp, _ := send(t, s, request{method: "POST", target: "/artifactory/api/build/promote/bld/7", token: artifactorytest.CI, body: `{"status":"released","targetRepo":"libs-release-local","artifacts":false}`})
		require.Equal(t, want.status, resp.StatusCode, quirk)
		require.Empty(t, s.Paths(artifactorytest.Release), quirk)
		_, body := send(t, s, request{method: "GET", target: "/artifactory/api/build/bld/7", token: artifactorytest.Reader})
		require.Equal(t, want.history != "", strings.Contains(body, `"statuses"`), quirk)
		require.Contains(t, body, want.history, quirk)
	}
}

func TestDeliveryOfBuilds(t *testing.T) {
	t.Parallel()
	for quirk, files := range map[string][]string{"all": {"copied libs-staging-local/org/a"}, "promoted": nil} {
		s, r, items := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{PromotionEvents: quirk, ServiceFiles: "silent"}}), newReceiver(t), newReceiver(t)
		sub := subscription(r)
		sub.Key, sub.EventFilter = "builds", standin.EventFilter{Domain: "build", EventTypes: []string{"uploaded", "promoted", "deleted"}, Criteria: standin.Criteria{SelectedBuilds: []string{"bld"}}}
		require.NoError(t, s.AddSubscription(sub))
		sub = subscription(items)
		sub.EventFilter.EventTypes = []string{"copied"}
		require.NoError(t, s.AddSubscription(sub))
		built(t, s, "fw", "bld", "7", "a")
		built(t, s, "", "other", "7", "b")
		m := client(t, s, artifactorytest.CI)
		require.NoError(t, m.PromoteBuild(promotion("7", func(p *services.PromotionParams) { p.ProjectKey = "fw" })))
		require.NoError(t, m.DeleteBuildInfo(info("bld", "7"), "fw", 1))
		delivered(t, s)
		var got []string
		for _, g := range r.received() {
			var p struct {
				EventType string `json:"event_type"`
				Data      json.RawMessage
			}
			require.NoError(t, json.Unmarshal([]byte(g.body), &p))
			require.Equal(t, `{"build_name":"bld","build_number":"7","build_started":"`+started+`","build_repo":"fw-build-info"}`, string(p.Data))
			got = append(got, p.EventType)
		}
		require.ElementsMatch(t, []string{"uploaded", "promoted", "deleted"}, got)
		require.Equal(t, files, items.events(t))
	}
}
