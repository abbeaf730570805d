package facts_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

const (
	staging    = artifactorytest.Staging
	release    = artifactorytest.Release
	inProject  = "fw-local" // a repository of the project "fw"
	identities = "token-identities"
	file       = "app/1.0/app.tgz"
	everything = policy.NeedProperties | policy.NeedProject | policy.NeedBuild | policy.NeedActors | policy.NeedGroups | policy.NeedRepositories | policy.NeedSignatures
)

// rig is a gatherer over a stand-in server and a ledger.
type rig struct {
	*facts.Gatherer
	t      *testing.T
	art    *standin.Server
	client *artifactory.Client
}

func newRig(t *testing.T, token string, quirks standin.Quirks) *rig {
	t.Helper()
	cfg := artifactorytest.Wide()
	cfg.Quirks = quirks
	cfg.Repositories = append(cfg.Repositories, standin.Repository{Key: inProject, Project: "fw"})
	cfg.Tokens = []standin.Token{{Value: identities, User: "hallmark", Identities: true, Rights: map[string]string{"*": "r"}}}
	cfg.Users = []standin.User{{Name: "ci", Groups: []string{"release-engineers", "ci"}}, {Name: "mallory"}}
	s := artifactorytest.Start(t, cfg)
	secret := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(secret, []byte(token), 0o600))
	client, err := artifactory.New(artifactory.Config{Name: "main", URL: s.URL(), Token: artifactory.SecretFile{File: secret}, Retries: -1},
		artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &rig{t: t, art: s, client: client, Gatherer: &facts.Gatherer{
		Instances: map[string]*artifactory.Client{"main": client}, Ledger: ledgertest.Open(t, ledger.SQLite),
	}}
}

func (r *rig) put(by, repo, path, content string, props map[string][]string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Put(by, repo, path, strings.NewReader(content), props))
}

// gather looks up what is needed about a file as it is now.
func (r *rig) gather(needs policy.Needs, repo, path string) (policy.Facts, error) {
	r.t.Helper()
	info, err := r.client.Info(r.t.Context(), artifact.Ref{Instance: "main", Repo: repo, Path: path})
	require.NoError(r.t, err)
	return r.Gather(r.t.Context(), needs, artifact.Subject{Kind: artifact.KindFile, Info: info}, artifact.Subject{})
}

func (r *rig) facts(needs policy.Needs, repo, path string) policy.Facts {
	r.t.Helper()
	f, err := r.gather(needs, repo, path)
	require.NoError(r.t, err)
	require.Equal(r.t, needs, f.Known)
	return f
}

// post sends a request as somebody.
func (r *rig) post(token, method, target, body string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.art.URL()+target, strings.NewReader(body))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	require.Less(r.t, resp.StatusCode, 300, "%s", text)
}

// listing is an artifact in a build-info.
type listing struct{ content, sha1, sha256 string }

func of(content string) listing {
	s1, s256 := sha1.Sum([]byte(content)), sha256.Sum256([]byte(content))
	return listing{content, hex.EncodeToString(s1[:]), hex.EncodeToString(s256[:])}
}

// publish publishes a build that lists artifacts.
func (r *rig) publish(project, name, number string, started time.Time, listed ...listing) {
	r.t.Helper()
	artifacts := []map[string]string{}
	for _, l := range listed {
		artifacts = append(artifacts, map[string]string{"name": "app.tgz", "sha1": l.sha1, "sha256": l.sha256})
	}
	body, err := json.Marshal(map[string]any{
		"name": name, "number": number, "started": started.Format("2006-01-02T15:04:05.000-0700"), "modules": []any{map[string]any{"id": "m", "artifacts": artifacts}},
	})
	require.NoError(r.t, err)
	target := "/artifactory/api/build"
	if project != "" {
		target += "?project=" + project
	}
	r.post(artifactorytest.CI, http.MethodPut, target, string(body))
}

var began = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func marked(name, number string) map[string][]string {
	return map[string][]string{"build.name": {name}, "build.number": {number}}
}
