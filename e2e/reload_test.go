package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// Policies change while the service runs: a good change comes into force for uploads, explanations and the gate, a broken
// one does not and leaves the service ready, and the next good one does again. Decisions name the set they were made with.
func TestPoliciesChangeWhileServing(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	file := s.Path("policies", "release.yaml")
	set := func() string {
		var checked struct{ PolicySet string }
		r := hallmark(t, s, "policy", "check", "--config", s.Path("hallmark.yaml"), "-o", "json")
		require.Equal(t, 0, r.code, r.out)
		require.NoError(t, json.Unmarshal([]byte(r.out), &checked))
		require.NotEmpty(t, checked.PolicySet)
		return checked.PolicySet
	}
	said := func(what string) int { return strings.Count(serviceLog(t, s), what) }
	inForce := func(digest string) {
		t.Helper()
		eventually(t, func() string { return "in force: " + digest + "\n" + serviceLog(t, s) }, func() bool {
			return strings.Contains(serviceLog(t, s), `"changed policies are in force"`) && strings.Contains(serviceLog(t, s), `"policy_set":"`+digest+`","before"`)
		})
	}
	madeWith := func(digest, path string) {
		t.Helper()
		r := hallmark(t, s, "status", sandbox.Staging+"/"+path, "-o", "json")
		require.Contains(t, r.out, digest, r.out)
	}
	gate := func(path string) result {
		return hallmark(t, s, "gate", "check", sandbox.Staging+"/"+path, "--target", sandbox.Release, "-o", "json")
	}
	hangUp := func() {
		t.Helper()
		require.NoError(t, syscall.Kill(s.PID(), syscall.SIGHUP))
	}

	first := set()
	upload(t, s, "app/one.bin", "one")
	upload(t, s, "lib/one.bin", "one of another sort")
	awaitSigned(t, s, "app/one.bin")
	delivered(t, s, "")
	madeWith(first, "app/one.bin")
	require.Equal(t, 0, gate("app/one.bin").code)
	require.Empty(t, state(s, "lib/one.bin"))

	// The service finds the change by itself: other paths are signed, and the gate asks for a format that is not there.
	edit(t, file, `["app/**"]`, `["lib/**"]`, "count: 1}", "count: 1, formats: [cosign]}")
	second := set()
	require.NotEqual(t, first, second)
	inForce(second)
	upload(t, s, "lib/two.bin", "two")
	upload(t, s, "app/two.bin", "two of another sort")
	awaitSigned(t, s, "lib/two.bin")
	delivered(t, s, "")
	madeWith(second, "lib/two.bin")
	require.Empty(t, state(s, "app/two.bin"))
	refused := gate("app/one.bin")
	require.Equal(t, 1, refused.code, refused.out)
	require.Contains(t, refused.out, second)

	// A broken set changes nothing, and is told once.
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	edit(t, file, "sign:", "sing:")
	hangUp()
	eventually(t, func() string { return "the mistake is told\n" + serviceLog(t, s) }, func() bool { return said("changed policies are broken") > 0 })
	require.Contains(t, serviceLog(t, s), `release.yaml:7:1: unknown key \"sing\"; did you mean \"sign\"?`)
	m := scrape(t, s)
	require.InDelta(t, 1, m.value("hallmark_policy_reload_failures_total"), 0)
	require.InDelta(t, 1, m.value("hallmark_policy_reload_refused"), 0)
	require.Equal(t, http.StatusOK, probe(t, s.MetricsURL+"/readyz"))
	upload(t, s, "lib/three.bin", "three")
	awaitSigned(t, s, "lib/three.bin")
	madeWith(second, "lib/three.bin")

	// The next good one comes into force, at once when asked for.
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(good), ", formats: [cosign]}", "}")), 0o600))
	third := set()
	hangUp()
	inForce(third)
	require.Equal(t, 0, gate("app/one.bin").code)
	m = scrape(t, s)
	require.InDelta(t, 0, m.value("hallmark_policy_reload_refused"), 0)
	require.InDelta(t, 1, m.value("hallmark_policy_reload_failures_total"), 0)
	require.Positive(t, m.value("hallmark_policy_loaded_timestamp_seconds"))
	require.Equal(t, 1, said("changed policies are broken"))
	require.NoError(t, s.Terminate())
}
