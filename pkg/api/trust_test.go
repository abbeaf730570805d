package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

func trustRig(t *testing.T, source func(ctx context.Context) ([]trust.File, error)) *rig {
	t.Helper()
	r := &rig{reg: prometheus.NewRegistry(), log: &lines{}}
	deps := r.deps()
	deps.Trust, deps.TrustVersion = source, func(context.Context) (string, error) { return "1", nil }
	var err error
	r.handler, err = New(Config{Instances: []string{"main"}, Tokens: tokens()}, deps)
	require.NoError(t, err)
	return r
}

var exportedFiles = []trust.File{
	{Name: "trusted_root.json", MediaType: "application/json", Content: []byte("{}\n")},
	{Name: "ca.pem", MediaType: "application/pem-certificate-chain", Content: []byte("chain\n")},
	{Name: "keys/release-2026.pem", MediaType: "application/x-pem-file", Content: []byte("key\n")},
	{Name: "hallmark-trust.json", MediaType: "application/json", Content: []byte("[]\n")},
}

// What verifiers must believe is for anybody, and for caches.
func TestTrustIsPublic(t *testing.T) {
	t.Parallel()
	r := trustRig(t, func(context.Context) ([]trust.File, error) { return exportedFiles, nil })
	for _, f := range exportedFiles {
		w := r.call(http.MethodGet, "/v1/trust/"+f.Name, "", "")
		require.Equal(t, http.StatusOK, w.Code, f.Name)
		require.Equal(t, string(f.Content), w.Body.String())
		require.Equal(t, f.MediaType, w.Header().Get("Content-Type"))
		require.Equal(t, "public, max-age=300", w.Header().Get("Cache-Control"))
		require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		etag := w.Header().Get("ETag")
		require.Regexp(t, `^"[0-9a-f]{64}"$`, etag)

		head := r.call(http.MethodHead, "/v1/trust/"+f.Name, "", "")
		require.Equal(t, http.StatusOK, head.Code)
		require.Empty(t, head.Body.String())
		require.Contains(t, w.Header(), "Age")
		head.Header().Set("Age", w.Header().Get("Age"))
		require.Equal(t, w.Header(), head.Header())

		req := httptest.NewRequest(http.MethodGet, "/v1/trust/"+f.Name, nil)
		req.Header.Set("If-None-Match", `"other", `+etag)
		again := httptest.NewRecorder()
		r.handler.ServeHTTP(again, req)
		require.Equal(t, http.StatusNotModified, again.Code)
		require.Empty(t, again.Body.String())
		require.Equal(t, etag, again.Header().Get("ETag"))
		require.Equal(t, "public, max-age=300", again.Header().Get("Cache-Control"))
	}
	require.Contains(t, strings.Join(r.log.all(), "\n"), `"route":"/v1/trust/*","caller":"","status":304`)

	for _, path := range []string{"/v1/trust/", "/v1/trust/keys/", "/v1/trust/keys", "/v1/trust/none.json", "/v1/trust/../status", "/v1/trust/keys/..%2ftrusted_root.json"} {
		w := r.call(http.MethodGet, path, "", "")
		require.Equal(t, http.StatusNotFound, w.Code, path)
		require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		problemIn(t, w)
	}
	w := r.call(http.MethodPost, "/v1/trust/ca.pem", "", "")
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, []string{"GET", "HEAD"}, w.Header().Values("Allow"))

	require.Equal(t, http.StatusNotFound, newRig(t).call(http.MethodGet, "/v1/trust/ca.pem", "", "").Code, "nothing to believe, no route")
}

// Who says so is served what is true now, such as a key distrusted a moment ago, and not what was true some seconds before.
func TestTrustIsFreshOnDemand(t *testing.T) {
	t.Parallel()
	var version atomic.Int64
	r := &rig{reg: prometheus.NewRegistry(), log: &lines{}}
	deps := r.deps()
	deps.TrustVersion = func(context.Context) (string, error) { return strconv.FormatInt(version.Load(), 10), nil }
	deps.Trust = func(context.Context) ([]trust.File, error) {
		return []trust.File{{Name: "hallmark-trust.json", MediaType: "application/json", Content: []byte(strconv.FormatInt(version.Load(), 10))}}, nil
	}
	var err error
	r.handler, err = New(Config{Instances: []string{"main"}, Tokens: tokens()}, deps)
	require.NoError(t, err)
	get := func(control string) string {
		req := httptest.NewRequest(http.MethodGet, "/v1/trust/hallmark-trust.json", nil)
		req.Header.Set("Cache-Control", control)
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		require.Equal(t, http.StatusOK, w.Code)
		return w.Body.String()
	}
	require.Equal(t, "0", get(""))
	version.Store(1)
	require.Equal(t, "1", get("no-cache"))
	require.Equal(t, "1", get(""), "others see it, too")
}

// Strangers do not make the service work: it looks rarely, serves what it knows for a while, and then says that it cannot.
// Who wants nothing older than now gets that, or nothing.
func TestTrustIsAskedRarely(t *testing.T) {
	t.Parallel()
	var asked, made int
	var down error
	version, now := "1", time.Now()
	check := func(ctx context.Context) {
		_, bounded := ctx.Deadline()
		require.True(t, bounded)
		require.NoError(t, ctx.Err(), "a caller that has gone takes nothing from the others")
	}
	files := &trustFiles{
		log: slog.New(slog.DiscardHandler), now: func() time.Time { return now },
		version: func(ctx context.Context) (string, error) { check(ctx); asked++; return version, down },
		source: func(ctx context.Context) ([]trust.File, error) {
			check(ctx)
			made++
			return []trust.File{{Name: "of", Content: []byte(version)}}, nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	get := func(fresh bool) (string, time.Duration, error) {
		all, age, err := files.get(ctx, fresh)
		return string(all["of"].Content), age, err
	}
	is := func(fresh bool, want string, age time.Duration) {
		t.Helper()
		of, old, err := get(fresh)
		require.NoError(t, err)
		require.Equal(t, want, of)
		require.Equal(t, age, old)
	}
	for range 3 {
		is(false, "1", 0)
	}
	require.Equal(t, []int{1, 1}, []int{asked, made})
	is(true, "1", 0)
	now = now.Add(trustFresh)
	is(false, "1", 0)
	require.Equal(t, []int{3, 1}, []int{asked, made}, "looked at, and the same")

	version = "2" // a key was distrusted
	now = now.Add(time.Second)
	is(false, "1", time.Second)
	is(true, "2", 0)
	is(false, "2", 0)

	down = errors.New("database is gone")
	known := now
	_, _, err := get(true)
	require.ErrorIs(t, err, errTryAgain, "what it was before is not what was asked for")
	for now = now.Add(trustFresh); now.Before(known.Add(trustAge)); now = now.Add(time.Minute) {
		is(false, "2", now.Sub(known))
		before := asked
		is(false, "2", now.Sub(known))
		_, _, err = get(true)
		require.ErrorIs(t, err, errTryAgain)
		require.Equal(t, before, asked, "it is not asked more often because it is down")
	}
	_, _, err = get(false)
	require.ErrorIs(t, err, errTryAgain)
	down = nil
	now = now.Add(trustFresh)
	is(false, "2", 0)

	r := trustRig(t, func(context.Context) ([]trust.File, error) { return nil, errors.New("database secrets") })
	w := r.call(http.MethodGet, "/v1/trust/ca.pem", "", "")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotContains(t, w.Body.String(), "secrets")
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}

func TestTrustClient(t *testing.T) {
	t.Parallel()
	served := []trust.File{
		exportedFiles[0], exportedFiles[2],
		{Name: "hallmark-trust.json", MediaType: "application/json", Content: []byte(`{"keys":[{"name":"release-2026"}]}`)},
	}
	var changing atomic.Int64
	source := func(context.Context) ([]trust.File, error) { return served, nil }
	server := httptest.NewServer(trustRig(t, source).handler)
	t.Cleanup(server.Close)
	files, err := (&Client{URL: server.URL + "/"}).Trust(t.Context())
	require.NoError(t, err)
	require.Equal(t, served, files, "all there is, the list last, without a token")

	none := httptest.NewServer(newRig(t).handler)
	t.Cleanup(none.Close)
	_, err = (&Client{URL: none.URL}).Trust(t.Context())
	require.ErrorContains(t, err, "publishes nothing for verifiers")

	answer := func(name, content string) *Client {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, name) {
				_, _ = w.Write([]byte(strings.ReplaceAll(content, "COUNT", strings.Repeat("x", int(changing.Add(1))))))
				return
			}
			respond(w, problem(http.StatusNotFound, "nothing"))
		}))
		t.Cleanup(s.Close)
		return &Client{URL: s.URL}
	}
	for says, client := range map[string]*Client{
		"reading hallmark-trust.json":         answer("hallmark-trust.json", "[]"),
		"a key is called \"../../etc/cron\"":  answer("hallmark-trust.json", `{"keys":[{"name":"../../etc/cron"}]}`),
		"404":                                 answer("hallmark-trust.json", `{"keys":[{"name":"none"}]}`),
		"over 1048576 bytes":                  answer("hallmark-trust.json", `{"keys":[]`+strings.Repeat(" ", maxTrust)),
		"it changed each time":                answer("hallmark-trust.json", `{"keys":[],"x":"COUNT"}`),
		"over 1000":                           answer("hallmark-trust.json", `{"keys":[`+strings.Repeat(`{},`, maxTrustKeys)+`{}]}`),
		"calling /v1/trust/hallmark-trust.js": {URL: "http://127.0.0.1:1"},
	} {
		_, err := client.Trust(t.Context())
		require.ErrorContains(t, err, says)
	}
}
