package artifactory_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// receiver takes deliveries and answers as told.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	got     []received
	answers []int // consumed one by one, then 202; 0 cuts the connection
}

type received struct {
	header http.Header
	body   string
}

func newReceiver(t *testing.T, answers ...int) *receiver {
	t.Helper()
	r := &receiver{answers: answers}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil {
			r.got = append(r.got, received{req.Header, string(body)})
		}
		status := http.StatusAccepted
		if len(r.answers) > 0 {
			status, r.answers = r.answers[0], r.answers[1:]
		}
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

// received is a copy of what has arrived.
func (r *receiver) received() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// events are the received ones as "type repo/path", in order of arrival.
func (r *receiver) events(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, g := range r.received() {
		var p struct {
			EventType string `json:"event_type"`
			Data      struct {
				RepoKey string `json:"repo_key"`
				Path    string `json:"path"`
			} `json:"data"`
		}
		require.NoError(t, json.Unmarshal([]byte(g.body), &p))
		out = append(out, p.EventType+" "+p.Data.RepoKey+"/"+p.Data.Path)
	}
	return out
}

func subscription(r *receiver) standin.Subscription {
	return standin.Subscription{
		Key: "hook", Enabled: true,
		EventFilter: standin.EventFilter{Domain: "artifact", EventTypes: []string{"deployed", "deleted", "moved", "copied"}, Criteria: standin.Criteria{AnyLocal: true}},
		Handlers:    []standin.Target{{HandlerType: "webhook", URL: r.URL + "/webhook/main", Secret: "s3cret", UseSecretForSigning: true}},
	}
}

func delivered(t *testing.T, s *standin.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, s.WaitDelivered(ctx))
}

func put(t testing.TB, s *standin.Server, repo, path string) {
	t.Helper()
	require.NoError(t, s.Put("ci", repo, path, strings.NewReader("hello\n"), nil))
}

func TestDeliveryOfEachEvent(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t)
	require.NoError(t, s.AddSubscription(subscription(r)))
	call := func(method, target string, status int) {
		resp, body := send(t, s, request{method: method, target: target, token: artifactorytest.CI, body: "hello\n"})
		require.Equal(t, status, resp.StatusCode, body)
		delivered(t, s)
	}
	call("PUT", greeting, 201)
	call("POST", "/artifactory/api/copy/libs-staging-local/a?to=/libs-release-local/b", 200)
	call("POST", "/artifactory/api/move/libs-release-local/b/hello.txt?to=/libs-release-local/c", 200)
	call("DELETE", "/artifactory/libs-release-local/c", 204)
	require.Equal(t, []string{
		"deployed libs-staging-local/a/hello.txt", "copied libs-staging-local/a/hello.txt", "moved libs-release-local/b/hello.txt", "deleted libs-release-local/c",
	}, r.events(t))
	want := `{"domain":"artifact","event_type":"deployed","data":{"repo_key":"libs-staging-local","path":"a/hello.txt","name":"hello.txt","sha256":"` + helloSHA256 +
		`","size":6},"subscription_key":"hook","jpd_origin":"` + s.URL() + `","source":"jfrog/jfrt@01hzz0000000000000000000ab","userContext":{"id":"ci","isToken":true,"realm":"internal"}}`
	require.Equal(t, want, r.received()[0].body)
	require.Contains(t, r.received()[1].body, `"source_repo_path":"libs-staging-local/a/hello.txt","target_repo_path":"libs-release-local/b/hello.txt"`)

	call("PUT", greeting, 201) // an overwrite
	require.ElementsMatch(t, []string{"deleted libs-staging-local/a/hello.txt", "deployed libs-staging-local/a/hello.txt"}, r.events(t)[4:])
}

func TestDeliveryOfProperties(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t)
	sub := subscription(r)
	sub.EventFilter.Domain, sub.EventFilter.EventTypes = "artifact_property", []string{"added", "deleted"}
	require.NoError(t, s.AddSubscription(sub))
	resp, _ := send(t, s, request{method: "PUT", target: greeting + ";k=v", token: artifactorytest.CI, body: "x"})
	require.Equal(t, 201, resp.StatusCode)
	delivered(t, s)
	resp, _ = send(t, s, request{method: "PATCH", target: "/artifactory/api/metadata/libs-staging-local/a/hello.txt", token: artifactorytest.CI, body: `{"props":{"k":null,"never":null}}`})
	require.Equal(t, 204, resp.StatusCode)
	delivered(t, s)
	require.Equal(t, []string{"added libs-staging-local/a/hello.txt", "deleted libs-staging-local/a/hello.txt"}, r.events(t))
	require.Contains(t, r.received()[0].body, `"property_key":"k","property_values":["v"]`)
}

func TestDeliveryAuthentication(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, secret string
		signing      bool
		want         func(body string) string
	}{
		{"signed", "s3cret", true, func(body string) string {
			m := hmac.New(sha256.New, []byte("s3cret"))
			m.Write([]byte(body))
			return hex.EncodeToString(m.Sum(nil))
		}},
		{"plain", "s3cret", false, func(string) string { return "s3cret" }},
		{"none", "", true, func(string) string { return "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t)
			sub := subscription(r)
			sub.Handlers[0].Secret, sub.Handlers[0].UseSecretForSigning = tt.secret, tt.signing
			sub.Handlers[0].CustomHTTPHeaders = []standin.Header{{Name: "X-Tenant", Value: "fw"}}
			require.NoError(t, s.AddSubscription(sub))
			put(t, s, artifactorytest.Staging, "ä")
			delivered(t, s)
			require.Equal(t, tt.want(r.received()[0].body), r.received()[0].header.Get("X-JFrog-Event-Auth"))
			require.Equal(t, "fw", r.received()[0].header.Get("X-Tenant"))
			require.Equal(t, "application/json", r.received()[0].header.Get("Content-Type"))
		})
	}
}

func TestDeliveryRetries(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answers []int
		tries   int
		status  int
	}{
		{nil, 1, 202},
		{[]int{404}, 1, 404},
		{[]int{401}, 1, 401},
		{[]int{429}, 1, 429},
		{[]int{302}, 1, 302},
		{[]int{503, 200}, 2, 200},
		{[]int{0, 500, 200}, 3, 200},
		{[]int{503, 503, 503, 503, 503, 200}, 5, 503},
		{[]int{0, 0, 0, 0, 0, 200}, 5, 0},
	} {
		t.Run(fmt.Sprint(tt.answers), func(t *testing.T) {
			t.Parallel()
			s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t, tt.answers...)
			require.NoError(t, s.AddSubscription(subscription(r)))
			put(t, s, artifactorytest.Staging, "f")
			delivered(t, s)
			ds := s.Deliveries()
			require.Len(t, ds, 1)
			require.Equal(t, []any{tt.tries, tt.status, true}, []any{ds[0].Tries, ds[0].Status, ds[0].Done})
			require.Len(t, r.received(), tt.tries)
		})
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*standin.Subscription)
		want   bool
	}{
		{"all", func(*standin.Subscription) {}, true},
		{"disabled", func(sub *standin.Subscription) { sub.Enabled = false }, false},
		{"other type", func(sub *standin.Subscription) { sub.EventFilter.EventTypes = []string{"deleted"} }, false},
		{"its repository", func(sub *standin.Subscription) {
			sub.EventFilter.Criteria = standin.Criteria{RepoKeys: []string{artifactorytest.Staging}}
		}, true},
		{"other repository", func(sub *standin.Subscription) {
			sub.EventFilter.Criteria = standin.Criteria{RepoKeys: []string{artifactorytest.Release}}
		}, false},
		{"remote only", func(sub *standin.Subscription) { sub.EventFilter.Criteria = standin.Criteria{AnyRemote: true} }, false},
		{"included", func(sub *standin.Subscription) {
			sub.EventFilter.Criteria.IncludePatterns = []string{"x/**", "org/**/*.bin"}
		}, true},
		{"not included", func(sub *standin.Subscription) { sub.EventFilter.Criteria.IncludePatterns = []string{"x/**"} }, false},
		{"excluded", func(sub *standin.Subscription) {
			sub.EventFilter.Criteria.IncludePatterns, sub.EventFilter.Criteria.ExcludePatterns = []string{"**"}, []string{"**/*.bin"}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t)
			sub := subscription(r)
			tt.change(&sub)
			require.NoError(t, s.AddSubscription(sub))
			put(t, s, artifactorytest.Staging, "org/app/f.bin")
			delivered(t, s)
			require.Equal(t, tt.want, len(r.events(t)) == 1)
		})
	}
}

func TestDistortions(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, quirks standin.Quirks, d standin.Distortion) (*standin.Server, *receiver) {
		s, r := artifactorytest.Start(t, standin.Config{Quirks: quirks}), newReceiver(t)
		require.NoError(t, s.AddSubscription(subscription(r)))
		s.Distort(d)
		return s, r
	}
	t.Run("duplicates", func(t *testing.T) {
		t.Parallel()
		s, r := start(t, standin.Quirks{}, standin.Distortion{Duplicates: 2})
		put(t, s, artifactorytest.Staging, "f")
		delivered(t, s)
		require.Len(t, r.received(), 3)
		require.Equal(t, r.received()[0].body, r.received()[2].body)
	})
	t.Run("lost", func(t *testing.T) {
		t.Parallel()
		s, r := start(t, standin.Quirks{}, standin.Distortion{Drop: func(e standin.Event) bool { return e.Path == "f" }})
		put(t, s, artifactorytest.Staging, "f")
		put(t, s, artifactorytest.Staging, "g")
		delivered(t, s)
		require.Equal(t, []string{"deployed libs-staging-local/g"}, r.events(t))
	})
	t.Run("missing fields", func(t *testing.T) {
		t.Parallel()
		s, r := start(t, standin.Quirks{}, standin.Distortion{OmitOrigin: true, OmitUserContext: true})
		put(t, s, artifactorytest.Staging, "f")
		delivered(t, s)
		require.NotContains(t, r.received()[0].body, "jpd_origin")
		require.NotContains(t, r.received()[0].body, "userContext")
	})
	t.Run("flat", func(t *testing.T) {
		t.Parallel()
		s, r := start(t, standin.Quirks{}, standin.Distortion{Flat: true})
		put(t, s, artifactorytest.Staging, "f")
		delivered(t, s)
		require.Equal(t, `{"domain":"artifact","event_type":"deployed","subscription_key":"hook","repo_key":"libs-staging-local","path":"f","name":"f","sha256":"`+helloSHA256+`","size":6}`, r.received()[0].body)
	})
	for form, want := range map[string]string{"repo": "libs-release-local", "repo:path": "libs-release-local:g", "repo/path": "libs-release-local/g"} {
		t.Run("move paths as "+form, func(t *testing.T) {
			t.Parallel()
			s, r := start(t, standin.Quirks{MovePaths: form}, standin.Distortion{})
			put(t, s, artifactorytest.Staging, "f")
			delivered(t, s)
			resp, _ := send(t, s, request{method: "POST", target: "/artifactory/api/copy/libs-staging-local/f?to=/libs-release-local/g", token: artifactorytest.CI})
			require.Equal(t, 200, resp.StatusCode)
			delivered(t, s)
			require.Contains(t, r.received()[1].body, `"target_repo_path":"`+want+`"`)
		})
	}
	t.Run("reordered", func(t *testing.T) {
		t.Parallel()
		s, r := start(t, standin.Quirks{}, standin.Distortion{})
		s.HoldEvents()
		var want []string
		for i := range 20 {
			put(t, s, artifactorytest.Staging, fmt.Sprint(i))
			want = append([]string{fmt.Sprintf("deployed libs-staging-local/%d", i)}, want...)
		}
		delivered(t, s)
		require.Empty(t, r.events(t))
		s.ReleaseEvents(func(es []standin.Event) []standin.Event { slices.Reverse(es); return es })
		delivered(t, s)
		require.Equal(t, want, r.events(t))
		s.Emit(standin.Event{Domain: "artifact", Type: "deployed", Repo: artifactorytest.Staging, Path: "never"})
		delivered(t, s)
		require.Equal(t, "deployed libs-staging-local/never", r.events(t)[20])
	})
}

// Close gives up what is pending and does not hang on the pause between tries.
func TestCloseDuringRetries(t *testing.T) {
	t.Parallel()
	r := newReceiver(t, 500, 500, 500, 500, 500)
	s, err := standin.New(standin.Config{Dir: t.TempDir(), Repositories: []standin.Repository{{Key: "r"}}, Webhooks: standin.WebhookTiming{Pause: time.Hour}})
	require.NoError(t, err)
	require.NoError(t, s.AddSubscription(subscription(r)))
	put(t, s, "r", "f")
	require.Eventually(t, func() bool { return s.Deliveries()[0].Tries == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
	require.False(t, s.Deliveries()[0].Done)
}
