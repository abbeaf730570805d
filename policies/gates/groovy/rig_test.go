// Package groovy_test holds hallmark.groovy to its promises: Hallmark's clean yes or a CancelException.
package groovy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/policies/gates/groovy/plugintest"
)

const (
	staging = "libs-staging-local"
	release = "libs-release-local"
	file    = "app/1.4.2/app.tgz"
	secret  = "5ecre7-t0ken-of-the-plugin"
)

var (
	once        sync.Once
	artifactory *plugintest.Artifactory
)

// do calls a hook in the one Java process of these tests. Nothing that it says may hold the token.
func do(t *testing.T, c plugintest.Call) plugintest.Outcome {
	t.Helper()
	once.Do(func() { artifactory = plugintest.Start(t) })
	o := artifactory.Do(t, c)
	require.NotContains(t, fmt.Sprint(o), secret)
	return o
}

// question is what the plugin asked.
type question struct {
	Instance, Artifact, Target string
}

// hallmark is a server that answers as Hallmark would, and what it was asked.
type hallmark struct {
	*httptest.Server
	mu    sync.Mutex
	asked []question
}

func serve(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, q question)) *hallmark {
	t.Helper()
	h := &hallmark{}
	h.Server = httptest.NewServer(h.handler(answer))
	t.Cleanup(h.Close)
	return h
}

func (h *hallmark) handler(answer func(w http.ResponseWriter, r *http.Request, q question)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var q question
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/gate/check" || r.Header.Get("Authorization") != "Bearer "+secret {
			http.Error(w, "not what Hallmark is asked", http.StatusTeapot)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		h.mu.Lock()
		h.asked = append(h.asked, q)
		h.mu.Unlock()
		answer(w, r, q)
	}
}

func (h *hallmark) questions() []question {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]question{}, h.asked...)
}

// verdict is a whole answer, with changes.
func verdict(q question, allow bool, change map[string]any) map[string]any {
	v := map[string]any{
		"allow": allow, "decided": true, "artifact": q.Artifact, "target": q.Target, "subject": q.Artifact, "sha256": strings.Repeat("ab", 32),
		"reasons": []any{}, "signatures": []any{}, "policySet": strings.Repeat("cd", 32), "at": time.Now(),
	}
	for k, x := range change {
		if v[k] = x; x == nil {
			delete(v, k)
		}
	}
	return v
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func allow(w http.ResponseWriter, _ *http.Request, q question) { write(w, 200, verdict(q, true, nil)) }

var missing = map[string]any{
	"code": "signature-missing", "message": "a signature is missing", "found": "none", "expected": "1 signature by a release key",
	"would": "with one signature by lane release", "fix": "hallmark sign " + staging + "/" + file, "who": "release-managers", "rule": "gate.yaml:3",
}

func refuse(w http.ResponseWriter, _ *http.Request, q question) {
	write(w, 200, verdict(q, false, map[string]any{"reasons": []any{missing}}))
}

// config guards the release repository against both, and leaves what change says otherwise.
func config(url string, change map[string]any) map[string]any {
	c := map[string]any{
		"url": url, "tokenFile": "hallmark.token", "hallmarkUsers": []string{"hallmark", "hallmark-promoter"}, "timeoutSeconds": 30,
		"promotion": map[string]any{"repositories": []string{"*-release-local"}}, "download": map[string]any{"repositories": []string{release}},
	}
	for k, x := range change {
		if c[k] = x; x == nil {
			delete(c, k)
		}
	}
	return c
}

func at(repo, path string) *plugintest.Path { return &plugintest.Path{Repo: repo, Path: path} }

// promote copies the file into the release repository, download fetches it there.
func promote(etc string) plugintest.Call {
	return plugintest.Call{Hook: "beforeCopy", Etc: etc, User: "dev1", Item: at(staging, file), Target: at(release, file)}
}

func download(etc string) plugintest.Call {
	return plugintest.Call{Hook: "altResponse", Etc: etc, User: "dev1", Item: at(release, file)}
}

func requireRefused(t *testing.T, o plugintest.Outcome, parts ...string) {
	t.Helper()
	require.Equal(t, http.StatusForbidden, o.Status, o)
	for _, part := range parts {
		require.Contains(t, o.Message, part)
	}
	require.Contains(t, strings.Join(o.Log, "\n"), "warn: "+o.Message)
}
