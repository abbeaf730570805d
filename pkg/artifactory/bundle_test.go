package artifactory_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

// suite is a server with one release bundle of two files, and a client.
type suite struct {
	t      *testing.T
	server *standin.Server
	client *artifactory.Client
	ref    artifact.Ref
}

var bundledPaths = []string{"app/1 2/ü+#&.tgz", "app/b.tgz"}

func newSuite(t *testing.T, project string, cfg standin.Config) *suite {
	t.Helper()
	wide := artifactorytest.Wide()
	cfg.Repositories, cfg.Environments = wide.Repositories, wide.Environments
	s := &suite{t: t, server: artifactorytest.Start(t, cfg)}
	s.client = s.as(artifactorytest.CI)
	var sources []map[string]string
	for _, p := range bundledPaths {
		require.NoError(t, s.server.Put("ci", artifactorytest.Staging, p, strings.NewReader(p), nil))
		sources = append(sources, map[string]string{"path": artifactorytest.Staging + "/" + p})
	}
	query := "?async=false"
	if project != "" {
		query += "&project=" + project
	}
	s.post("/lifecycle/api/v2/release_bundle"+query, map[string]any{
		"release_bundle_name": "gateway-suite", "release_bundle_version": "2026.8.1", "source_type": "artifacts", "source": map[string]any{"artifacts": sources},
	}, http.StatusCreated)
	var err error
	s.ref, err = s.client.BundleRef(project, "gateway-suite", "2026.8.1")
	require.NoError(t, err)
	return s
}

func (s *suite) as(token string) *artifactory.Client {
	return newClient(s.t, s.server.URL(), func(cfg *artifactory.Config) { cfg.Token, cfg.Retries = secret(s.t, token), 1 })
}

// send is a call of somebody else, with all rights.
func (s *suite) send(method, target string, body any) (int, string) {
	s.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(s.t, err)
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL()+target, strings.NewReader(string(raw)))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.Admin)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, string(said)
}

func (s *suite) post(target string, body any, want int) {
	s.t.Helper()
	status, said := s.send(http.MethodPost, target, body)
	require.Equal(s.t, want, status, said)
}

func (s *suite) bundle() artifact.Bundle {
	s.t.Helper()
	b, err := s.client.Bundle(s.t.Context(), s.ref)
	require.NoError(s.t, err)
	return b
}

func (s *suite) drop() {
	status, said := s.send(http.MethodDelete, "/lifecycle/api/v2/release_bundle/records/gateway-suite/2026.8.1?async=false", nil)
	require.Equal(s.t, http.StatusNoContent, status, said)
}

func TestBundleRef(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1")
	ref, err := c.BundleRef("", "gateway-suite", "2026.8.1")
	require.NoError(t, err)
	require.Equal(t, "release-bundles-v2/gateway-suite/2026.8.1/release-bundle.json.evd", ref.String())
	ref, err = c.BundleRef("fw", "n", "v")
	require.NoError(t, err)
	require.Equal(t, "fw-release-bundles-v2/n/v/release-bundle.json.evd", ref.String())
	for _, bad := range [][3]string{{"", "", "v"}, {"", "n", ""}, {"", "n/m", "v"}, {"", "n", "../v"}, {"", "..", "v"}, {"a/b", "n", "v"}, {"", "n\x00", "v"}} {
		_, err := c.BundleRef(bad[0], bad[1], bad[2])
		require.ErrorIs(t, err, artifactory.ErrPath, "%q", bad)
	}
	for _, bad := range []string{
		"libs/n/v/release-bundle.json.evd", "release-bundles-v2/n/v/other", "release-bundles-v2/n/release-bundle.json.evd",
		"xrelease-bundles-v2/n/v/release-bundle.json.evd", "release-bundles-v2/n/v/artifacts/release-bundle.json.evd",
	} {
		ref, err := artifact.ParseRef("main", bad)
		require.NoError(t, err)
		_, err = c.Bundle(t.Context(), ref)
		require.ErrorIs(t, err, artifactory.ErrPath, bad)
	}
}

func TestBundle(t *testing.T) {
	t.Parallel()
	for _, project := range []string{"", "fw"} {
		s := newSuite(t, project, standin.Config{})
		b := s.bundle()
		require.Equal(t, []string{"gateway-suite", "2026.8.1", project, "COMPLETED"}, []string{b.Name, b.Version, b.Project, b.Status})
		require.Empty(t, b.Promotions)
		require.Len(t, b.Contents, len(bundledPaths))
		for i, x := range b.Contents {
			require.Equal(t, artifactorytest.Staging+"/"+bundledPaths[i], x.Ref.String())
			require.Equal(t, artifact.Digest(sha256.Sum256([]byte(bundledPaths[i]))), x.SHA256)
		}
		require.NoError(t, s.client.PromoteBundle(t.Context(), b, artifactorytest.Production, []string{artifactorytest.Release}, false))
		require.NoError(t, s.server.Delete("ci", artifactorytest.Release, bundledPaths[0]))
		require.NoError(t, s.server.Delete("ci", artifactorytest.Release, bundledPaths[1]))
		require.NoError(t, s.client.PromoteBundle(t.Context(), b, artifactorytest.Production, nil, false))
		b = s.bundle()
		require.Len(t, b.Promotions, 1)
		require.Equal(t, []string{artifactorytest.Production, "COMPLETED"}, []string{b.Promotions[0].Environment, b.Promotions[0].Status})
		require.False(t, b.Promotions[0].At.IsZero())
	}
}

// A bundle can be deleted between any two requests about it.
func TestBundleGone(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"/lifecycle/api/v2/promotion/records/**", "/lifecycle/api/v2/release_bundle/statuses/**", "/lifecycle/api/v2/release_bundle/records/**"} {
		s := newSuite(t, "", standin.Config{})
		s.server.Fail(standin.Fault{Method: http.MethodGet, Path: at, Do: func(*http.Request) { s.drop() }})
		_, err := s.client.Bundle(t.Context(), s.ref)
		require.ErrorIs(t, err, artifact.ErrGone, at)
	}
	s := newSuite(t, "", standin.Config{})
	_, err := s.as("nobody's").Bundle(t.Context(), s.ref)
	require.ErrorContains(t, err, "401")
	for _, f := range []standin.Fault{{Status: http.StatusBadGateway}, {Reset: true}, {Truncate: 40}} {
		f.Method, f.Path = http.MethodGet, "/lifecycle/api/v2/release_bundle/records/**"
		disarm := s.server.Fail(f)
		require.Len(t, s.bundle().Contents, len(bundledPaths))
		require.Equal(t, 1, disarm())
	}
}

// records answers every question about a bundle, the one about its contents with body.
func records(t testing.TB, body string) (*artifactory.Client, artifact.Ref) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, "/promotion/records/"):
			_, _ = io.WriteString(w, `{"promotions":[]}`)
		case strings.Contains(r.URL.Path, "/release_bundle/statuses/"):
			_, _ = io.WriteString(w, `{"status":"completed"}`)
		default:
			_, _ = io.WriteString(w, body)
		}
	}))
	t.Cleanup(srv.Close)
	c := newClient(t, srv.URL, func(cfg *artifactory.Config) { cfg.Retries = -1 })
	ref, err := c.BundleRef("", "n", "v")
	require.NoError(t, err)
	return c, ref
}

func TestBundleStrangeRecords(t *testing.T) {
	t.Parallel()
	entry := func(path, checksum string) string {
		return fmt.Sprintf(`{"path":%q,"checksum":%q,"source_repository_key":"libs","size":1,"properties":[{"key":"k","values":["v"]}]}`, path, checksum)
	}
	sum := strings.Repeat("AB", 32)
	for name, c := range map[string]struct {
		body  string
		count int
		want  string
	}{
		"empty":               {`{"artifacts":[]}`, 0, ""},
		"extra members":       {`{"x":{"artifacts":[1]},"artifacts":[` + entry("a", sum) + `],"y":[[]]}`, 1, ""},
		"leading slash":       {`{"artifacts":[` + entry("/a", "sha256:"+sum) + `]}`, 1, ""},
		"checksum of SHA-1":   {`{"artifacts":[` + entry("a", sum[:40]) + `]}`, 1, ""},
		"no artifacts":        {`{}`, 0, "lists no artifacts"},
		"null":                {`null`, 0, "not a JSON object"},
		"artifacts no list":   {`{"artifacts":{}}`, 0, "not a list"},
		"entry no object":     {`{"artifacts":["a"]}`, 0, "contents"},
		"no repository":       {`{"artifacts":[{"path":"a","checksum":"` + sum + `"}]}`, 0, "repository name is empty"},
		"leaves its place":    {`{"artifacts":[` + entry("../../a", sum) + `]}`, 0, "segment"},
		"cut":                 {`{"artifacts":[` + entry("a", sum), 0, "contents"},
		"a page of somebody":  {`<html>`, 0, "contents"},
		"one huge entry":      {`{"artifacts":[{"path":"` + strings.Repeat("x", 5<<20) + `"}]}`, 0, "larger than allowed"},
		"one huge other":      {`{"x":"` + strings.Repeat("x", 5<<20) + `","artifacts":[]}`, 0, "larger than allowed"},
		"large in total":      {`{"artifacts":[` + strings.Repeat(`{"path":"a","source_repository_key":"libs","x":"`+strings.Repeat("x", 1<<10)+`"},`, 9000) + entry("a", sum) + `]}`, 9001, ""},
		"too many":            {`{"artifacts":[` + strings.Repeat(`{"path":"a","source_repository_key":"l"},`, 100_000) + entry("a", sum) + `]}`, 0, "more than 100000"},
		"many, just allowed":  {`{"artifacts":[` + strings.Repeat(`{"path":"a","source_repository_key":"l"},`, 99_999) + entry("a", sum) + `]}`, 100_000, ""},
		"nested without end":  {`{"x":` + strings.Repeat("[", 100_000), 0, "contents"},
		"case of the members": {`{"Artifacts":[` + entry("a", sum) + `]}`, 0, "lists no artifacts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, ref := records(t, c.body)
			b, err := client.Bundle(t.Context(), ref)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				require.Zero(t, b)
				return
			}
			require.NoError(t, err)
			require.Len(t, b.Contents, c.count)
			require.Equal(t, "COMPLETED", b.Status)
			if c.count == 1 {
				require.Equal(t, "libs/a", b.Contents[0].Ref.String())
				require.Equal(t, strings.Contains(c.body, sum), !b.Contents[0].SHA256.IsZero())
			}
		})
	}
}

// FuzzBundle: whatever the record says, what is returned lies in repositories and is bounded.
func FuzzBundle(f *testing.F) {
	for _, s := range []string{
		`{"artifacts":[{"path":"a/b","checksum":"` + strings.Repeat("ab", 32) + `","source_repository_key":"libs","properties":[]}]}`,
		`{"artifacts":[{"path":"../b","source_repository_key":"libs"}]}`, `{"artifacts":[[]]}`, `{`, `[]`, `{"a":1,"artifacts":[],"artifacts":[]}`,
	} {
		f.Add(s)
	}
	var body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, body) // the same for promotions and status, which must bear it, too
	}))
	f.Cleanup(srv.Close)
	c := newClient(f, srv.URL, func(cfg *artifactory.Config) { cfg.Retries = -1 })
	ref, err := c.BundleRef("", "n", "v")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, s string) {
		body = strings.Replace(s, "{", `{"status":"COMPLETED",`, 1)
		b, err := c.Bundle(t.Context(), ref)
		if err != nil {
			require.Zero(t, b)
			return
		}
		for _, x := range b.Contents {
			_, err := artifact.NewRef("main", x.Ref.Repo, x.Ref.Path)
			require.NoError(t, err)
		}
	})
}
