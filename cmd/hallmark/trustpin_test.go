package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// published is what a house would publish.
func (h *house) published() (files []trust.File) {
	h.Helper()
	dir := h.export(nil)
	for _, name := range []string{trust.RootFile, trust.CAFile, trust.TimeFile, "keys/release.pem", trust.TrustFile} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(h, err)
		files = append(files, trust.File{Name: name, Content: content})
	}
	return files
}

// At first contact the fingerprint of one key is enough: whoever has the root has what it vouches for, and nothing else that the
// server says makes a signature count.
func TestTrustExportPinned(t *testing.T) {
	t.Parallel()
	h, stranger := newHouse(t, "P-256"), newHouse(t, "P-256")
	file := h.publish("app.tgz", "bytes", nil)
	files, others := h.published(), stranger.published()
	pin, other := spkiOf(h.RootCA.Certificate), spkiOf(stranger.RootCA.Certificate)
	dir := h.at("acme-trust")
	export := func(code int, server string, pins ...string) string {
		t.Helper()
		args := []string{"export", dir, "--server", server}
		for _, p := range pins {
			args = append(args, "--fingerprint", p)
		}
		stdout, stderr, got := hallmarkTrust(t, args...)
		require.Equal(t, code, got, stdout+stderr)
		return stdout + stderr
	}
	says := export(exitUndecided, publisher(t, others, nil), pin)
	require.Contains(t, says, fmt.Sprintf("has the key %s, expected %s (--fingerprint)", other, pin))
	require.Contains(t, says, "nothing was written")
	require.NoDirExists(t, dir)

	// All but the root may be another's, and what is said of the root may be more than one thing.
	content := func(files []trust.File, name string) string {
		for _, f := range files {
			if f.Name == name {
				return string(f.Content)
			}
		}
		return ""
	}
	var both, theirs map[string]any
	require.NoError(t, json.Unmarshal([]byte(content(files, trust.RootFile)), &both))
	require.NoError(t, json.Unmarshal([]byte(content(others, trust.RootFile)), &theirs))
	both["certificateAuthorities"] = append(both["certificateAuthorities"].([]any), theirs["certificateAuthorities"].([]any)...)
	root, err := json.Marshal(both)
	require.NoError(t, err)
	for says, change := range map[string]map[string]string{
		"has the key " + other:  {trust.RootFile: string(root)},
		"ca.pem holds the root": {trust.CAFile: content(files, trust.CAFile) + content(others, trust.CAFile)},
		"keys in a second way":  {trust.TrustFile: strings.Replace(content(files, trust.TrustFile), `"keys"`, `"keys":[],"Keys"`, 1)},
	} {
		require.Contains(t, export(exitUndecided, publisher(t, files, change), pin), says)
		require.NoDirExists(t, dir)
	}
	bare, err := trust.Export{Keys: []trust.ExportedKey{{Name: "release", Public: h.key.Public()}}}.Files()
	require.NoError(t, err)
	require.Contains(t, export(exitUndecided, publisher(t, bare, nil), pin), "no trusted root to compare")
	require.Contains(t, export(exitUndecided, publisher(t, files, nil), "sha256:00"), "expected sha256: and 64 digits")

	// Without the pin the fingerprint is told; with it, keys of an earlier export go.
	says = export(exitOK, publisher(t, files, nil))
	require.Contains(t, says, pin)
	require.Contains(t, says, "--fingerprint")
	require.FileExists(t, filepath.Join(dir, "keys", "release.pem"))
	says = export(exitOK, publisher(t, files, nil), pin, other)
	require.Contains(t, says, pin)
	require.Contains(t, says, "The clocks under Example clock root are not by this root")
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		require.NotEqual(t, "release.pem", e.Name())
		return err
	})
	require.NoError(t, err)

	// A server between that has another key listed gains nothing by it.
	v := h.verify(t, exitOK, file, "--trust", dir, "--min-level", "3")
	require.Equal(t, 3, v.Level)
	v = h.verify(t, exitRefused, file, "--trust", dir, "--bundle", file+".sigstore-key.json")
	require.Contains(t, v.Reasons[0].Found, "counts only with a certificate")
	h.verify(t, exitRefused, file, "--trust", dir, "--bundle", file+".sig")
	second := command(t, "verify", file, "--trust", dir, "--second-opinion")
	require.Equal(t, exitOK, second.code, second.err)
	require.Contains(t, second.out, "cosign verify-blob")
	require.NotContains(t, second.out, "--key")
}

// A customer's first day, as docs/verify.md prints it: whom to believe by one fingerprint, the file by that.
func TestVerifyPageFirstContact(t *testing.T) {
	s := newShop(t, nil)
	lines := map[string]string{}
	for _, b := range blocks(t, "docs/verify.md") {
		for line := range strings.Lines(b.text) {
			for _, command := range []string{"hallmark trust export ", "hallmark fetch ", "jf hallmark fetch "} {
				if strings.HasPrefix(line, command) {
					lines[command] = strings.TrimPrefix(strings.TrimSpace(line), "jf ")
				}
			}
		}
	}
	require.Len(t, lines, 3)
	t.Chdir(s.dir)
	t.Setenv("JFROG_CLI_HOME_DIR", s.at("jfrog"))
	s.put("jfrog/jfrog-cli.conf.v6", []byte(`{"servers":[{"serverId":"acme","isDefault":true,"url":"`+s.server.URL()+`/","accessToken":"`+artifactorytest.Reader+`"}]}`))
	pin := regexp.MustCompile("sha256:[0-9a-f]{64}")
	export := strings.Replace(lines["hallmark trust export "], "https://hallmark.example", publisher(t, s.published(), nil), 1)
	require.Regexp(t, pin, export)
	run := func(line string) result { return command(t, strings.Fields(line)[1:]...) }
	got := run(export)
	require.Equal(t, exitUndecided, got.code, "the page's fingerprint is nobody's: %s", got.out)
	got = run(pin.ReplaceAllString(export, spkiOf(s.RootCA.Certificate)))
	require.Equal(t, exitOK, got.code, got.err)
	got = run(strings.Replace(lines["hallmark fetch "], "https://acme.example", s.server.URL(), 1))
	require.Equal(t, exitOK, got.code, got.out+got.err)
	require.FileExists(t, "downloads/app.tgz")
	t.Chdir(t.TempDir())
	require.NoError(t, os.Rename(s.at("acme-trust"), "acme-trust"))
	got = run(lines["jf hallmark fetch "])
	require.Equal(t, exitOK, got.code, got.out+got.err)
	require.FileExists(t, "app.tgz")
}
