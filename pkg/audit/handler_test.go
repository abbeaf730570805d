package audit_test

import (
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"
	"github.com/transparency-dev/tessera/client"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

func filled(t testing.TB, r *rig, n int) *audit.Log {
	t.Helper()
	l := r.open(t)
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() {
			if _, err := l.Add(t.Context(), leafOf(i)); err != nil {
				t.Errorf("add: %v", err)
			}
		})
	}
	wait.Wait()
	require.NoError(t, l.PublishNow())
	return l
}

func get(t testing.TB, h http.Handler, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	req := httptest.NewRequest(method, "http://x/", nil)
	req.URL = &url.URL{Path: path} // as it comes, not cleaned
	h.ServeHTTP(w, req)
	return w.Result()
}

// A monitor that follows the log over HTTP, with Tessera's own client, gets every leaf and the tree they make.
func TestMonitorFollows(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const n = 600
	l := filled(t, r, n)
	server := httptest.NewServer(http.StripPrefix("/log", l.Handler()))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/log/")
	require.NoError(t, err)
	fetch, err := client.NewHTTPFetcher(u, server.Client())
	require.NoError(t, err)
	v, err := signature.LoadVerifier(r.key.Public(), r.key.Hash())
	require.NoError(t, err)
	nv, err := rekornote.NewNoteVerifier(origin, v)
	require.NoError(t, err)
	c, _, _, err := client.FetchCheckpoint(t.Context(), fetch.ReadCheckpoint, nv, origin)
	require.NoError(t, err)
	require.Equal(t, uint64(n), c.Size)
	seen := 0
	for i := uint64(0); i*256 < n; i++ {
		b, err := client.GetEntryBundle(t.Context(), fetch.ReadEntryBundle, i, c.Size)
		require.NoError(t, err)
		seen += len(b.Entries)
	}
	require.Equal(t, n, seen)
	hashes, err := client.FetchLeafHashes(t.Context(), fetch.ReadTile, 0, n, c.Size)
	require.NoError(t, err)
	require.Len(t, hashes, n)
}

func TestHandlerServesNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := filled(t, r, 300).Handler()
	require.NoError(t, os.WriteFile(filepath.Join(r.config.Dir, "secret"), []byte("secret"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(r.config.Dir), "secret"), []byte("secret"), 0o600))
	for _, path := range []string{
		"", "/", "/secret", "/tile", "/tile/", "/tile/0", "/tile/0/", "/tile/0/000.p", "/tile/0/000.p/", "/tile/entries", "/tile/entries/",
		"/.state/treeState", "/.state/", "/tile/../secret", "/tile/0/../../secret", "/tile/0/../../../secret", "/../secret", "//checkpoint", "/checkpoint/",
		"/tile/00/000", "/tile/0/0", "/tile/0/0000", "/tile/0/x000/000", "/tile/0/000.p/0", "/tile/0/000.p/256", "/tile/0/000.p/044", "/tile/64/000", "/tile/8/000",
		"/tile/0/002", "/tile/0/001", "/tile/0/001.p/45", "/tile/1/000", "/tile/1/000.p/2", "/tile/7/x999/x999/x999/x999/999", "/tile/entries/001.p/45", "/tile/-1/000",
		"/tile/0/x999/x999/x999/x999/x999/x999/x999/999", "/tile/0/000\x00", "/checkpoint\x00", `/tile\0\000`,
	} {
		resp := get(t, h, http.MethodGet, path)
		body, _ := io.ReadAll(resp.Body)
		require.Equal(t, http.StatusNotFound, resp.StatusCode, "%q: %s", path, body)
		require.NotContains(t, string(body), "secret")
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		require.Equal(t, http.StatusMethodNotAllowed, get(t, h, method, "/checkpoint").StatusCode)
	}
}

func TestHandlerHeaders(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := filled(t, r, 300).Handler()
	for path, want := range map[string]string{
		"/checkpoint": "no-cache", "/tile/0/000": "max-age=31536000, immutable", "/tile/entries/000": "max-age=31536000, immutable",
		"/tile/0/001.p/44": "max-age=60", "/tile/entries/001.p/44": "max-age=60", "/tile/1/000.p/1": "max-age=60",
	} {
		resp := get(t, h, http.MethodGet, path)
		require.Equal(t, http.StatusOK, resp.StatusCode, path)
		require.Equal(t, want, resp.Header.Get("Cache-Control"), path)
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NotEmpty(t, body)
		head := get(t, h, http.MethodHead, path)
		require.Equal(t, http.StatusOK, head.StatusCode)
		rest, err := io.ReadAll(head.Body)
		require.NoError(t, err)
		require.Empty(t, rest)
	}
	tile, err := io.ReadAll(get(t, h, http.MethodGet, "/tile/0/000").Body)
	require.NoError(t, err)
	require.Len(t, tile, 256*sha256.Size)
}

// A leaf that no checkpoint covers yet is nobody's business: had the machine lost it, the log would contradict itself.
func TestHandlerWaitsForTheCheckpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := filled(t, r, 3)
	h := l.Handler()
	r.memory.Fail(io.ErrUnexpectedEOF)
	_, err := l.Add(t.Context(), leafOf(3))
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(r.config.Dir, "tile/entries/000.p/4"))
	require.Equal(t, http.StatusNotFound, get(t, h, http.MethodGet, "/tile/entries/000.p/4").StatusCode)
	require.Equal(t, http.StatusOK, get(t, h, http.MethodGet, "/tile/entries/000.p/3").StatusCode)
	r.memory.Fail(nil)
	require.NoError(t, l.PublishNow())
	require.Equal(t, http.StatusOK, get(t, h, http.MethodGet, "/tile/entries/000.p/4").StatusCode)
}
