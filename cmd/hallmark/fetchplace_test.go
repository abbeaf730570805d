package main

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What stands there stays as it is until something better is verified, with its signatures.
func TestFetchReplacesOnlyByWhatIsVerified(t *testing.T) {
	t.Parallel()
	s := newShop(t, nil)
	mine := map[string]string{"app.tgz": "mine", "app.tgz.sig": "my signature"}
	for name, content := range mine {
		require.NoError(t, os.WriteFile(filepath.Join(s.folder, name), []byte(content), 0o600))
	}
	untouched := func(held []string) {
		t.Helper()
		require.Equal(t, []string{"app.tgz", "app.tgz.sig"}, held)
		for name, content := range mine {
			got, err := os.ReadFile(filepath.Join(s.folder, name))
			require.NoError(t, err)
			require.Equal(t, content, string(got))
		}
	}
	download := "/artifactory/" + artifactorytest.Release + "/" + shopPath
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s.server.Fail(standin.Fault{Method: http.MethodGet, Path: download, Do: func(*http.Request) { cancel() }, Truncate: 1000})
	_, held := s.fetch(ctx, exitUndecided, "--overwrite", "--signatures")
	untouched(held)
	s.server.Fail(standin.Fault{Method: http.MethodGet, Path: download, Status: http.StatusForbidden})
	_, held = s.fetch(t.Context(), exitUndecided, "--overwrite", "--signatures")
	untouched(held)
	_, held = s.fetch(t.Context(), exitRefused, "--overwrite", "--signatures", "--lane", "development")
	untouched(held)

	// In place of the file there is a directory all at once: signature files that were replaced already come back.
	file := filepath.Join(s.folder, "app.tgz")
	s.server.Fail(standin.Fault{Method: http.MethodGet, Path: download, Do: func(*http.Request) {
		_ = os.Rename(file, file+".away")
		_ = os.MkdirAll(filepath.Join(file, "full"), 0o700)
	}})
	r, _ := s.fetch(t.Context(), exitUndecided, "--overwrite", "--signatures")
	require.Contains(t, r.err, "app.tgz is a directory")
	require.NoError(t, os.RemoveAll(file))
	require.NoError(t, os.Rename(file+".away", file))
	untouched(s.held())

	_, held = s.fetch(t.Context(), exitOK, "--overwrite", "--signatures")
	require.Equal(t, []string{"app.tgz", "app.tgz.sig", "app.tgz.sigstore-key.json", "app.tgz.sigstore.json"}, held)
	s.verify(t, exitOK, file, "--trust", s.trust, "--min-level", "3")
}

// In a process of its own: a signal, a terminal that is closed, and a file system that takes no more leave nothing either.
func TestFetchProcessLeavesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t, nil)
	self, err := os.Executable()
	require.NoError(t, err)
	args := []string{"fetch", artifactorytest.Release + "/" + shopPath, "--url", s.server.URL(), "--access-token-file", s.at("token"), "--trust", s.trust, "--to", s.folder}
	fetch := func(shell string, began chan<- int) (int, string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "/bin/sh", append([]string{"-c", shell + `exec "$0" "$@"`, self}, args...)...)
		var out bytes.Buffer
		cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), asCommand+"=1"), &out, &out
		require.NoError(t, cmd.Start())
		began <- cmd.Process.Pid
		_ = cmd.Wait()
		return cmd.ProcessState.ExitCode(), out.String()
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // where tests run under nohup, processes would be begun deaf to it
	defer signal.Stop(hangup)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		began := make(chan int, 1)
		s.server.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + artifactorytest.Release + "/" + shopPath, Truncate: 1000, Do: func(r *http.Request) {
			hidden, err := os.ReadDir(s.folder)
			assert.NoError(t, err)
			assert.Len(t, hidden, 1, "it lies hidden while it comes")
			assert.NoError(t, syscall.Kill(<-began, sig))
			<-r.Context().Done()
		}})
		code, out := fetch("", began)
		require.Equal(t, exitUndecided, code, out)
		require.Empty(t, s.held(), sig)
	}
	code, out := fetch("ulimit -f 64; ", make(chan int, 1))
	require.Equal(t, exitUndecided, code, out)
	require.Contains(t, out, "storing the download")
	require.Contains(t, out, "file too large")
	require.Empty(t, s.held())
}
