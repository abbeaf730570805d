package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// What webhook install makes is what brings an upload to its signature, and nothing else does.
func TestWebhookInstallBringsEvents(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{}) // has installed it
	upload(t, s, "app/before.bin", "announced")
	awaitSigned(t, s, "app/before.bin")
	for _, d := range delivered(t, s, "app/before.bin.sig") {
		t.Errorf("our own file was announced: %+v", d)
	}
	var list []struct {
		Key, SecretFile string
		Enabled, Ours   bool
	}
	listed := func() int {
		list = nil
		require.NoError(t, json.Unmarshal([]byte(hallmark(t, s, "webhook", "list", "-o", "json").out), &list))
		return len(list)
	}
	require.Equal(t, 1, listed())
	require.Equal(t, s.Path("secrets", "webhook"), list[0].SecretFile)
	require.True(t, list[0].Enabled && list[0].Ours)

	require.Equal(t, 2, hallmark(t, s, "webhook", "remove").code)
	require.Equal(t, 1, listed(), "without --confirm nothing is removed")
	require.Equal(t, 0, hallmark(t, s, "webhook", "remove", "--confirm").code)
	require.Zero(t, listed())
	require.Equal(t, 1, hallmark(t, s, "webhook", "check").code)
	upload(t, s, "app/between.bin", "not announced")
	require.Empty(t, delivered(t, s, "app/between.bin"))

	require.Equal(t, 0, hallmark(t, s, "webhook", "install", "--url", s.URL, "--dry-run").code)
	require.Zero(t, listed())
	r := hallmark(t, s, "webhook", "install", "--url", s.URL)
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "CREATED  "+sandbox.Subscriber)
	piped := s.Command(t.Context(), "webhook", "install", "--admin-token-file", "/dev/stdin") // as into a pod
	piped.Stdin = strings.NewReader(s.Secret("admin") + "\n")
	r = finish(t, s, piped)
	require.Contains(t, r.out, "UNCHANGED", r.err)
	require.Equal(t, 0, hallmark(t, s, "webhook", "check").code)
	upload(t, s, "app/after.bin", "announced again")
	awaitSigned(t, s, "app/after.bin")
	require.Empty(t, state(s, "app/between.bin"))

	jfrogMove(t, jfrogClient(t, s), sandbox.Staging+"/app/after.bin", sandbox.Staging+"/app/moved.bin")
	awaitSigned(t, s, "app/moved.bin")
}

// The secret is rotated while uploads go on and the service is restarted twice. No event is lost, and none refused.
func TestWebhookRotationLosesNothing(t *testing.T) {
	t.Parallel()
	// JFrog tries for 40 s; so many short tries are about as long as a restart takes here.
	s := start(t, sandbox.Config{Timing: standin.WebhookTiming{Tries: 200, Pause: 100 * time.Millisecond}})
	renewed := strings.Repeat("renewed!", 8)
	require.NoError(t, os.WriteFile(s.Path("secrets", "renewed"), []byte(renewed+"\n"), 0o600))
	only := func(name string) string { return fmt.Sprintf("[{file: %s}]", s.Path("secrets", name)) }
	both := fmt.Sprintf("[{file: %s}, {file: %s}]", s.Path("secrets", "webhook"), s.Path("secrets", "renewed"))
	restart := func(from, to string) {
		t.Helper()
		require.NoError(t, s.Terminate())
		edit(t, s.Path("hallmark.yaml"), from, to)
		require.NoError(t, s.Serve(t.Context()))
	}

	var uploaded []string
	var stop atomic.Bool
	var count atomic.Int64
	more := func() { // uploads have gone on
		t.Helper()
		n := count.Load() + 10
		eventually(t, func() string { return "uploads go on" }, func() bool { return count.Load() >= n })
	}
	done := make(chan error, 1)
	go func() {
		var err error
		tick := time.NewTicker(5 * time.Millisecond) // steady work, not a wait for anything
		defer tick.Stop()
		for i := 0; err == nil && !stop.Load(); i++ {
			path := fmt.Sprintf("app/rotation/%d.bin", i)
			err = s.Artifactory.Put(sandbox.Developer, sandbox.Staging, path, strings.NewReader(path), nil)
			uploaded = append(uploaded, path)
			count.Add(1)
			<-tick.C
		}
		done <- err
	}()

	more()
	r := hallmark(t, s, "webhook", "rotate")
	require.Equal(t, 1, r.code, "step 1 is missing")
	require.Contains(t, r.out, "no rotation is under way")
	restart(only("webhook"), both)
	r = hallmark(t, s, "webhook", "rotate")
	require.Equal(t, 0, r.code, r.out+r.err)
	require.Contains(t, r.out, "then take "+s.Path("secrets", "webhook")+" out of webhookSecrets")
	require.NotContains(t, r.out+r.err, renewed)
	more()

	// Its five minutes are these tries: what was begun with the old secret must have arrived.
	stop.Store(true)
	require.NoError(t, <-done)
	delivered(t, s, "")
	restart(both, only("renewed"))
	require.Equal(t, 0, hallmark(t, s, "webhook", "check").code)
	upload(t, s, "app/after.bin", "with the new secret alone")
	awaitSigned(t, s, append(uploaded, "app/after.bin")...)
	for _, d := range s.Artifactory.Deliveries() {
		require.Less(t, d.Status, 300, "%+v", d)
	}
	require.NotContains(t, serviceLog(t, s), renewed)
}

// By default a platform refuses private addresses. The command says which setting an administrator changes, leaves
// everything as it was, and works once that is done.
func TestWebhookInstallOfARefusedAddress(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	advice := []string{"not allowed", "private address", "event.webhooks.urlStrictPolicy: false", "event.security.blacklist.enabled: false"}
	require.NoError(t, s.Artifactory.SetQuirks(standin.Quirks{PrivateTargets: "refuse"}))
	r := hallmark(t, s, "webhook", "check")
	require.Equal(t, 1, r.code)
	for _, words := range advice {
		require.Contains(t, r.out, words)
	}
	require.Equal(t, 0, hallmark(t, s, "webhook", "remove", "--confirm").code)
	for _, how := range []string{"--no-test", "--no-test=false"} {
		r = hallmark(t, s, "webhook", "install", "--url", s.URL, how)
		require.Equal(t, 2, r.code)
		require.Empty(t, r.out)
		for _, words := range advice {
			require.Contains(t, r.err, words)
		}
	}
	require.NoError(t, s.Artifactory.SetQuirks(standin.Quirks{}))
	require.Equal(t, 0, hallmark(t, s, "webhook", "install", "--url", s.URL).code)
	upload(t, s, "app/allowed.bin", "announced")
	awaitSigned(t, s, "app/allowed.bin")
}
