package artifactory_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// try is send for calls that may fail below HTTP, on a connection of their own.
func try(t *testing.T, s *standin.Server, method, target, body string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+target, strings.NewReader(body))
	require.NoError(t, err)
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(got), err
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fault  standin.Fault
		effect bool
		status int
		cut    bool
	}{
		{"before", standin.Fault{Status: 503}, false, 503, false},
		{"after", standin.Fault{Status: 503, When: standin.After}, true, 503, false},
		{"reset before", standin.Fault{Reset: true}, false, 0, true},
		{"reset after", standin.Fault{Reset: true, When: standin.After}, true, 0, true},
		{"delay", standin.Fault{Delay: time.Millisecond}, true, 201, false},
		{"other method", standin.Fault{Method: "GET", Status: 503}, true, 201, false},
		{"other path", standin.Fault{Path: "/artifactory/libs-release-local/**", Status: 503}, true, 201, false},
		{"path", standin.Fault{Path: "/artifactory/*/a/*.txt", Status: 507}, false, 507, false},
		{"function", standin.Fault{Match: func(r *http.Request) bool { return r.Header.Get("X") == "y" }, Status: 503}, true, 201, false},
		{"truncated answer", standin.Fault{Truncate: 10}, true, 201, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{})
			s.Fail(tt.fault)
			status, _, err := try(t, s, "PUT", greeting, "hello\n")
			require.Equal(t, tt.status, status)
			require.Equal(t, tt.cut, err != nil, "%v", err)
			if tt.fault.Reset {
				require.True(t, errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF), "%v", err)
			}
			_, there := s.File(artifactorytest.Staging, "a/hello.txt")
			require.Equal(t, tt.effect, there)
		})
	}
}

func TestFaultCounts(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	disarm := s.Fail(standin.Fault{Status: 429, RetryAfter: time.Second, Times: 2})
	for _, want := range []int{429, 429, 404} {
		resp, _ := send(t, s, request{method: "GET", target: greeting, token: artifactorytest.CI})
		require.Equal(t, want, resp.StatusCode)
		if want == 429 {
			require.Equal(t, "1", resp.Header.Get("Retry-After"))
		}
	}
	require.Equal(t, 2, disarm())
	disarm = s.Fail(standin.Fault{Status: 500, Times: -1})
	for range 3 {
		resp, _ := send(t, s, request{method: "GET", target: greeting, token: artifactorytest.CI})
		require.Equal(t, 500, resp.StatusCode)
	}
	require.Equal(t, 3, disarm())
	resp, _ := send(t, s, request{method: "GET", target: greeting, token: artifactorytest.CI})
	require.Equal(t, 404, resp.StatusCode)
}

func TestFaultyDownloads(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1000, 200_000} { // from the pack, and by sendfile
		s := artifactorytest.Start(t, standin.Config{})
		require.NoError(t, s.Put("ci", artifactorytest.Staging, "f", strings.NewReader(strings.Repeat("x", size)), nil))
		s.Fail(standin.Fault{Truncate: 700})
		status, got, err := try(t, s, "GET", "/artifactory/libs-staging-local/f", "")
		require.Equal(t, 200, status)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Len(t, got, 700)

		s.Fail(standin.Fault{Drip: time.Millisecond})
		_, got, err = try(t, s, "GET", "/artifactory/libs-staging-local/f", "")
		require.NoError(t, err)
		require.Len(t, got, size)

		s.Fail(standin.Fault{Status: 302, Body: "elsewhere", Header: http.Header{"Location": {s.URL() + "/artifactory/libs-staging-local/f"}}})
		_, got, err = try(t, s, "GET", "/artifactory/libs-staging-local/f", "")
		require.NoError(t, err)
		require.Len(t, got, size, "followed")
	}
}

// A hook runs between what a client learns and what it does next.
func TestFaultHook(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	put(t, s, artifactorytest.Staging, "f")
	s.Fail(standin.Fault{Method: "GET", Path: "/artifactory/libs-staging-local/f", Do: func(*http.Request) {
		if err := s.Put("mallory", artifactorytest.Staging, "f", strings.NewReader("other"), nil); err != nil {
			t.Error(err)
		}
	}})
	_, body := send(t, s, request{method: "GET", target: "/artifactory/api/storage/libs-staging-local/f", token: artifactorytest.CI})
	require.Contains(t, body, helloSHA256)
	_, body = send(t, s, request{method: "GET", target: "/artifactory/libs-staging-local/f", token: artifactorytest.CI})
	require.Equal(t, "other", body)
	require.Equal(t, 1, s.CountRequests("GET", "/artifactory/api/storage/"))
}
