package artifactory_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

const hooks = "/event/api/v1/subscriptions"

func TestSubscriptions(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t)
	call := func(method, target string, sub any) (int, string) {
		body, err := json.Marshal(sub)
		require.NoError(t, err)
		resp, got := send(t, s, request{method: method, target: target, token: artifactorytest.Admin, body: string(body)})
		return resp.StatusCode, got
	}
	status, body := call("GET", hooks, nil)
	require.Equal(t, []any{200, "[]"}, []any{status, body})

	status, body = call("POST", hooks, map[string]any{
		"key": "hook", "event_filter": map[string]any{"domain": "artifact", "event_types": []string{"deployed"}, "criteria": map[string]any{"anyLocal": true}},
		"handlers": []any{map[string]any{"handler_type": "webhook", "url": r.URL, "secret": "s3cret", "use_secret_for_signing": true}},
	})
	require.Equal(t, 201, status, body)
	status, _ = call("POST", hooks, subscription(r))
	require.Equal(t, 409, status)
	_, body = call("GET", hooks+"/hook", nil)
	require.Contains(t, body, `"enabled":false`, "the default")
	require.Contains(t, body, `"secret":"`)
	require.NotContains(t, body, "s3cret")
	put(t, s, artifactorytest.Staging, "f")
	delivered(t, s)
	require.Empty(t, r.events(t))

	status, body = call("PUT", hooks+"/hook", subscription(r))
	require.Equal(t, 204, status, body)
	put(t, s, artifactorytest.Staging, "g")
	delivered(t, s)
	require.Equal(t, []string{"deployed libs-staging-local/g"}, r.events(t))
	status, _ = call("PUT", hooks+"/other", subscription(r))
	require.Equal(t, 400, status)

	status, _ = call("DELETE", hooks+"/hook", nil)
	require.Equal(t, 204, status)
	for _, method := range []string{"GET", "DELETE", "PUT"} {
		status, _ = call(method, hooks+"/hook", subscription(r))
		require.Equal(t, 404, status)
	}
}

func TestSubscriptionTest(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t, 202, 404, 503)
	body, err := json.Marshal(subscription(r))
	require.NoError(t, err)
	for _, want := range []string{"success", "failure", "failure"} {
		resp, got := send(t, s, request{method: "POST", target: hooks + "/test", token: artifactorytest.Admin, body: string(body)})
		require.Equal(t, 200, resp.StatusCode)
		require.Contains(t, got, `"result":"`+want+`"`)
	}
	require.Len(t, r.received(), 3, "one try each")
	require.Equal(t, "deployed sample_repo/sample_dir/sample_art", r.events(t)[0])
	require.NotEmpty(t, r.received()[0].header.Get("X-JFrog-Event-Auth"))
}

func TestSubscriptionRefusals(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t)
	for _, tt := range []struct {
		name   string
		status int
		change func(*standin.Subscription)
	}{
		{"key", 400, func(sub *standin.Subscription) { sub.Key = "1st" }},
		{"domain", 400, func(sub *standin.Subscription) { sub.EventFilter.Domain = "colours" }},
		{"event type", 400, func(sub *standin.Subscription) { sub.EventFilter.EventTypes = []string{"pushed"} }},
		{"no event type", 400, func(sub *standin.Subscription) { sub.EventFilter.EventTypes = nil }},
		{"no repository", 400, func(sub *standin.Subscription) { sub.EventFilter.Criteria = standin.Criteria{} }},
		{"promotions into no environment", 400, func(sub *standin.Subscription) {
			sub.EventFilter = standin.EventFilter{
				Domain: "release_bundle_v2_promotion", EventTypes: []string{"release_bundle_v2_promotion_completed"}, Criteria: standin.Criteria{AnyReleaseBundle: true, AnyLocal: true},
			}
		}},
		{"no handler", 400, func(sub *standin.Subscription) { sub.Handlers = nil }},
		{"two handlers", 400, func(sub *standin.Subscription) { sub.Handlers = append(sub.Handlers, sub.Handlers[0]) }},
		{"custom handler", 501, func(sub *standin.Subscription) { sub.Handlers[0].HandlerType = "custom-webhook" }},
		{"proxy", 501, func(sub *standin.Subscription) { sub.Handlers[0].Proxy = "p" }},
		{"URL", 400, func(sub *standin.Subscription) { sub.Handlers[0].URL = "signer" }},
		{"too many headers", 400, func(sub *standin.Subscription) { sub.Handlers[0].CustomHTTPHeaders = make([]standin.Header, 51) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sub := subscription(r)
			tt.change(&sub)
			body, err := json.Marshal(sub)
			require.NoError(t, err)
			resp, got := send(t, s, request{method: "POST", target: hooks, token: artifactorytest.Admin, body: string(body)})
			require.Equal(t, tt.status, resp.StatusCode, got)
			require.Error(t, s.AddSubscription(sub))
		})
	}
	for _, body := range []string{`{`, `{"key":"hook","colour":"red"}`} {
		resp, _ := send(t, s, request{method: "POST", target: hooks, token: artifactorytest.Admin, body: body})
		require.Equal(t, 400, resp.StatusCode)
	}
	for _, method := range []string{"GET", "POST"} {
		resp, _ := send(t, s, request{method: method, target: hooks, token: artifactorytest.CI, body: "{}"})
		require.Equal(t, 403, resp.StatusCode)
	}
}
