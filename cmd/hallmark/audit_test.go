package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// auditRig is a real log in a directory, and what one needs to read it.
type auditRig struct {
	t      *testing.T
	config audit.Config
	key    *sealtest.Key // signs checkpoints
	signs  *sealtest.Key // signs artifacts
	memory audit.Memory
	dir    string
}

// newAuditRig has one process use its key three times: entries 0 to 9.
func newAuditRig(t *testing.T) *auditRig {
	t.Helper()
	dir := t.TempDir()
	r := &auditRig{
		t: t, dir: dir, config: audit.Config{Dir: filepath.Join(dir, "log"), Origin: "log.example"},
		key: sealtest.NewKey(t, "P-256", "log"), signs: sealtest.NewKey(t, "P-256", "release-2026"), memory: audittest.NewMemory(),
	}
	r.key.WritePEM(t, dir, "log.pem")
	r.write(func(l *audit.Log) {
		require.NoError(t, audittest.Start(t.Context(), l, "one", r.signs))
		r.use(l, 3)
	})
	return r
}

func (r *auditRig) write(do func(l *audit.Log)) {
	r.t.Helper()
	l, err := audit.Open(r.t.Context(), r.config, r.key, r.memory, audit.Options{})
	require.NoError(r.t, err)
	do(l)
	require.NoError(r.t, l.Close())
}

func (r *auditRig) use(l *audit.Log, n int) {
	r.t.Helper()
	for i := range n {
		_, _, err := audittest.Use(r.t.Context(), l, r.signs, audit.Intent{ID: uint64(i + 1), Repo: "libs-staging-local", Path: fmt.Sprintf("app/1.%d/app.tgz", i), Formats: []string{"sigstore"}}, fmt.Append(nil, i))
		require.NoError(r.t, err)
	}
}

func (r *auditRig) file(name string) string { return filepath.Join(r.dir, name) }

// run runs hallmark audit on the log's directory.
func (r *auditRig) run(args ...string) result {
	return command(r.t, append(append([]string{"audit"}, args...), "--log", r.config.Dir, "--trusted-root", r.file("log.pem"), "--origin", "log.example")...)
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	got := r.run("verify")
	require.Equal(t, exitOK, got.code, got.err)
	require.True(t, strings.HasPrefix(got.out, "OK  log.example ("), got.out)
	require.Contains(t, got.out, "uses      3 with signatures, 0 given up, 0 under way")
	require.Empty(t, got.err)

	var answer struct {
		OK       bool
		Size     int
		Leaves   map[string]int
		Findings []struct {
			Code  string
			Index *uint64
			Alarm bool
			Fix   string
		}
	}
	got = r.run("verify", "-o", "json")
	require.Equal(t, exitOK, got.code)
	require.NoError(t, json.Unmarshal([]byte(got.out), &answer))
	require.True(t, answer.OK)
	require.Equal(t, 10, answer.Size)
	require.Equal(t, map[string]int{"hallmark-start": 1, "hallmark-intent": 3, "hashedrekord": 3, "hallmark-outcome": 3}, answer.Leaves)

	bundle := filepath.Join(r.config.Dir, "tile", "entries", "000.p", "10")
	content, err := os.ReadFile(bundle)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(bundle, bytes.Replace(content, []byte("app/1.1"), []byte("app/1.7"), 1), 0o600))
	got = r.run("verify")
	require.Equal(t, exitRefused, got.code)
	require.True(t, strings.HasPrefix(got.out, "ALARM  log.example ("), got.out)
	require.Contains(t, got.out, "  alarms    1\n")
	require.Contains(t, got.out, "log-entry-changed   entry 4\n")
	got = r.run("verify", "-o", "json")
	require.Equal(t, exitRefused, got.code)
	require.NoError(t, json.Unmarshal([]byte(got.out), &answer))
	require.False(t, answer.OK)
	require.Len(t, answer.Findings, 1)
	require.EqualValues(t, 4, *answer.Findings[0].Index)
	require.True(t, answer.Findings[0].Alarm)
	require.NotEmpty(t, answer.Findings[0].Fix)
	got = r.run("show", "4")
	require.Equal(t, exitRefused, got.code)
	require.Contains(t, got.out, "log-entry-changed")
	require.NoError(t, os.Remove(bundle))
	got = r.run("show", "4")
	require.Equal(t, exitUndecided, got.code)
	got = r.run("export")
	require.Equal(t, exitUndecided, got.code)
	require.NotContains(t, got.out, "checkpoint")
}

// Checkpoints that are kept catch a log that was put back.
func TestAuditVerifyKeepsCheckpoints(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	kept := r.file("kept.checkpoint")
	require.Equal(t, exitUndecided, r.run("verify", "--checkpoint", kept).code, "there is none yet")
	require.Equal(t, exitUndecided, r.run("verify", "--update").code)
	got := r.run("verify", "--checkpoint", kept, "--update")
	require.Equal(t, exitOK, got.code, got.err)
	backup := r.file("backup")
	require.NoError(t, os.CopyFS(backup, os.DirFS(r.config.Dir)))
	r.write(func(l *audit.Log) { r.use(l, 1) })
	old, err := os.ReadFile(kept)
	require.NoError(t, err)
	require.Equal(t, exitOK, r.run("verify", "--checkpoint", kept, "--update").code)
	now, err := os.ReadFile(kept)
	require.NoError(t, err)
	require.NotEqual(t, old, now)

	r.config.Dir = backup
	got = r.run("verify", "--checkpoint", kept, "--update")
	require.Equal(t, exitRefused, got.code)
	require.Contains(t, got.out, "log-rolled-back")
	still, err := os.ReadFile(kept)
	require.NoError(t, err)
	require.Equal(t, now, still, "an alarm keeps what was kept")
	require.NoError(t, os.WriteFile(kept, []byte("log.example\n"), 0o600))
	got = r.run("verify", "--checkpoint", kept)
	require.Equal(t, exitUndecided, got.code)
	require.Contains(t, got.err, "kept checkpoint")
}

// Whose log it is, and who signed it, is never taken from the log.
func TestAuditOfAnotherLog(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	sealtest.NewKey(t, "P-256", "other").WritePEM(t, r.dir, "other.pem")
	got := command(t, "audit", "verify", "--log", r.config.Dir, "--trusted-root", r.file("other.pem"), "--origin", "log.example")
	require.Equal(t, exitRefused, got.code)
	require.Contains(t, got.out, "log-checkpoint-invalid")
	got = command(t, "audit", "verify", "--log", r.config.Dir, "--trusted-root", r.file("log.pem"), "--origin", "other.example", "-o", "json")
	require.Equal(t, exitRefused, got.code)
	require.Contains(t, got.out, "log-origin-wrong")
	for name, args := range map[string][]string{
		"no origin":       {"audit", "verify", "--log", r.config.Dir, "--trusted-root", r.file("log.pem")},
		"no trusted root": {"audit", "verify", "--log", r.config.Dir},
		"no log":          {"audit", "verify", "--trusted-root", r.file("log.pem"), "--origin", "log.example"},
		"no such log":     {"audit", "verify", "--log", r.file("nowhere"), "--trusted-root", r.file("log.pem"), "--origin", "log.example"},
		"another's list":  {"audit", "list", "--log", r.config.Dir, "--trusted-root", r.file("other.pem"), "--origin", "log.example"},
		"another's entry": {"audit", "show", "1", "--log", r.config.Dir, "--trusted-root", r.file("other.pem"), "--origin", "log.example"},
		"another's whole": {"audit", "export", "--log", r.config.Dir, "--trusted-root", r.file("other.pem"), "--origin", "log.example"},
	} {
		got := command(t, args...)
		require.Equal(t, exitUndecided, got.code, name)
		require.True(t, strings.HasPrefix(got.err, "error: "), "%s: %s", name, got.err)
	}
}

func TestAuditList(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	spki := artifact.Digest{}
	r.write(func(l *audit.Log) {
		_, rekord, err := audittest.Use(t.Context(), l, r.signs, audit.Intent{ID: 9, Repo: "docker-local", Path: "app/2/manifest.json", Formats: []string{"cosign"}}, nil)
		require.NoError(t, err)
		spki = spkiIn(rekord.Verifier)
		_, err = l.Add(t.Context(), []byte("what nobody knows"))
		require.NoError(t, err)
	})
	for name, c := range map[string]struct {
		args []string
		want []uint64
	}{
		"all":              {nil, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}},
		"the last":         {[]string{"--last", "2"}, []uint64{12, 13}},
		"intents":          {[]string{"--kind", "intent"}, []uint64{1, 4, 7, 10}},
		"signatures":       {[]string{"--kind", "signature"}, []uint64{2, 5, 8, 11}},
		"a repository":     {[]string{"--path", "docker-local/**"}, []uint64{10}},
		"a file":           {[]string{"--path", "libs-staging-local/app/1.1/*"}, []uint64{4}},
		"no such path":     {[]string{"--path", "libs"}, []uint64{}},
		"a key by name":    {[]string{"--key", "release-2026"}, []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		"its last":         {[]string{"--key", "release-2026", "--last", "3"}, []uint64{10, 11, 12}},
		"its intents":      {[]string{"--key", "release-2026", "--kind", "intent"}, []uint64{1, 4, 7, 10}},
		"its signatures":   {[]string{"--key", "release-2026", "--kind", "signature", "--since", "1d", "--last", "2"}, []uint64{8, 11}},
		"another key":      {[]string{"--key", "release-2025"}, []uint64{}},
		"a key by its pin": {[]string{"--key", "sha256:" + spki.String(), "--kind", "signature", "--last", "2"}, []uint64{8, 11}},
		"since long ago":   {[]string{"--since", "1d", "--kind", "outcome"}, []uint64{3, 6, 9, 12}},
	} {
		got := r.run(append([]string{"list", "-o", "json"}, c.args...)...)
		require.Equal(t, exitOK, got.code, "%s: %s", name, got.err)
		var list []auditEntry
		require.NoError(t, json.Unmarshal([]byte(got.out), &list), name)
		found := []uint64{}
		for _, e := range list {
			found = append(found, e.Index)
			require.NotEmpty(t, e.What)
		}
		require.Equal(t, c.want, found, name)
	}
	got := r.run("list")
	require.Contains(t, got.out, "sign libs-staging-local/app/1.1/app.tgz with release-2026 as sigstore")
	require.Contains(t, got.out, "sealed, intent 4, 1 signatures")
	require.Contains(t, got.out, "an entry of no known kind")
	for _, args := range [][]string{{"--kind", "thing"}, {"--key", "sha256:12"}, {"--path", "[x"}, {"--since", "later"}} {
		require.Equal(t, exitUndecided, r.run(append([]string{"list"}, args...)...).code, args)
	}
}

func TestAuditShow(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	got := r.run("show", "4")
	require.Equal(t, exitOK, got.code, got.err)
	require.Contains(t, got.out, "entry 4  intent\n")
	require.Contains(t, got.out, "proven    by the log's checkpoint over 10 entries")
	require.Contains(t, got.out, `"path": "app/1.1/app.tgz"`)
	got = r.run("show", "5", "-o", "json")
	require.Equal(t, exitOK, got.code)
	var shown struct {
		Kind   string
		Proven int
		Entry  struct{ Kind string }
	}
	require.NoError(t, json.Unmarshal([]byte(got.out), &shown))
	require.Equal(t, "signature", shown.Kind)
	require.Equal(t, 10, shown.Proven)
	require.Equal(t, "hashedrekord", shown.Entry.Kind)
	require.Equal(t, exitUndecided, r.run("show", "10").code, "the log has ten")
	require.Equal(t, exitUndecided, r.run("show", "-1").code)
	require.Equal(t, exitUndecided, r.run("show", "x").code)
	r.write(func(l *audit.Log) {
		_, err := l.Add(t.Context(), []byte("what nobody knows"))
		require.NoError(t, err)
	})
	got = r.run("show", "10")
	require.Equal(t, exitRefused, got.code)
	require.Contains(t, got.out, "log-leaf-unknown")
	require.Contains(t, got.out, `"what nobody knows"`)
}

// An export says what was logged, byte by byte; a copy is verified without the log.
func TestAuditExport(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	r.write(func(l *audit.Log) {
		_, err := l.Add(t.Context(), []byte("what nobody knows"))
		require.NoError(t, err)
	})
	got := r.run("export")
	require.Equal(t, exitOK, got.code, got.err)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	require.Len(t, lines, 12)
	for i, text := range lines {
		var line auditLine
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		switch i {
		case 11:
			require.True(t, strings.HasPrefix(line.Checkpoint, "log.example\n11\n"), text)
		case 10:
			require.Equal(t, "what nobody knows", string(line.Raw))
		default:
			require.EqualValues(t, i, *line.Index)
			_, err := audit.ParseLeaf(line.Entry)
			require.NoError(t, err)
		}
	}
	got = r.run("export", "--dir", r.file("copy"))
	require.Equal(t, exitOK, got.code, got.err)
	require.Equal(t, exitUndecided, r.run("export", "--dir", r.file("copy")).code, "nothing is overwritten")
	want := r.run("verify")
	require.Equal(t, exitRefused, want.code)
	require.NoError(t, os.RemoveAll(r.config.Dir))
	r.config.Dir = r.file("copy")
	got = r.run("verify")
	require.Equal(t, exitRefused, got.code)
	_, wantRest, _ := strings.Cut(want.out, "\n")
	_, gotRest, _ := strings.Cut(got.out, "\n")
	require.Equal(t, wantRest, gotRest)
}

// A configuration names the log of its replica.
func TestAuditOfTheConfiguredLog(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	require.NoError(t, os.WriteFile(r.file("hallmark.yaml"), []byte(`database: {url: "sqlite:///nowhere.db", replica: one}
trust:
  issuer: https://hallmark.example
  root: {certificate: root.pem}
  ca: {key: issuing, certificate: issuing.pem, sct: sct}
  log: {dir: log, origin: log.example, key: log}
  time: {key: time, certificate: time.pem}
`), 0o600))
	for _, verb := range [][]string{{"verify"}, {"list"}, {"show", "3"}, {"export"}} {
		got := command(t, append(append([]string{"audit"}, verb...), "--config", r.file("hallmark.yaml"), "--trusted-root", r.file("log.pem"))...)
		require.Equal(t, exitOK, got.code, got.err)
	}
}

// The service's log is read with a token.
func TestAuditOverHTTP(t *testing.T) {
	t.Parallel()
	r := newAuditRig(t)
	l, err := audit.Open(t.Context(), r.config, r.key, r.memory, audit.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.StripPrefix("/log", l.Handler()).ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	require.NoError(t, os.WriteFile(r.file("token"), []byte("secret\n"), 0o600))
	args := []string{"--server", server.URL + "/", "--trusted-root", r.file("log.pem"), "--origin", "log.example"}
	for _, verb := range [][]string{{"verify"}, {"list"}, {"show", "3"}, {"export"}} {
		whole := append(append([]string{"audit"}, verb...), args...)
		got := command(t, append(whole, "--token-file", r.file("token"))...)
		require.Equal(t, exitOK, got.code, got.err)
		got = command(t, append(whole, "--token-file", "")...)
		require.Equal(t, exitUndecided, got.code)
		require.Contains(t, got.err, "role auditor")
	}
}
