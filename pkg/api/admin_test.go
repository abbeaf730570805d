package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func probe(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "hallmark_test_total", Help: "x"})
	reg.MustRegister(c)
	var broken atomic.Pointer[error]
	log := &lines{}
	h, err := Admin(reg, []Check{
		{"hsm", func(context.Context) error { return nil }},
		{"database", func(context.Context) error {
			if e := broken.Load(); e != nil {
				return *e
			}
			return nil
		}},
	}, slog.New(slog.NewJSONHandler(log, nil)))
	require.NoError(t, err)

	require.Contains(t, probe(h, http.MethodGet, "/metrics").Body.String(), "hallmark_test_total 0")
	require.Equal(t, http.StatusOK, probe(h, http.MethodGet, "/healthz").Code)
	w := probe(h, http.MethodGet, "/readyz")
	require.Equal(t, http.StatusOK, w.Code)
	require.JSONEq(t, `{"ready":true,"checks":{"hsm":true,"database":true}}`, w.Body.String())
	require.Empty(t, log.all())

	cause := errors.New("read-only file system on db-7")
	broken.Store(&cause)
	for range 3 {
		w = probe(h, http.MethodGet, "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
		require.JSONEq(t, `{"ready":false,"checks":{"hsm":true,"database":false}}`, w.Body.String())
	}
	require.Equal(t, http.StatusOK, probe(h, http.MethodGet, "/healthz").Code, "the process lives all the same")
	require.Len(t, log.all(), 1, "changes are logged, not probes")
	require.Contains(t, log.all()[0], "db-7")
	broken.Store(nil)
	require.Equal(t, http.StatusOK, probe(h, http.MethodGet, "/readyz").Code)
	require.Len(t, log.all(), 2)
}

// What the operators' port does not have, it refuses as the API does.
func TestAdminRefusesWithProblems(t *testing.T) {
	t.Parallel()
	log := &lines{}
	h, err := Admin(prometheus.NewRegistry(), nil, slog.New(slog.NewJSONHandler(log, nil)))
	require.NoError(t, err)
	for _, c := range []struct {
		method, path string
		status       int
		allow        []string
	}{
		{http.MethodGet, "/", http.StatusNotFound, nil},
		{http.MethodGet, "/v1/status", http.StatusNotFound, nil},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed, []string{http.MethodGet}},
		{http.MethodPut, "/healthz", http.StatusMethodNotAllowed, []string{http.MethodGet}},
		{http.MethodPost, "/readyz", http.StatusMethodNotAllowed, []string{http.MethodGet}},
	} {
		before := len(log.all())
		w := probe(h, c.method, c.path)
		require.Equal(t, c.status, w.Code, c.path)
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"), c.path)
		require.Equal(t, c.allow, w.Header().Values("Allow"), c.path)
		var p Problem
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &p), w.Body.String())
		require.Equal(t, c.status, p.Status)
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Detail)
		require.Len(t, log.all(), before+1, "one line per refusal")
	}
}

// A check that hangs makes the answer no, in time, and is not started again and again.
func TestReadinessCheckHangs(t *testing.T) {
	t.Parallel()
	var started atomic.Int32
	end := make(chan struct{})
	defer close(end)
	h, err := Admin(prometheus.NewRegistry(), []Check{{"hsm", func(context.Context) error {
		started.Add(1)
		<-end
		return nil
	}}}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the prober's patience, already spent
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil).WithContext(ctx))
		require.Equal(t, http.StatusServiceUnavailable, w.Code)
	}
	require.LessOrEqual(t, started.Load(), int32(1))
}

func TestAdminRefusesIncompleteChecks(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	_, err := Admin(nil, nil, log)
	require.Error(t, err)
	_, err = Admin(prometheus.NewRegistry(), []Check{{Name: "hsm"}}, log)
	require.ErrorContains(t, err, "hsm")
}

func TestServerHasLimits(t *testing.T) {
	t.Parallel()
	s := NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	for _, d := range []int64{int64(s.ReadHeaderTimeout), int64(s.ReadTimeout), int64(s.WriteTimeout), int64(s.IdleTimeout), int64(s.MaxHeaderBytes)} {
		require.Positive(t, d)
	}
	require.NotNil(t, s.ErrorLog)
}
