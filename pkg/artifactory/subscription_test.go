package artifactory_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

const hookSecret = "a-webhooks-secret-with-some-length"

func subscription(target string) artifactory.Subscription {
	return artifactory.Subscription{
		Key: "hallmark-main-artifact", Description: "for tests", Enabled: true,
		Filter: artifactory.EventFilter{
			Domain: "artifact", Types: []string{"deployed"},
			Criteria: artifactory.Criteria{Repositories: []string{artifactorytest.Staging}, Exclude: []string{"**/*.sig"}},
		},
		Handlers: []artifactory.Handler{{Type: "webhook", URL: target, Secret: hookSecret, Signing: true}},
	}
}

// asAdmin is a client with an administrator's token.
func asAdmin(t *testing.T, s *standin.Server) *artifactory.Client {
	t.Helper()
	return newClient(t, s.URL(), func(c *artifactory.Config) { c.Token = secret(t, artifactorytest.Admin) })
}

func TestSubscriptionsComeAndGo(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	c := asAdmin(t, s)
	want := subscription("http://hallmark.example/webhook/main")
	_, err := c.Subscription(t.Context(), want.Key)
	require.ErrorIs(t, err, artifact.ErrGone)
	require.ErrorContains(t, c.Resubscribe(t.Context(), want), "HTTP 404")
	require.NoError(t, c.Unsubscribe(t.Context(), want.Key), "what is not there is removed already")

	require.NoError(t, c.Subscribe(t.Context(), want))
	got, err := c.Subscription(t.Context(), want.Key)
	require.NoError(t, err)
	unseen := want
	unseen.Handlers = []artifactory.Handler{want.Handlers[0]}
	unseen.Handlers[0].Secret, unseen.Handlers[0].Headers = "", got.Handlers[0].Headers
	unseen.Filter.Criteria.Include = []string{}
	require.Equal(t, unseen, got)

	want.Filter.Criteria.AnyLocal, want.Debug = true, true
	want.Handlers[0].Headers = []artifactory.Header{{Name: "X-Tenant", Value: "fw"}}
	require.NoError(t, c.Resubscribe(t.Context(), want))
	all, err := c.Subscriptions(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.True(t, all[0].Debug && all[0].Filter.Criteria.AnyLocal)
	require.Equal(t, want.Handlers[0].Headers, all[0].Handlers[0].Headers)

	require.NoError(t, c.Unsubscribe(t.Context(), want.Key))
	all, err = c.Subscriptions(t.Context())
	require.NoError(t, err)
	require.Empty(t, all)
}

// The test is of what is in the call: URL, secret and way of proof. It says no with status 200.
func TestTestDelivery(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	c := asAdmin(t, s)
	status := http.StatusOK
	var auth, body string
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		auth, body = r.Header.Get("X-JFrog-Event-Auth"), string(raw)
		w.WriteHeader(status)
	}))
	t.Cleanup(target.Close)

	sub := subscription(target.URL)
	d, err := c.TestSubscription(t.Context(), sub)
	require.NoError(t, err)
	require.True(t, d.OK)
	require.Len(t, auth, 64)
	require.Contains(t, body, sub.Key)
	sub.Handlers[0].Signing = false
	_, err = c.TestSubscription(t.Context(), sub)
	require.NoError(t, err)
	require.Equal(t, hookSecret, auth)

	status = http.StatusUnauthorized
	d, err = c.TestSubscription(t.Context(), sub)
	require.NoError(t, err)
	require.False(t, d.OK)
	require.NotEmpty(t, d.Message)
	all, err := c.Subscriptions(t.Context())
	require.NoError(t, err)
	require.Empty(t, all, "a test creates nothing")
}

// A server that repeats what it was sent, in whatever answer, makes no secret visible.
func TestSubscriptionSecretIsNeverSeen(t *testing.T) {
	t.Parallel()
	echo := func(status int) *httptest.Server {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			raw, _ := io.ReadAll(r.Body)
			w.WriteHeader(status)
			if status == http.StatusOK {
				_ = json.NewEncoder(w).Encode(map[string]string{"result": "failure", "message": "sent " + string(raw)})
				return
			}
			_, _ = w.Write(append([]byte(strings.Repeat("x", 220)), raw[bytes.Index(raw, []byte(hookSecret)):]...))
		})
	}
	sub := subscription("http://hallmark.example")
	sub.Handlers[0].Headers = []artifactory.Header{{Name: "Authorization", Value: hookSecret}}
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusConflict} {
		c := newClient(t, echo(status).URL)
		for _, err := range []error{c.Subscribe(t.Context(), sub), c.Resubscribe(t.Context(), sub)} {
			require.Error(t, err)
			require.NotContains(t, err.Error(), hookSecret[:8])
		}
	}
	d, err := newClient(t, echo(http.StatusOK).URL).TestSubscription(t.Context(), sub)
	require.NoError(t, err)
	require.False(t, d.OK)
	require.NotContains(t, d.Message, hookSecret[:8])

	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", slog.Any("subscription", sub))
	marshalled, err := json.Marshal(sub)
	require.NoError(t, err)
	require.NotContains(t, log.String()+string(marshalled)+fmt.Sprintf("%v %+v %#v", sub, sub, sub), hookSecret)
}

// Other people's subscriptions have shapes of their own, and some servers show secrets; neither may get in the way.
func TestForeignSubscriptions(t *testing.T) {
	t.Parallel()
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `[
			{"key":"old","enabled":true,"event_filter":{"domain":"artifact","event_types":["deployed"]},"handlers":[{"handler_type":"webhook","url":"https://x.example","secret":"shown in clear"}]},
			{"key":"custom","event_filter":{"domain":"build"},"handlers":[{"handler_type":"custom-webhook","secrets":[{"name":"a"}],"custom_http_headers":null}]},
			{"key":"strange","event_filter":"none","handlers":7}
		]`)
	})
	all, err := newClient(t, s.URL).Subscriptions(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 3)
	require.Equal(t, artifactory.Handler{Type: "webhook", URL: "https://x.example"}, all[0].Handlers[0])
	require.Equal(t, artifactory.Subscription{Key: "strange"}, all[2])
}

// What the event service refuses comes back with its status; a lost answer is asked for again.
func TestSubscriptionFaults(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	sub := subscription("http://hallmark.example")
	err := newClient(t, s.URL(), func(c *artifactory.Config) { c.Token = secret(t, artifactorytest.CI) }).Subscribe(t.Context(), sub)
	st := (*artifactory.StatusError)(nil)
	require.ErrorAs(t, err, &st)
	require.Equal(t, http.StatusForbidden, st.Status)

	c := asAdmin(t, s)
	s.Fail(standin.Fault{Path: "/event/api/v1/subscriptions", Method: http.MethodPost, When: standin.After, Reset: true})
	require.ErrorAs(t, c.Subscribe(t.Context(), sub), &st)
	require.Equal(t, http.StatusConflict, st.Status, "the first try had done it")
	_, err = c.Subscription(t.Context(), sub.Key)
	require.NoError(t, err)
	s.Fail(standin.Fault{Path: "/event/**", Status: http.StatusServiceUnavailable, Times: 2})
	_, err = c.Subscriptions(t.Context())
	require.NoError(t, err)

	for _, key := range []string{"", "a", "-ab", "a/b", "a?b", "../x", strings.Repeat("k", 201)} {
		require.ErrorIs(t, c.Unsubscribe(t.Context(), key), artifactory.ErrPath, key)
		sub.Key = key
		require.ErrorIs(t, c.Subscribe(t.Context(), sub), artifactory.ErrPath, key)
	}
}
