package e2e

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// broken is one way in which a service must not start. change breaks the configuration in file; serve must end with exit
// status 2 and one message that holds all of say, and doctor with exit status 1 and a failing check whose name begins
// with check and which holds the same words.
type broken struct {
	change func(t *testing.T, s *sandbox.Sandbox, file string)
	say    []string
	check  string
}

func replace(pairs ...string) func(*testing.T, *sandbox.Sandbox, string) {
	return func(t *testing.T, _ *sandbox.Sandbox, file string) {
		t.Helper()
		edit(t, file, pairs...)
	}
}

// Everything that must keep the service from starting says what is wrong and what to do about it, and no secret.
func TestBadStarts(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Workers: 4})
	require.NoError(t, s.Terminate())
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = busy.Close() })

	const config = "configuration is sound"
	for name, b := range map[string]broken{
		"unknown key": {
			replace("webhookSecrets:", "webhookSecret:"),
			[]string{"hallmark.yaml:11:5: ", `unknown key "webhookSecret"`, `did you mean "webhookSecrets"?`}, config,
		},
		"not YAML":        {replace("server:\n", "server: [\n"), []string{"hallmark.yaml:", "this is not YAML"}, config},
		"wrong type":      {replace("queue:\n", "queue:\n  pollInterval: fast\n"), []string{"hallmark.yaml:23:17", "pollInterval", "fast"}, config},
		"section missing": {replace("database:\n  url: ", "# "), []string{`"database" is missing`, "sqlite:///"}, config},
		"room's own rule": {replace("    label: hallmark\n", "    label: hallmark\n    maxSessions: 1\n"), []string{"hallmark.yaml:13:5: tokens[0]: ", "maxSessions is 1"}, config},
		"key of no token": {replace("    token: hsm\n", "    token: hsn\n"), []string{"hallmark.yaml:18:5: keys[0]: ", `token "hsn" is not in tokens`}, config},
		"lane misspelt":   {replace("lane: release\n", "lane: releases\n"), []string{"hallmark.yaml:21:11: ", `did you mean "release"?`}, config},
		"key name":        {replace("name: "+sandbox.Key, "name: ../"+sandbox.Key), []string{"hallmark.yaml:18:5: keys[0]: ", "part of file names"}, config},
		"address":         {replace("  metrics: \"127.0.0.1:", "  metrics: \"127.0.0.1;"), []string{"hallmark.yaml:2:3: server.metrics", "host:port"}, config},
		"tls half":        {replace("server:\n", "server:\n  tls: {certificate: c.pem}\n"), []string{"server.tls", "needed together"}, config},
		"password in URL": {replace("url: \"sqlite://", "url: \"postgres://hallmark:hunter2@127.0.0.1:1/x\" # "), []string{"hallmark.yaml:5:3: database: url", "password"}, config},
		"tls missing": {
			replace("server:\n", "server:\n  tls: {certificate: c.pem, key: k.pem}\n"), []string{"server's certificate", "c.pem", "no such file"}, "server certificate",
		},
		"port in use": {
			func(t *testing.T, s *sandbox.Sandbox, file string) {
				replace(strings.TrimPrefix(s.URL, "http://"), busy.Addr().String())(t, s, file)
			},
			[]string{busy.Addr().String(), "server.listen"}, "address " + busy.Addr().String(),
		},
		"database directory missing": {
			replace("/hallmark.db", "/nowhere/hallmark.db"), []string{"creating the database file", "no such file", "nowhere"}, "database is writable",
		},
		"database is not one": {
			func(t *testing.T, s *sandbox.Sandbox, file string) {
				text := filepath.Join(filepath.Dir(file), "text.db")
				require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("this is no database\n", 100)), 0o600))
				replace("sqlite://"+filepath.Join(filepath.Dir(file), "hallmark.db"), "sqlite://"+text)(t, s, file)
			},
			[]string{"file is not a database"}, "database is writable",
		},
		"nobody listens": {
			replace("url: \"sqlite://", "url: \"postgres://hallmark@127.0.0.1:1/x\" # "), []string{"connecting to PostgreSQL at 127.0.0.1:1 as hallmark", "connection refused"}, "database is writable",
		},
		"module missing": {
			replace("module: ", "module: /usr/lib/nowhere"), []string{"/usr/lib/nowhere", "no such file", "install the vendor's PKCS#11 library"}, "token hsm: module loads",
		},
		"module is none": {
			func(t *testing.T, s *sandbox.Sandbox, file string) {
				replace("module: "+s.Module, "module: /etc/hostname")(t, s, file)
			},
			[]string{"/etc/hostname", "PKCS#11"}, "token hsm: module loads",
		},
		"token missing": {
			replace("    label: hallmark\n", "    label: halmark\n"), []string{`no token with the label "halmark"`, `"hallmark"`, "set label to one of the tokens seen"}, "token hsm: token found",
		},
		"PIN file missing": {replace("secrets/pin", "secrets/pim"), []string{"secrets/pim", "no such file", "user PIN"}, "token hsm: PIN accepted"},
		"key missing": {
			replace("    token: hsm\n", "    token: hsm\n    label: other\n"), []string{`"other"`, `"` + sandbox.Key + `"`, "hallmark keys generate"}, "key " + sandbox.Key + ": key found exactly once",
		},
		"SPKI mismatch": {
			func(t *testing.T, s *sandbox.Sandbox, file string) {
				content, err := os.ReadFile(file)
				require.NoError(t, err)
				pin := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindString(string(content))
				replace(pin, "sha256:"+strings.Repeat("ab", 32))(t, s, file)
			},
			[]string{"public key is not the pinned one", "pinned sha256:" + strings.Repeat("ab", 32)}, "key " + sandbox.Key + ": pinned public key matches",
		},
		"SPKI missing": {
			func(t *testing.T, s *sandbox.Sandbox, file string) {
				content, err := os.ReadFile(file)
				require.NoError(t, err)
				line := regexp.MustCompile(`(?m)^    spki: .*\n`).FindString(string(content))
				replace(line, "")(t, s, file)
			},
			[]string{"the configuration pins none", "spki: sha256:"}, "key " + sandbox.Key + ": pinned public key matches",
		},
		"software key": {
			replace("    token: hsm\n", "    software: key.pem\n"), []string{"--insecure-software-keys"}, "key " + sandbox.Key,
		},
		"Artifactory token missing": {replace("secrets/artifactory", "secrets/nothing"), []string{"secrets/nothing", "no such file"}, "artifactory main: "},
		"webhook secret missing":    {replace("secrets/webhook", "secrets/nothing"), []string{"webhook secret", "secrets/nothing", "no such file"}, "artifactory main: webhook secrets"},
		"webhook secret empty": {
			func(t *testing.T, s *sandbox.Sandbox, file string) {
				require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "empty"), []byte("\n"), 0o600))
				replace(s.Path("secrets", "webhook"), "empty")(t, s, file) // relative: lies beside the configuration
			},
			[]string{"webhook secret", "empty is empty"}, "artifactory main: webhook secrets",
		},
		"policies missing": {replace("/policies,", "/polices,"), []string{"polices does not exist", "policies.dir"}, "policies are sound"},
		"policy broken": {
			func(t *testing.T, s *sandbox.Sandbox, file string) {
				dir := filepath.Join(filepath.Dir(file), "policies")
				require.NoError(t, os.Mkdir(dir, 0o700))
				content, err := os.ReadFile(s.Path("policies", "release.yaml"))
				require.NoError(t, err)
				text := strings.ReplaceAll(string(content), "key: "+sandbox.Key, "key: release-2025")
				require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(text), 0o600))
				replace(s.Path("policies"), "policies")(t, s, file)
			},
			[]string{"policies/p.yaml:8:11: ", `unknown key "release-2025"`, `did you mean "` + sandbox.Key + `"?`}, "policies are sound",
		},
	} {
		t.Run(name, func(t *testing.T) { // one by one: SoftHSM fails logins of several processes at the same moment
			file := copyConfig(t, s)
			b.change(t, s, file)
			refusesToStart(t, s, s.Command, file, b)
		})
	}

	t.Run("configuration missing", func(t *testing.T) {
		r := hallmark(t, s, "serve", "--config", "nowhere.yaml")
		require.Equal(t, 2, r.code)
		require.Contains(t, r.err, "nowhere.yaml")
		require.Contains(t, r.err, "--config")
	})
}

// copyConfig copies the sandbox's configuration, with a database and a place of its own.
func copyConfig(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	content, err := os.ReadFile(s.Path("hallmark.yaml"))
	require.NoError(t, err)
	dir := t.TempDir()
	text := strings.ReplaceAll(string(content), "sqlite://"+s.Dir, "sqlite://"+dir)
	file := filepath.Join(dir, "hallmark.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// message begins what a failed command says.
var message = regexp.MustCompile(`(?m)^error: `)

func refusesToStart(t *testing.T, s *sandbox.Sandbox, command func(context.Context, ...string) *exec.Cmd, file string, b broken) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r := finish(t, s, command(ctx, "serve", "--config", file))
	require.Equal(t, 2, r.code, r.err)
	require.Empty(t, r.out)
	require.Len(t, message.FindAllString(r.err, -1), 1, r.err)
	for _, words := range b.say {
		require.Contains(t, r.err, words)
	}
	if !strings.HasPrefix(b.check, "configuration") {
		require.Contains(t, r.err, "hallmark doctor --config "+file)
	}
	require.NotContains(t, r.err, "hunter2")
	require.NotContains(t, r.err, `"msg":"ready"`)

	r = finish(t, s, command(ctx, "doctor", "--config", file, "-o", "json"))
	require.Equal(t, 1, r.code, r.err)
	require.NotContains(t, r.out, "hunter2")
	var checks []hsm.Check
	require.NoError(t, json.Unmarshal([]byte(r.out), &checks), r.out)
	var failing []hsm.Check
	for _, c := range checks {
		if !c.OK {
			failing = append(failing, c)
		}
	}
	require.Len(t, failing, 1, r.out)
	require.True(t, strings.HasPrefix(failing[0].Name, b.check), failing[0].Name)
	require.NotEmpty(t, failing[0].Fix)
	for _, words := range b.say {
		require.Contains(t, failing[0].Detail+" "+failing[0].Fix, words)
	}

	r = finish(t, s, command(ctx, "doctor", "--config", file))
	require.Equal(t, 1, r.code)
	require.Contains(t, r.out, "FAIL")
	require.Contains(t, r.out, failing[0].Fix)
}
