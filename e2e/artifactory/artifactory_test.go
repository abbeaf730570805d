package artifactory_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// request is one HTTP exchange for tests: a method, a raw target below the server, who, and what.
type request struct {
	method, target, token, body string
	header                      map[string]string
}

func send(t testing.TB, s *standin.Server, r request) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.method, s.URL(), strings.NewReader(r.body))
	require.NoError(t, err)
	path, query, _ := strings.Cut(r.target, "?")
	req.URL.Opaque, req.URL.RawQuery = path, query // sent as it stands
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestDeployAndRead(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	resp, body := send(t, s, request{"PUT", "/artifactory/libs-staging-local/a/b.tgz;team=x;team=y;stage=dev", artifactorytest.CI, "hello\n", map[string]string{
		"X-Checksum": "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
	}})
	require.Equal(t, 201, resp.StatusCode, body)
	require.Contains(t, body, `"size":"6"`)
	resp, body = send(t, s, request{method: "GET", target: "/artifactory/libs-staging-local/a/b.tgz", token: artifactorytest.Reader})
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "hello\n", body)
	require.Equal(t, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", resp.Header.Get("X-Checksum-Sha256"))
	_, body = send(t, s, request{method: "GET", target: "/artifactory/api/storage/libs-staging-local/a/b.tgz", token: artifactorytest.Reader})
	require.Contains(t, body, `"path":"/a/b.tgz"`)
	_, body = send(t, s, request{method: "GET", target: "/artifactory/api/storage/libs-staging-local/a/b.tgz?properties", token: artifactorytest.Reader})
	require.Contains(t, body, `"properties":{"stage":["dev"],"team":["x","y"]}`)
}
