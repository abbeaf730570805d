package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

// What a JFrog Worker answers to the platform.
const (
	workerProceeds = 1
	workerStops    = 2
	workerWarns    = 3
)

// warnedAbout is a gate that only warns.
const warnedAbout = `---
kind: GatePolicy
name: trial
owner: release-managers
mode: warn
target: {repositories: [libs-trial-local]}
require: {signatures: [{lane: release, count: 1}]}
`

// workerAnswer is what a worker returns.
type workerAnswer struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

// gateWorker is the compiled gate, as it would be deployed for a sandbox.
type gateWorker struct {
	dir      string
	settings map[string]any
	secret   string
}

// run asks the worker what the platform would ask before artifact in staging is copied to the target.
func (w gateWorker) run(t *testing.T, artifact, repo, target string) workerAnswer {
	t.Helper()
	place := func(repo, path string) map[string]any {
		return map[string]any{"key": repo, "path": path, "id": repo + ":" + path, "isRoot": false, "isFolder": false}
	}
	input, err := json.Marshal(map[string]any{
		"worker": "gate", "settings": w.settings, "secret": w.secret,
		"data": map[string]any{
			"metadata":       map[string]any{"repoPath": place(sandbox.Staging, artifact)},
			"targetRepoPath": place(repo, target),
			"userContext":    map[string]any{"id": sandbox.Developer, "isToken": false, "realm": "internal"},
			"properties":     map[string]any{},
		},
	})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "input.json")
	require.NoError(t, os.WriteFile(file, input, 0o600))
	cmd := exec.CommandContext(t.Context(), tooltest.Node(t), "tests/run.js", file)
	cmd.Dir = w.dir
	out, err := cmd.Output()
	require.NoError(t, err, string(out))
	var answer workerAnswer
	require.NoError(t, json.Unmarshal(out, &answer), string(out))
	require.NotContains(t, answer.Message, w.secret)
	return answer
}

// The worker that is deployed into Artifactory and the service speak the same language: what the gate allows proceeds,
// what it refuses stops with the gate's own words, and so does everything that keeps the two from talking.
func TestGateWorker(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Policies: warnedAbout})
	const odd = "app/1.4.2/ü &+%41 #1.tgz"
	upload(t, s, app, "good")
	upload(t, s, odd, "good, too")
	upload(t, s, "app/tampered.tgz", "as signed")
	upload(t, s, "manual/unsigned.bin", "unsigned")
	awaitSigned(t, s, app, odd, "app/tampered.tgz")
	s.Artifactory.HoldEvents()
	upload(t, s, "app/tampered.tgz", "as an attacker wants it")

	w := gateWorker{dir: tooltest.Workers(t), secret: s.Secret("caller"), settings: map[string]any{
		"hallmark": s.URL, "instance": "", "guarded": []string{"libs-*"}, "promoters": []string{}, "folders": "stop",
		"waitMs": 0, "secret": "hallmark-token", "plainHTTP": true,
	}}
	with := func(key string, value any) gateWorker {
		changed := gateWorker{w.dir, map[string]any{key: value}, w.secret}
		for k, v := range w.settings {
			if k != key {
				changed.settings[k] = v
			}
		}
		return changed
	}

	for name, c := range map[string]struct {
		worker            gateWorker
		artifact, to, why string // to is below the release repository; no why means that it proceeds
	}{
		"signed":               {w, app, app, ""},
		"its signature":        {w, app + ".sigstore.json", app + ".sigstore.json", ""},
		"another path":         {w, app, "other/name.tgz", ""},
		"odd characters":       {w, odd, odd, ""},
		"instance named":       {with("instance", sandbox.Main), app, app, ""},
		"with a wait":          {with("waitMs", 2000), app, app, ""},
		"unsigned":             {w, "manual/unsigned.bin", "manual/unsigned.bin", "[signature-missing]"},
		"tampered":             {w, "app/tampered.tgz", "app/tampered.tgz", "[signature-wrong-bytes]"},
		"gone":                 {w, "app/none.tgz", "app/none.tgz", "[artifact-gone]"},
		"a folder in disguise": {w, "app/1.4.2", "app/1.4.2", "may not enter"},
		"two readings":         {w, "app/semi;a=b", "app/semi", "[path-refused]"},
		"dots":                 {w, "app/../" + app, app, "[path-refused]"},
		"dots at the target":   {w, app, "../" + app, "[path-refused]"},
		"unknown instance":     {with("instance", "elsewhere"), app, app, "answered 4"},
		"wrong token":          {gateWorker{w.dir, w.settings, "wrong-token"}, app, app, "answered 401"},
		"not the API":          {with("hallmark", s.Artifactory.URL()), app, app, "stays out"},
		"nobody listens":       {with("hallmark", "http://127.0.0.1:1"), app, app, "could not ask Hallmark"},
	} {
		t.Run(name, func(t *testing.T) {
			a := c.worker.run(t, c.artifact, sandbox.Release, c.to)
			if c.why == "" {
				require.Equal(t, workerProceeds, a.Status, a.Message)
				return
			}
			require.Equal(t, workerStops, a.Status, a.Message)
			require.Contains(t, a.Message, c.why)
		})
	}
	require.Contains(t, w.run(t, app, "libs-other-local", app).Message, "[no-gate-policy]")
	warned := w.run(t, "manual/unsigned.bin", "libs-trial-local", "x")
	require.Equal(t, workerWarns, warned.Status, warned.Message)
	require.Contains(t, warned.Message, "with warnings. [signature-missing]")
	require.Equal(t, workerProceeds, w.run(t, app, "libs-trial-local", app).Status)
	require.Equal(t, workerProceeds, w.run(t, "manual/unsigned.bin", "elsewhere-local", "x").Status, "not guarded, not Hallmark's business")

	// The worker says what the command line says.
	refused := w.run(t, "manual/unsigned.bin", sandbox.Release, "manual/unsigned.bin").Message
	cli := hallmark(t, s, "gate", "check", sandbox.Staging+"/manual/unsigned.bin", "--target", sandbox.Release)
	for line := range strings.Lines(cli.out) {
		if _, fix, ok := strings.Cut(line, "fix "); ok {
			require.Contains(t, refused, strings.TrimSpace(fix))
		}
	}

	disarm := s.Artifactory.Fail(standin.Fault{Match: func(*http.Request) bool { return true }, Status: http.StatusServiceUnavailable, Times: -1})
	a := w.run(t, app, sandbox.Release, app)
	require.Equal(t, workerStops, a.Status)
	require.Contains(t, a.Message, "could not decide")
	disarm()
	require.Equal(t, workerProceeds, w.run(t, app, sandbox.Release, app).Status)

	require.NoError(t, s.Terminate())
	require.Equal(t, workerStops, w.run(t, app, sandbox.Release, app).Status)
}
