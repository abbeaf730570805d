package webhook

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

func TestEventIsHandedOverWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	before := time.Now()
	require.Equal(t, http.StatusAccepted, r.send([]byte(deployed)).Code)
	e := r.accepted()[0]
	require.WithinRange(t, e.ReceivedAt, before, time.Now())
	require.Equal(t, time.UTC, e.ReceivedAt.Location())
	require.Len(t, e.Key, 64)
	e.ReceivedAt, e.Key = time.Time{}, ""
	require.Equal(t, ledger.Event{
		Instance: "main", Domain: "artifact", Type: "deployed", Repo: "fw-staging-local", Path: "modem/x.bin",
		SHA256: "3f6d0b0e6d1c3d0b6a5e1b7a1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f70819203", Lane: job.Upload,
	}, e)
}

func TestCoversIsAskedForTheEvent(t *testing.T) {
	t.Parallel()
	var asked []string
	r := newRig(t, func(_ *Config, d *Deps) {
		d.Covers = func(instance, repo, path, event string) bool {
			asked = append(asked, instance, repo, path, event)
			return false
		}
	})
	require.Equal(t, notCovered, outcomeOf(t, r.send([]byte(deployed))))
	require.Equal(t, []string{"main", "fw-staging-local", "modem/x.bin", "artifact/deployed"}, asked)
	require.Empty(t, r.accepted())
}

// A retry has the key of its first delivery; everything that makes another event makes another key.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	ref := func(instance, repo, path string) artifact.Ref {
		return artifact.Ref{Instance: instance, Repo: repo, Path: path}
	}
	base := idempotencyKey("artifact", "deployed", ref("main", "r", "a/b"), "")
	require.Equal(t, base, idempotencyKey("artifact", "deployed", ref("main", "r", "a/b"), ""))
	seen := map[string]bool{base: true}
	for _, key := range []string{
		idempotencyKey("docker", "deployed", ref("main", "r", "a/b"), ""),
		idempotencyKey("artifact", "moved", ref("main", "r", "a/b"), ""),
		idempotencyKey("artifact", "deployed", ref("other", "r", "a/b"), ""),
		idempotencyKey("artifact", "deployed", ref("main", "ra", "/b"), ""),
		idempotencyKey("artifact", "deployed", ref("mainr", "", "a/b"), ""),
		idempotencyKey("artifact", "deployed", ref("main", "r", "a/b0"), ""),
		idempotencyKey("artifact", "deployed", ref("main", "r", "a/b"), "0"),
	} {
		require.False(t, seen[key])
		seen[key] = true
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	padded := func(n int) []byte { return append([]byte(deployed), bytes.Repeat([]byte(" "), n-len(deployed))...) }
	const limit = 4096
	small := func(c *Config, _ *Deps) { c.MaxBody = limit }
	for name, c := range map[string]struct {
		change  func(*Config, *Deps)
		size    int
		chunked bool
		want    int
	}{
		"at the limit":             {small, limit, false, 202},
		"at the limit, chunked":    {small, limit, true, 202},
		"one over":                 {small, limit + 1, false, 413},
		"one over, chunked":        {small, limit + 1, true, 413},
		"default, at the limit":    {nil, DefaultMaxBody, false, 202},
		"default, over":            {nil, DefaultMaxBody + 1, false, 413},
		"default, over by chunks":  {nil, DefaultMaxBody + 1, true, 413},
		"far over, length unknown": {small, 100 * limit, true, 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.change)
			body := padded(c.size)
			req := httptest.NewRequest(http.MethodPost, "/webhook/main", bytes.NewReader(body))
			if c.chunked {
				req.ContentLength = -1
			}
			req.Header.Set(authHeader, sign(newSecret, body))
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, req)
			require.Equal(t, c.want, w.Code)
			outcomeOf(t, w)
			require.Len(t, r.accepted(), map[bool]int{true: 1}[c.want == 202])
		})
	}
}

// A body that announces too much is not read at all.
func TestAnnouncedLengthIsRefusedUnread(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	body := &untouched{}
	req := httptest.NewRequest(http.MethodPost, "/webhook/main", body)
	req.ContentLength = DefaultMaxBody + 1
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	require.Equal(t, http.StatusRequestEntityTooLarge, w.Code)
	require.False(t, body.read)
}

type untouched struct{ read bool }

func (u *untouched) Read([]byte) (int, error) { u.read = true; return 0, io.EOF }

// 503 makes JFrog send again, and tells nobody why it failed.
func TestDatabaseCannotTakeIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.fail = errors.New("disk full on db-7.internal")
	w := r.send([]byte(deployed))
	require.Equal(t, unavailable, outcomeOf(t, w))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "10", w.Header().Get("Retry-After"))
	require.NotContains(t, w.Body.String(), "db-7")
	require.Contains(t, string(r.log.all()[0]), "db-7")

	r.mu.Lock()
	r.fail = nil
	r.mu.Unlock()
	require.Equal(t, http.StatusAccepted, r.send([]byte(deployed)).Code)
}

// A database that hangs must not hold JFrog's connection until JFrog gives up.
func TestDatabaseHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config, d *Deps) {
		c.AcceptTimeout = 20 * time.Millisecond
		d.Accept = func(ctx context.Context, _ ledger.Event) error {
			<-ctx.Done()
			return ctx.Err()
		}
	})
	require.Equal(t, unavailable, outcomeOf(t, r.send([]byte(deployed))))
}

// A sender that hangs up while the event is being stored has told us all the same.
func TestSenderHangsUp(t *testing.T) {
	t.Parallel()
	began, end, stored := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	r := newRig(t, func(_ *Config, d *Deps) {
		d.Accept = func(ctx context.Context, _ ledger.Event) error {
			close(began)
			<-end
			stored <- ctx.Err()
			return nil
		}
	})
	gone := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		go func() { <-req.Context().Done(); close(gone) }()
		r.handler.ServeHTTP(w, req)
	}))
	defer srv.Close()

	ctx, hangUp := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/webhook/main", strings.NewReader(deployed))
	require.NoError(t, err)
	req.Header.Set(authHeader, sign(newSecret, []byte(deployed)))
	go func() {
		<-began
		hangUp()
		<-gone // the server has seen it
		close(end)
	}()
	resp, err := srv.Client().Do(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, <-stored)
}

// A body that breaks off is the wire's fault: no 4xx, which would be final.
func TestBodyBreaksOff(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	srv := httptest.NewServer(r.handler)
	defer srv.Close()
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /webhook/main HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n%s: %s\r\n\r\n%s",
		len(deployed), authHeader, sign(newSecret, []byte(deployed)), deployed[:40])
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Empty(t, r.accepted())
}

func TestUnknownInstanceAndMethod(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	require.Equal(t, unknownInstance, outcomeOf(t, r.sendWith([]byte(deployed), "nobody", sign(newSecret, []byte(deployed)))))
	require.Equal(t, unknownInstance, outcomeOf(t, r.sendWith([]byte(deployed), "main%2F..", sign(newSecret, []byte(deployed)))))
	for _, c := range []struct {
		method, path string
		want         outcome
	}{
		{http.MethodGet, "/webhook/main", wrongMethod},
		{http.MethodPut, "/webhook/main", wrongMethod},
		{http.MethodDelete, "/webhook/main", wrongMethod},
		{http.MethodPost, "/webhook", noRoute},
		{http.MethodPost, "/webhook/", noRoute},
		{http.MethodPost, "/webhook/main/" + strings.Repeat("x", 4096), noRoute},
	} {
		before := len(r.log.all())
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		require.Equal(t, c.want, outcomeOf(t, w), "as problem details")
		require.Equal(t, c.want == wrongMethod, w.Header().Get("Allow") == http.MethodPost)
		all := r.log.all()
		require.Len(t, all, before+1, "one line per request")
		l := string(all[before])
		for _, part := range []string{`"msg":"webhook"`, `"level":"WARN"`, `"instance":"other"`, `"outcome":"` + string(c.want) + `"`, fmt.Sprintf(`"status":%d`, w.Code), `"took":`} {
			require.Contains(t, l, part)
		}
		require.Less(t, len(l), 1024, "a sender cannot fill the log")
	}
	require.Empty(t, r.accepted())
}

// One line per request, with its parts; no secret, no MAC, and nothing that an unproved sender wrote.
func TestLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.send([]byte(deployed))
	r.sendWith([]byte(strings.ReplaceAll(deployed, "modem", "forged-line")), "main", "wrong-"+string(newSecret))
	r.sendWith([]byte(deployed), "plain", string(plainSecret))
	r.send([]byte(`{"event_type":"deployed","data":{"repo_key":"` + strings.Repeat("/", 100_000) + `","path":"` + strings.Repeat("é", 100_000) + `"}}`))
	all := r.log.all()
	require.Len(t, all, 4)
	for _, l := range all {
		require.NotContains(t, string(l), "secret-")
		require.NotContains(t, string(l), sign(newSecret, []byte(deployed)))
		require.NotContains(t, string(l), "forged-line")
		require.Less(t, len(l), 8<<10)
		var attrs map[string]any
		require.NoError(t, json.Unmarshal(l, &attrs))
		for _, name := range []string{"instance", "domain", "type", "repo", "path", "outcome", "status", "took"} {
			require.Contains(t, attrs, name)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	require.Zero(t, r.authFailures(t, "plain"), "there before the first failure")
	r.send([]byte(deployed))
	for n := range 50 { // whatever senders invent, the label sets stay closed
		r.send(fmt.Appendf(nil, `{"domain":"d%d","event_type":"t%d"}`, n, n))
		r.send(fmt.Appendf(nil, `{"domain":"artifact","event_type":"t%d"}`, n))
		r.sendWith([]byte(deployed), fmt.Sprintf("i%d", n), "x")
	}
	problems, err := testutil.GatherAndLint(r.reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	got, err := testutil.GatherAndCount(r.reg, "hallmark_webhook_events_total")
	require.NoError(t, err)
	require.Equal(t, 4+18, got, "18 are there before they are needed")
	require.NoError(t, testutil.GatherAndCompare(r.reg, strings.NewReader(`
# HELP hallmark_webhook_events_total Webhook deliveries by instance, event domain, event type and what became of them.
# TYPE hallmark_webhook_events_total counter
hallmark_webhook_events_total{domain="artifact",instance="main",outcome="accepted",type="deployed"} 1
hallmark_webhook_events_total{domain="artifact",instance="main",outcome="unavailable",type="copied"} 0
hallmark_webhook_events_total{domain="artifact",instance="main",outcome="unavailable",type="deployed"} 0
hallmark_webhook_events_total{domain="artifact",instance="main",outcome="unavailable",type="moved"} 0
hallmark_webhook_events_total{domain="artifact",instance="main",outcome="unknown-event",type="other"} 50
hallmark_webhook_events_total{domain="artifact",instance="plain",outcome="unavailable",type="copied"} 0
hallmark_webhook_events_total{domain="artifact",instance="plain",outcome="unavailable",type="deployed"} 0
hallmark_webhook_events_total{domain="artifact",instance="plain",outcome="unavailable",type="moved"} 0
hallmark_webhook_events_total{domain="build",instance="main",outcome="unavailable",type="promoted"} 0
hallmark_webhook_events_total{domain="build",instance="main",outcome="unavailable",type="uploaded"} 0
hallmark_webhook_events_total{domain="build",instance="plain",outcome="unavailable",type="promoted"} 0
hallmark_webhook_events_total{domain="build",instance="plain",outcome="unavailable",type="uploaded"} 0
hallmark_webhook_events_total{domain="docker",instance="main",outcome="unavailable",type="promoted"} 0
hallmark_webhook_events_total{domain="docker",instance="main",outcome="unavailable",type="pushed"} 0
hallmark_webhook_events_total{domain="docker",instance="plain",outcome="unavailable",type="promoted"} 0
hallmark_webhook_events_total{domain="docker",instance="plain",outcome="unavailable",type="pushed"} 0
hallmark_webhook_events_total{domain="other",instance="main",outcome="unknown-event",type="other"} 50
hallmark_webhook_events_total{domain="other",instance="other",outcome="unknown-instance",type="other"} 50
hallmark_webhook_events_total{domain="release_bundle_v2",instance="main",outcome="unavailable",type="release_bundle_v2_completed"} 0
hallmark_webhook_events_total{domain="release_bundle_v2",instance="plain",outcome="unavailable",type="release_bundle_v2_completed"} 0
hallmark_webhook_events_total{domain="release_bundle_v2_promotion",instance="main",outcome="unavailable",type="release_bundle_v2_promotion_completed"} 0
hallmark_webhook_events_total{domain="release_bundle_v2_promotion",instance="plain",outcome="unavailable",type="release_bundle_v2_promotion_completed"} 0
`), "hallmark_webhook_events_total"))
}

func TestValidate(t *testing.T) {
	t.Parallel()
	ok := Instance{Secrets: [][]byte{newSecret}}
	for want, c := range map[string]Config{
		"no instance is configured": {},
		"has no webhook secret":     {Instances: map[string]Instance{"main": {}}},
		"webhook secret 2 is empty": {Instances: map[string]Instance{"main": {Secrets: [][]byte{newSecret, {}}}}},
		"cannot stand in a URL":     {Instances: map[string]Instance{"a/b": ok}},
		"must not be negative":      {Instances: map[string]Instance{"main": ok}, MaxBody: -1},
	} {
		require.ErrorContains(t, c.Validate(), want)
		_, err := New(c, Deps{})
		require.ErrorContains(t, err, want)
	}
	_, err := New(Config{Instances: map[string]Instance{"main": ok}}, Deps{})
	require.ErrorContains(t, err, "dependency")
}

// Nothing authentic that the receiver understood gets a 4xx, and each 5xx asks for another try.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for o, a := range answers {
		switch o {
		case accepted:
			require.Equal(t, http.StatusAccepted, a.status)
		case notForUs, unknownEvent, notCovered, ownAttachment, refusedPath:
			require.Equal(t, http.StatusOK, a.status, o)
		case incomplete, unavailable:
			require.Equal(t, http.StatusServiceUnavailable, a.status, o)
		case malformed, unauthenticated, unknownInstance, noRoute, wrongMethod, tooLarge:
			require.Equal(t, 4, a.status/100, o)
		default:
			t.Errorf("outcome %s has no rule here", o)
		}
	}
}

// authFailures reads the counter of one instance, which must be there.
func (r *rig) authFailures(t *testing.T, instance string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() != "hallmark_webhook_auth_failures_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == instance {
				return m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no counter of authentication failures for %s", instance)
	return 0
}
