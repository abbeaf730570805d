package e2e

import (
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// held keeps the download of one artifact from beginning until release is called.
func held(t *testing.T, s *sandbox.Sandbox, path string) (began <-chan struct{}, release func()) {
	t.Helper()
	started, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	release = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(release)
	s.Artifactory.Fail(standin.Fault{
		Method: http.MethodGet, Path: "/artifactory/" + sandbox.Staging + "/" + path, Times: -1,
		Do: func(*http.Request) {
			once.Do(func() { close(started) })
			<-gate
		},
	})
	return started, release
}

// SIGTERM: what runs is finished, nothing new is taken, the exit status is 0.
func TestTerminateDrains(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	began, release := held(t, s, "app/slow.bin")
	upload(t, s, "app/slow.bin", "slow")
	<-began

	ended := make(chan error, 1)
	go func() { ended <- s.Terminate() }()
	eventually(t, func() string { return "webhooks are refused" }, func() bool { return probe(t, s.URL+"/webhook/main") == 0 })
	require.Equal(t, http.StatusServiceUnavailable, probe(t, s.MetricsURL+"/readyz"), "load balancers are told")
	require.Equal(t, http.StatusOK, probe(t, s.MetricsURL+"/healthz"), "alive while it drains")
	require.Empty(t, state(s, "app/slow.bin"))
	release()
	require.NoError(t, <-ended)
	require.Equal(t, "signed", state(s, "app/slow.bin"), "running work was finished before the end")
	log := serviceLog(t, s)
	require.Contains(t, log, `"msg":"draining"`)
	require.Contains(t, log, `"msg":"stopped"`)
}

// Work that does not end within server.drain is interrupted, and taken up at the next start.
func TestDrainIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	edit(t, s.Path("hallmark.yaml"), "server:\n", "server:\n  drain: 200ms\n")
	require.NoError(t, s.Serve(t.Context()))
	began, release := held(t, s, "app/slow.bin")
	upload(t, s, "app/slow.bin", "slow")
	<-began
	before := time.Now()
	require.NoError(t, s.Terminate())
	require.Less(t, time.Since(before), 8*time.Second)
	require.Empty(t, state(s, "app/slow.bin"))
	release()
	require.NoError(t, s.Serve(t.Context()))
	awaitSigned(t, s, "app/slow.bin")
}

// A second signal does not wait for the drain.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	began, _ := held(t, s, "app/slow.bin")
	upload(t, s, "app/slow.bin", "slow")
	<-began
	pid := s.PID()
	ended := make(chan error, 1)
	go func() { ended <- s.Terminate() }()
	eventually(t, func() string { return "draining" }, func() bool { return strings.Contains(serviceLog(t, s), `"msg":"draining"`) })
	require.NoError(t, syscall.Kill(pid, syscall.SIGTERM))
	require.ErrorContains(t, <-ended, "signal: terminated")
}

// probe is the status of a GET; 0 when nobody listens.
func probe(t *testing.T, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// edit replaces text in a file; it must be there.
func edit(t *testing.T, file string, pairs ...string) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	text := string(content)
	for i := 0; i < len(pairs); i += 2 {
		require.Contains(t, text, pairs[i])
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
}
