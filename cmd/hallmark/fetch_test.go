package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/verify/verifytest"
)

// shop is a house whose files stand in an Artifactory.
type shop struct {
	*house
	server *standin.Server
	trust  string
	folder string // to fetch to
}

const shopPath = "app/1.4.2/app.tgz"

func newShop(t *testing.T, edit func(*verifytest.Order)) *shop {
	t.Helper()
	s := &shop{house: newHouse(t, "P-256"), server: artifactorytest.Start(t, standin.Config{}), folder: t.TempDir()}
	s.trust = s.export(nil)
	s.put("token", []byte(artifactorytest.Reader+"\n"))
	s.publish("app.tgz", strings.Repeat("bytes", 100_000), edit)
	for _, suffix := range []string{"", ".sigstore.json", ".sigstore-key.json", ".sig"} {
		content, err := os.ReadFile(s.at("app.tgz" + suffix))
		require.NoError(t, err)
		s.upload(shopPath+suffix, content)
	}
	s.upload("app/1.4.2/app.tgz2", []byte("another"))
	return s
}

func (s *shop) upload(path string, content []byte) {
	s.Helper()
	require.NoError(s, s.server.Put("ci", artifactorytest.Release, path, bytes.NewReader(content), nil))
}

// fetch runs the command. What the folder holds afterwards is returned, hidden names too.
func (s *shop) fetch(ctx context.Context, code int, args ...string) (result, []string) {
	s.Helper()
	var out, errs bytes.Buffer
	got := run(ctx, append([]string{"fetch", artifactorytest.Release + "/" + shopPath, "--url", s.server.URL(), "--access-token-file", s.at("token"), "--trust", s.trust, "--to", s.folder}, args...), &out, &errs)
	require.Equal(s, code, got, out.String()+errs.String())
	return result{out.String(), errs.String(), got}, s.held()
}

func (s *shop) held() []string {
	s.Helper()
	entries, err := os.ReadDir(s.folder)
	require.NoError(s, err)
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFetch(t *testing.T) {
	t.Parallel()
	s := newShop(t, nil)
	r, held := s.fetch(t.Context(), exitOK, "--min-level", "3")
	require.Equal(t, []string{"app.tgz"}, held)
	require.Contains(t, r.out, "VERIFIED  "+filepath.Join(s.folder, "app.tgz"))
	require.NotContains(t, r.out, ".hallmark-fetch-")
	content, err := os.ReadFile(filepath.Join(s.folder, "app.tgz"))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("bytes", 100_000), string(content))

	r, _ = s.fetch(t.Context(), exitUndecided)
	require.Contains(t, r.err, "exists already; --overwrite replaces it")
	_, held = s.fetch(t.Context(), exitOK, "--overwrite", "--signatures")
	require.Equal(t, []string{"app.tgz", "app.tgz.sig", "app.tgz.sigstore-key.json", "app.tgz.sigstore.json"}, held)
	s.verify(t, exitOK, filepath.Join(s.folder, "app.tgz"), "--trust", s.trust, "--min-level", "3")

	// A connection that breaks off is begun anew, and nothing of the first try remains.
	require.NoError(t, os.RemoveAll(s.folder))
	require.NoError(t, os.Mkdir(s.folder, 0o700))
	s.server.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + artifactorytest.Release + "/" + shopPath, Truncate: 300_000})
	r, held = s.fetch(t.Context(), exitOK, "-o", "json")
	var v verification
	require.NoError(t, json.Unmarshal([]byte(r.out), &v))
	require.Equal(t, 3, v.Level)
	require.Equal(t, []string{"app.tgz"}, held)
}

// Folders that are missing are made, and gone again when nothing comes into them.
func TestFetchMakesFolders(t *testing.T) {
	t.Parallel()
	s := newShop(t, nil)
	_, held := s.fetch(t.Context(), exitOK, "--to", filepath.Join(s.folder, "a", "b")+"/")
	require.Equal(t, []string{"a"}, held)
	require.FileExists(t, filepath.Join(s.folder, "a", "b", "app.tgz"))
	_, held = s.fetch(t.Context(), exitOK, "--to", filepath.Join(s.folder, "c", "mine.tgz"))
	require.Equal(t, []string{"a", "c"}, held)
	require.FileExists(t, filepath.Join(s.folder, "c", "mine.tgz"))
	s.upload(shopPath, []byte("something else"))
	_, held = s.fetch(t.Context(), exitRefused, "--to", filepath.Join(s.folder, "d", "e")+"/")
	require.Equal(t, []string{"a", "c"}, held)
	r, _ := s.fetch(t.Context(), exitUndecided, "--to", filepath.Join(s.folder, "c", "mine.tgz", "x")+"/")
	require.Contains(t, r.err, "not a directory")
}

// Whatever goes wrong, nothing is left: neither half of the file nor the place where it was checked.
func TestFetchLeavesNothing(t *testing.T) {
	t.Parallel()
	download := "/artifactory/" + artifactorytest.Release + "/" + shopPath
	for name, c := range map[string]struct {
		edit  func(*verifytest.Order)
		spoil func(t *testing.T, s *shop, cancel context.CancelFunc)
		args  []string
		code  int
		says  string
	}{
		"log proof":   {edit: func(o *verifytest.Order) { o.Entry = func(e *verifytest.Entry) { e.Proof.Hashes[0][0] ^= 1 } }, args: []string{"--min-level", "3"}, code: exitRefused, says: "log-proof-invalid"},
		"other bytes": {spoil: func(t *testing.T, s *shop, _ context.CancelFunc) { s.upload(shopPath, []byte("something else")) }, code: exitRefused, says: "signature-wrong-bytes"},
		"unsigned": {spoil: func(t *testing.T, s *shop, _ context.CancelFunc) {
			for _, suffix := range []string{".sigstore.json", ".sigstore-key.json", ".sig"} {
				require.NoError(t, s.server.Delete("ci", artifactorytest.Release, shopPath+suffix))
			}
		}, code: exitRefused, says: "signature-missing"},
		"interrupted": {spoil: func(_ *testing.T, s *shop, cancel context.CancelFunc) {
			s.server.Fail(standin.Fault{Method: http.MethodGet, Path: download, Do: func(*http.Request) { cancel() }, Truncate: 1000})
		}, code: exitUndecided, says: "canceled"},
		"served otherwise": {spoil: func(t *testing.T, s *shop, _ context.CancelFunc) {
			require.NoError(t, s.server.Corrupt(artifactorytest.Release, shopPath, []byte("x")))
		}, code: exitUndecided, says: "bytes are not those that Artifactory reports"},
		"came meanwhile": {spoil: func(t *testing.T, s *shop, _ context.CancelFunc) {
			s.server.Fail(standin.Fault{Method: http.MethodGet, Path: download, Do: func(*http.Request) {
				_ = os.WriteFile(filepath.Join(s.folder, "app.tgz"), []byte("mine"), 0o600)
			}})
		}, args: []string{"--signatures"}, code: exitUndecided, says: "exists"},
		"server down": {spoil: func(_ *testing.T, s *shop, _ context.CancelFunc) {
			s.server.Fail(standin.Fault{Method: http.MethodGet, Path: download, Status: http.StatusBadGateway, Times: -1})
		}, code: exitUndecided, says: "502"},
		"cut off each time": {spoil: func(_ *testing.T, s *shop, _ context.CancelFunc) {
			s.server.Fail(standin.Fault{Method: http.MethodGet, Path: download, Truncate: 300_000, Times: -1})
		}, code: exitUndecided, says: "of 500000 bytes"},
		"signature cut off": {spoil: func(_ *testing.T, s *shop, _ context.CancelFunc) {
			s.server.Fail(standin.Fault{Method: http.MethodGet, Path: download + ".sigstore.json", Truncate: 100, Times: -1})
		}, code: exitUndecided, says: "app.tgz.sigstore.json"},
		"gone": {spoil: func(t *testing.T, s *shop, _ context.CancelFunc) {
			require.NoError(t, s.server.Delete("ci", artifactorytest.Release, shopPath))
		}, code: exitUndecided, says: "does not exist"},
		"no right": {spoil: func(_ *testing.T, s *shop, _ context.CancelFunc) { s.put("token", []byte("nobody")) }, code: exitUndecided, says: "401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t, c.edit)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.spoil != nil {
				c.spoil(t, s, cancel)
			}
			r, held := s.fetch(ctx, c.code, c.args...)
			require.Contains(t, r.out+r.err, c.says)
			require.NotContains(t, r.out+r.err, ".hallmark-fetch-")
			if name == "came meanwhile" {
				require.Equal(t, []string{"app.tgz"}, held)
				content, err := os.ReadFile(filepath.Join(s.folder, "app.tgz"))
				require.NoError(t, err)
				require.Equal(t, "mine", string(content), "it is not replaced, and no signature is put beside it")
				return
			}
			require.Empty(t, held)
		})
	}
}

func TestFetchAsksForWhatItNeeds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for says, args := range map[string][]string{
		"is not REPOSITORY/PATH": {"fetch", "app.tgz"},
		"nobody to believe":      {"fetch", "repo/app.tgz"},
		"is a signature file":    {"fetch", "repo/app.tgz.sig", "--trust", dir},
		"levels 2 and 3":         {"fetch", "repo/app.tgz", "--trust", dir, "--min-level", "1"},
		"must all be set":        {"fetch", "repo/app.tgz", "--url", "https://acme.example"},
	} {
		r := command(t, args...)
		require.Equal(t, exitUndecided, r.code, says)
		require.Contains(t, r.err, says)
	}
}

// As a plugin the program lies where the JFrog CLI looks, answers the question for its signature, and takes server and token
// from the CLI's configuration.
func TestPlugin(t *testing.T) {
	t.Parallel()
	s := newShop(t, nil)
	home := t.TempDir()
	bin := filepath.Join(home, "plugins", "hallmark", "bin")
	require.NoError(t, os.MkdirAll(bin, 0o700))
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, filepath.Join(bin, "hallmark")))
	jf := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "hallmark"), args...)
		cmd.Env, cmd.Dir = []string{asCommand + "=1", "JFROG_CLI_HOME_DIR=" + home}, s.folder
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	configure := func(content string) {
		require.NoError(t, os.WriteFile(filepath.Join(home, "jfrog-cli.conf.v6"), []byte(content), 0o600))
	}
	out, err := jf("hidden-plugin-signature")
	require.NoError(t, err)
	require.JSONEq(t, `{"name": "hallmark", "usage": "`+newRoot().Short+`"}`, out)
	help, err := jf("--help")
	require.NoError(t, err)
	require.NotContains(t, help, "hidden-plugin-signature")

	fetch := []string{"fetch", artifactorytest.Release + "/" + shopPath, "--trust", s.trust}
	for says, content := range map[string]string{
		"no server: give --url":     "",
		"cannot be read":            "{",
		"no server in":              `{"version":"6"}`,
		"is encrypted":              `{"enc":true,"servers":[{"serverId":"a","isDefault":true,"url":"http://x","accessToken":"c2VjcmV0"}]}`,
		`server "a"`:                `{"servers":[{"serverId":"a","isDefault":true,"url":"http://x","user":"u","password":"p"}]}`,
		"url must be https://host":  `{"servers":[{"serverId":"a","isDefault":true,"accessToken":"secret"}]}`,
		"connection to Artifactory": `{"servers":[{"serverId":"a","isDefault":true,"url":"http://127.0.0.1:1/","accessToken":"secret"}]}`,
	} {
		if content != "" {
			configure(content)
		}
		out, err := jf(fetch...)
		require.Error(t, err)
		require.Contains(t, out, says)
		require.NotContains(t, out, "secret")
		require.NoError(t, os.RemoveAll(filepath.Join(home, "jfrog-cli.conf.v6")))
	}
	configure(`{"version":"6","servers":[{"serverId":"other","url":"http://127.0.0.1:1/","accessToken":"x"},{"serverId":"acme","url":"` + s.server.URL() + `/","artifactoryUrl":"` + s.server.URL() + `/artifactory/","accessToken":"` + artifactorytest.Reader + `","isDefault":true}]}`)
	out, err = jf(fetch...)
	require.NoError(t, err, out)
	require.Contains(t, out, "VERIFIED  app.tgz")
	require.Equal(t, []string{"app.tgz"}, s.held())
	out, err = jf(append(fetch, "--overwrite", "--server-id", "other")...)
	require.Error(t, err, out)
	out, err = jf(append(fetch, "--overwrite", "--server-id", "unknown")...)
	require.Error(t, err)
	require.Contains(t, out, `no server "unknown"`)
	require.Equal(t, []string{"app.tgz"}, s.held())
}
