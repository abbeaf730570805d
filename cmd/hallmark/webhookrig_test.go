package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/webhook"
)

// hookRig is a stand-in Artifactory, a configuration, and the real receiver in front of nothing.
type hookRig struct {
	t        *testing.T
	dir      string
	standin  *standin.Server
	receiver *httptest.Server
	serving  atomic.Pointer[http.Handler]
	named    map[string]string // what runs differ in → what transcripts say
	out      bytes.Buffer
}

var hookSecrets = map[string]string{
	"webhook": "0123456789abcdef0123456789abcdef", "webhook-new": "fedcba9876543210fedcba9876543210", "webhook-newest": "00112233445566778899aabbccddeeff",
}

func newHookRig(t *testing.T) *hookRig {
	t.Helper()
	r := &hookRig{t: t, dir: t.TempDir(), standin: artifactorytest.Start(t, standin.Config{
		Repositories: []standin.Repository{{Key: artifactorytest.Staging}, {Key: artifactorytest.Release}, {Key: "libs-dev-local"}},
	})}
	r.receiver = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { (*r.serving.Load()).ServeHTTP(w, q) }))
	t.Cleanup(r.receiver.Close)
	r.named = map[string]string{r.standin.URL(): "https://acme.example", r.receiver.URL: "https://hallmark.example:8443", r.dir: "/etc/hallmark"}
	for name, secret := range hookSecrets {
		r.write(name, secret+"\n")
	}
	r.write("admin.token", artifactorytest.Admin+"\n")
	r.write("ci.token", artifactorytest.CI+"\n")
	r.configure("webhook")
	r.policies("[libs-staging-local]")
	r.restart()
	t.Setenv("HALLMARK_CONFIG", filepath.Join(r.dir, "hallmark.yaml"))
	t.Setenv("HALLMARK_ADMIN_TOKEN_FILE", filepath.Join(r.dir, "admin.token"))
	return r
}

func (r *hookRig) write(name, content string) {
	r.t.Helper()
	file := filepath.Join(r.dir, name)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(r.t, os.WriteFile(file, []byte(content), 0o600))
}

// configure writes a configuration with these secrets; the service reads it at its restart.
func (r *hookRig) configure(secrets ...string) {
	var files []string
	for _, s := range secrets {
		files = append(files, "{file: "+s+"}")
	}
	r.write("hallmark.yaml", fmt.Sprintf(`database: {url: "sqlite:///var/lib/hallmark/hallmark.db"}
artifactory:
  - name: main
    url: %s
    token: {file: artifactory}
    webhookSecrets: [%s]
tokens: [{name: hsm, module: /usr/lib/vendor/libpkcs11.so, label: hallmark, pin: {file: pin}}]
keys: [{name: release-2026, token: hsm, spki: "sha256:%s", lane: release}]
policies: {dir: policies, noMatch: skip}
`, r.standin.URL(), strings.Join(files, ", "), strings.Repeat("0", 64)))
}

func (r *hookRig) policies(repositories string) {
	r.write("policies/release.yaml", `kind: SigningPolicy
name: release-binaries
owner: release-managers
match: {repositories: `+repositories+`}
sign: [{key: release-2026, formats: [sigstore, raw]}]
---
kind: GatePolicy
name: libs-release
owner: release-managers
target: {repositories: [libs-release-local]}
require: {signatures: [{lane: release, count: 1}]}
`)
}

// restart lets the receiver read the configuration.
func (r *hookRig) restart() {
	r.t.Helper()
	c, err := loadConfig(filepath.Join(r.dir, "hallmark.yaml"))
	require.NoError(r.t, err)
	in, err := webhookInstance(c.Artifactory[0].Value)
	require.NoError(r.t, err)
	h, err := webhook.New(webhook.Config{Instances: map[string]webhook.Instance{"main": in}}, webhook.Deps{
		Accept: func(context.Context, ledger.Event) error { return nil },
		Covers: func(_, repo, _, _ string) bool { return repo == artifactorytest.Staging },
		Log:    slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(r.t, err)
	r.serving.Store(&h)
}

// run executes a command and adds it to the transcript.
func (r *hookRig) run(code int, args ...string) string {
	r.t.Helper()
	var out bytes.Buffer
	got := run(r.t.Context(), append([]string{"webhook"}, args...), &out, &out)
	text, line := out.String(), strings.Join(args, " ")
	for _, secret := range hookSecrets {
		require.NotContains(r.t, text, secret)
	}
	require.NotContains(r.t, text, artifactorytest.Admin)
	for real, name := range r.named {
		text, line = strings.ReplaceAll(text, real, name), strings.ReplaceAll(line, real, name)
	}
	require.Equal(r.t, code, got, "%s\n%s", line, text)
	fmt.Fprintf(&r.out, "$ hallmark webhook %s\n%s(exit status %d)\n\n", line, text, got)
	return text
}

func (r *hookRig) say(what string) { fmt.Fprintf(&r.out, "# %s\n\n", what) }

func (r *hookRig) golden(name string) {
	r.t.Helper()
	file := filepath.Join("testdata", "webhook", name+".txt")
	if *update {
		require.NoError(r.t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(r.t, os.WriteFile(file, r.out.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(r.t, err, "run make generate, and read what it wrote")
	require.Equal(r.t, string(want), r.out.String(), "run make generate, and read what changed")
}

// change lets somebody else edit our subscription, secret included.
func (r *hookRig) change(f func(*standin.Subscription)) {
	r.t.Helper()
	sub := standin.Subscription{
		Key: "hallmark-main-artifact", Enabled: true,
		EventFilter: standin.EventFilter{
			Domain: "artifact", EventTypes: []string{"deployed"}, Criteria: standin.Criteria{RepoKeys: []string{"libs-dev-local"}, ExcludePatterns: []string{"app/**"}},
		},
		Handlers: []standin.Target{{HandlerType: "webhook", URL: r.receiver.URL + "/webhook/main", Secret: hookSecrets["webhook"]}},
	}
	f(&sub)
	require.NoError(r.t, r.standin.AddSubscription(sub))
}

// drop lets somebody else remove a subscription.
func (r *hookRig) drop(key string) {
	r.t.Helper()
	resp := r.ask(http.MethodDelete, key)
	defer resp.Body.Close()
	require.Equal(r.t, 2, resp.StatusCode/100)
}

func (r *hookRig) ask(method, key string) *http.Response {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.standin.URL()+"/event/api/v1/subscriptions/"+key, nil)
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.Admin)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	return resp
}

// kept is a subscription as Artifactory shows it.
func (r *hookRig) kept(key string) string {
	r.t.Helper()
	resp := r.ask(http.MethodGet, key)
	defer resp.Body.Close()
	var doc any
	require.NoError(r.t, json.NewDecoder(resp.Body).Decode(&doc))
	compact, err := json.Marshal(doc)
	require.NoError(r.t, err)
	return string(compact)
}

// writes counts the requests that can have changed a subscription.
func (r *hookRig) writes() int {
	n := 0
	for _, q := range r.standin.Requests() {
		if q.Status/100 == 2 && strings.HasPrefix(q.Target, "/event/") && q.Method != http.MethodGet && !strings.HasSuffix(q.Target, "/test") {
			n++
		}
	}
	return n
}
