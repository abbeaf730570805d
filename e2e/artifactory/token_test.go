package artifactory_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// Each call with exactly the rights it needs, and with all others but one of them.
func TestRights(t *testing.T) {
	t.Parallel()
	const at = "libs-staging-local/a/f"
	calls := []struct {
		name, method, target, body string
		staging, release           string // needed rights
		status                     int
	}{
		{"download", "GET", "/artifactory/" + at, "", "r", "", 200},
		{"head", "HEAD", "/artifactory/" + at, "", "r", "", 200},
		{"info", "GET", "/artifactory/api/storage/" + at, "", "r", "", 200},
		{"deploy", "PUT", "/artifactory/libs-staging-local/new", "x", "w", "", 201},
		{"overwrite", "PUT", "/artifactory/" + at, "y", "wd", "", 201},
		{"delete", "DELETE", "/artifactory/" + at, "", "d", "", 204},
		{"set properties", "PUT", "/artifactory/api/storage/" + at + "?properties=k=v", "", "a", "", 204},
		{"delete properties", "DELETE", "/artifactory/api/storage/" + at + "?properties=k", "", "a", "", 204},
		{"patch", "PATCH", "/artifactory/api/metadata/" + at, `{"props":{"k":"v"}}`, "a", "", 204},
		{"copy", "POST", "/artifactory/api/copy/" + at + "?to=/libs-release-local/f", "", "r", "w", 200},
		{"copy over", "POST", "/artifactory/api/copy/" + at + "?to=/libs-release-local/old", "", "r", "wd", 200},
		{"move", "POST", "/artifactory/api/move/" + at + "?to=/libs-release-local/f", "", "d", "w", 200},
		{"repository", "GET", "/artifactory/api/repositories/libs-staging-local", "", "r", "", 200},
	}
	ask := func(t *testing.T, method, target, body, staging, release string) int {
		s := artifactorytest.Start(t, standin.Config{Tokens: []standin.Token{{Value: "t", User: "t", Rights: map[string]string{
			artifactorytest.Staging: staging, artifactorytest.Release: release,
		}}}})
		require.NoError(t, s.Put("ci", artifactorytest.Staging, "a/f", strings.NewReader("x"), nil))
		require.NoError(t, s.Put("ci", artifactorytest.Release, "old", strings.NewReader("old"), nil))
		resp, _ := send(t, s, request{method: method, target: target, token: "t", body: body})
		return resp.StatusCode
	}
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.status, ask(t, c.method, c.target, c.body, c.staging, c.release))
			for i := range len(c.staging) {
				without := strings.Replace("rwda", c.staging[i:i+1], "", 1)
				require.Equal(t, 403, ask(t, c.method, c.target, c.body, without, "rwda"), "staging %s", without)
			}
			for i := range len(c.release) {
				without := strings.Replace("rwda", c.release[i:i+1], "", 1)
				require.Equal(t, 403, ask(t, c.method, c.target, c.body, "rwda", without), "release %s", without)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	const target = "/artifactory/api/system/ping"
	ask := func(header map[string]string) int {
		resp, _ := send(t, s, request{method: "GET", target: target, header: header})
		return resp.StatusCode
	}
	require.Equal(t, 200, ask(map[string]string{"Authorization": "Bearer " + artifactorytest.Reader}))
	require.Equal(t, 200, ask(map[string]string{"X-JFrog-Art-Api": artifactorytest.Reader}))
	require.Equal(t, 200, ask(map[string]string{"Authorization": "Basic cmVhZGVyOnRva2VuLXJlYWRlcg=="}), "reader:token-reader")
	require.Equal(t, 401, ask(map[string]string{"Authorization": "Basic Y2k6dG9rZW4tcmVhZGVy"}), "ci:token-reader")
	require.Equal(t, 401, ask(map[string]string{"Authorization": "Bearer nonsense"}))
	require.Equal(t, 401, ask(nil))
	s.RemoveToken(artifactorytest.Reader)
	require.Equal(t, 401, ask(map[string]string{"Authorization": "Bearer " + artifactorytest.Reader}))
}

func TestUnknownRepository(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	for _, target := range []string{"/artifactory/nowhere/f", "/artifactory/api/storage/nowhere/f"} {
		resp, _ := send(t, s, request{method: "GET", target: target, token: artifactorytest.CI})
		require.Equal(t, 404, resp.StatusCode)
	}
	resp, _ := send(t, s, request{method: "GET", target: "/artifactory/api/repositories/nowhere", token: artifactorytest.CI})
	require.Equal(t, 400, resp.StatusCode)
}

// What the stand-in cannot do, it says.
func TestUnsupported(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	require.NoError(t, s.Put("ci", artifactorytest.Staging, "a/f", strings.NewReader("x"), nil))
	for _, c := range []struct{ method, target string }{
		{"POST", "/artifactory/api/build/append/bld/7"},
		{"POST", "/artifactory/api/build/retention/bld"},
		{"POST", "/artifactory/api/build/rename/bld"},
		{"GET", "/artifactory/api/storage/libs-staging-local/a?list&deep=1"},
		{"GET", "/artifactory/api/storage/libs-staging-local/a/f?permissions"},
		{"PATCH", "/artifactory/libs-staging-local/a/f"},
		{"POST", "/artifactory/libs-staging-local/a/f"},
		{"GET", "/evidence/api/v1/subject/libs-staging-local/a/f"},
		{"POST", "/lifecycle/api/v2/release_bundle/rb/1/finalize"},
		{"POST", "/lifecycle/api/v2/distribution/distribute/rb/1"},
		{"GET", "/access/api/v1/tokens"},
		{"DELETE", "/artifactory/libs-staging-local"},
		{"POST", "/artifactory/api/copy/libs-staging-local?to=/libs-release-local/x"},
		{"GET", "/"},
	} {
		resp, body := send(t, s, request{method: c.method, target: c.target, token: artifactorytest.Admin})
		require.Equal(t, 501, resp.StatusCode, c.target)
		require.Contains(t, body, "stand-in: ", c.target)
	}
}
