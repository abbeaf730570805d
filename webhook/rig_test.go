package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

var (
	newSecret   = []byte("new-secret-7fa1")
	oldSecret   = []byte("old-secret-93c2")
	plainSecret = []byte("plain-secret-55d0")
)

// rig is a receiver with an Accept that remembers, and fails when told to.
type rig struct {
	handler http.Handler
	reg     *prometheus.Registry
	log     *lines

	mu     sync.Mutex
	events []ledger.Event
	fail   error
}

func newRig(t testing.TB, change func(*Config, *Deps)) *rig {
	t.Helper()
	r := &rig{reg: prometheus.NewRegistry(), log: &lines{}}
	cfg := Config{Instances: map[string]Instance{
		"main":  {Secrets: [][]byte{newSecret, oldSecret}},
		"plain": {Secrets: [][]byte{plainSecret}, Plain: true},
	}}
	deps := Deps{
		Accept: r.accept,
		Covers: func(_, repo, _, _ string) bool {
			return slices.Contains([]string{"", "fw-staging-local", "fw-release-local", "oci-staging-local", "oci-release-local", "release-bundles-v2"}, repo)
		},
		Log: slog.New(slog.NewJSONHandler(r.log, nil)), Registerer: r.reg,
	}
	if change != nil {
		change(&cfg, &deps)
	}
	var err error
	r.handler, err = New(cfg, deps)
	require.NoError(t, err)
	return r
}

func (r *rig) accept(_ context.Context, e ledger.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.events = append(r.events, e)
	return nil
}

func (r *rig) accepted() []ledger.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]ledger.Event(nil), r.events...)
}

// send delivers a body as JFrog would, with a MAC by the newest secret.
func (r *rig) send(body []byte) *httptest.ResponseRecorder {
	return r.sendWith(body, "main", sign(newSecret, body))
}

func (r *rig) sendWith(body []byte, instance string, auth ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/webhook/"+instance, bytes.NewReader(body))
	for _, a := range auth {
		req.Header.Add(authHeader, a)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	return w
}

func sign(secret, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// outcomeOf reads the outcome from an answer, which every answer carries.
func outcomeOf(t *testing.T, w *httptest.ResponseRecorder) outcome {
	t.Helper()
	var a struct {
		Outcome outcome `json:"outcome"`
		Detail  string  `json:"detail"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a), w.Body.String())
	require.NotEmpty(t, a.Detail)
	require.Equal(t, answers[a.Outcome].status, w.Code)
	media := "application/json"
	if w.Code >= 400 {
		media = "application/problem+json"
	}
	require.Equal(t, media, w.Header().Get("Content-Type"))
	return a.Outcome
}

// lines collects log lines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) all() [][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := bytes.TrimSpace(bytes.Clone(l.buf.Bytes()))
	if len(text) == 0 {
		return nil
	}
	return bytes.Split(text, []byte("\n"))
}

const deployed = `{"domain":"artifact","event_type":"deployed","data":{"repo_key":"fw-staging-local","path":"modem/x.bin","sha256":"3f6d0b0e6d1c3d0b6a5e1b7a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f70819203"}}`
