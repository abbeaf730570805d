package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// doctor on a sound installation, beside a running service and without one; and what it says of missing rights.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Standin: func(c *standin.Config) {
		c.Tokens = append(c.Tokens, standin.Token{Value: "reads-only", User: "reader", Rights: map[string]string{"*": "r"}})
		c.Repositories = append(c.Repositories, standin.Repository{Key: "not-for-hallmark"})
	}})
	require.Contains(t, serviceLog(t, s), `"msg":"ready"`)
	r := hallmark(t, s, "doctor")
	require.Equal(t, 0, r.code, r.out+r.err)
	require.Contains(t, r.out, "in use by a running service")
	require.NoError(t, s.Terminate())

	var checks []hsm.Check
	hallmarkJSON(t, s, 0, &checks, "doctor")
	var names []string
	for _, c := range checks {
		names = append(names, c.Name)
		require.True(t, c.OK)
	}
	for _, name := range []string{
		"configuration is sound", "policies are sound", "token hsm: module loads", "token hsm: slots and tokens seen", "token hsm: token found",
		"token hsm: PIN accepted", "key " + sandbox.Key + ": key found exactly once", "key " + sandbox.Key + ": pinned public key matches",
		"key " + sandbox.Key + ": test signature verifies", "artifactory main: webhook secrets", "artifactory main: reachable",
		"artifactory main: token accepted", "artifactory main: signs in " + sandbox.Staging, "artifactory main: guards " + sandbox.Release,
		"database is writable",
	} {
		require.Contains(t, names, name)
	}
	fresh := copyConfig(t, s)
	hallmarkJSON(t, s, 0, &checks, "doctor", "--config", fresh)
	left, err := os.ReadDir(filepath.Dir(fresh))
	require.NoError(t, err)
	require.Len(t, left, 1, "a database that is not there yet stays so: only the configuration is")
	require.Len(t, s.Artifactory.Paths(sandbox.Staging), 0, "the probes leave nothing behind")

	fails := func(want, fix string) {
		t.Helper()
		var checks []hsm.Check
		hallmarkJSON(t, s, 1, &checks, "doctor")
		found := false
		for _, c := range checks {
			require.Equal(t, c.Name != want, c.OK, "%+v", c)
			found = found || c.Name == want && strings.Contains(c.Fix, fix)
		}
		require.True(t, found, "%+v", checks)
	}
	token := s.Path("secrets", "artifactory")
	good, err := os.ReadFile(token)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(token, []byte("reads-only\n"), 0o600))
	fails("artifactory main: signs in "+sandbox.Staging, "read, annotate and deploy")
	require.NoError(t, os.WriteFile(token, []byte("revoked\n"), 0o600))
	fails("artifactory main: token accepted", "access token")
	require.NoError(t, os.WriteFile(token, good, 0o600))
	edit(t, s.Path("policies", "release.yaml"), sandbox.Release, "nowhere-local")
	fails("artifactory main: guards nowhere-local", "create the repository")
	edit(t, s.Path("policies", "release.yaml"), "nowhere-local", sandbox.Release, "["+sandbox.Staging+"]", "["+sandbox.Staging+", nowhere-local]")
	fails("artifactory main: signs in nowhere-local", "create the repository")
	edit(t, s.Path("policies", "release.yaml"), ", nowhere-local]", "]")
	require.NoError(t, s.Artifactory.Close())
	fails("artifactory main: reachable", "firewall")
}
