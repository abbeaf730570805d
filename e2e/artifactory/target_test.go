package artifactory_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func TestPrivateTargets(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{PrivateTargets: "refuse"}}), newReceiver(t)
	for target, want := range map[string]int{
		r.URL: 400, "http://localhost:1/": 400, "http://10.1.2.3/hook": 400, "http://[::1]/": 400, "http://[fd00::1]/": 400, "http://169.254.1.1/": 400,
		"https://signer.example/hook": 201, "https://93.184.215.14/": 201,
	} {
		sub := subscription(r)
		sub.Key, sub.Handlers[0].URL = "k"+fmt.Sprint(len(target)), target
		body, err := json.Marshal(sub)
		require.NoError(t, err)
		resp, got := send(t, s, request{method: "POST", target: hooks, token: artifactorytest.Admin, body: string(body)})
		require.Equal(t, want, resp.StatusCode, "%s: %s", target, got)
	}
	// A subscription from before the guard, or a name that resolves to a private address, fails when it is dialled.
	require.NoError(t, s.AddSubscription(subscription(r)))
	put(t, s, artifactorytest.Staging, "f")
	delivered(t, s)
	require.Empty(t, r.received())
	require.NoError(t, s.SetQuirks(standin.Quirks{}))
	put(t, s, artifactorytest.Staging, "g")
	delivered(t, s)
	require.Len(t, r.received(), 1)
}

func TestAnyFederatedUnknown(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{AnyFederated: "refuse"}}), newReceiver(t)
	body, err := json.Marshal(subscription(r))
	require.NoError(t, err)
	resp, _ := send(t, s, request{method: "POST", target: hooks, token: artifactorytest.Admin, body: string(body)})
	require.Equal(t, 400, resp.StatusCode)
	resp, got := send(t, s, request{method: "POST", target: hooks, token: artifactorytest.Admin, body: strings.Replace(string(body), `"anyFederated":false,`, "", 1)})
	require.Equal(t, 201, resp.StatusCode, got)
}

func TestTroubleshooting(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t, 404, 500, 202, 202)
	sub := subscription(r)
	sub.Debug = true
	require.NoError(t, s.AddSubscription(sub))
	for _, path := range []string{"refused", "again", "fine"} {
		put(t, s, artifactorytest.Staging, path)
		delivered(t, s)
	}
	type record struct {
		ID      string `json:"id"`
		Status  int    `json:"status_code"`
		Good    bool   `json:"successful"`
		Retries int    `json:"retries"`
		Payload string `json:"payload"`
	}
	get := func(query string) (out []record) {
		resp, body := send(t, s, request{method: "GET", target: "/event/api/v1/troubleshooting" + query, token: artifactorytest.Admin})
		require.Equal(t, 200, resp.StatusCode, body)
		require.NoError(t, json.Unmarshal([]byte(body), &out))
		return out
	}
	all := get("")
	require.Len(t, all, 3)
	require.Equal(t, []int{202, 202, 404}, []int{all[0].Status, all[1].Status, all[2].Status}, "the latest first")
	require.Equal(t, []int{0, 1, 0}, []int{all[0].Retries, all[1].Retries, all[2].Retries}, "a 404 is not tried again")
	require.Greater(t, all[0].ID, all[1].ID)
	require.Len(t, all[0].ID, 26)
	require.Contains(t, all[2].Payload, `"path":"refused"`)
	require.Len(t, get("?count=1"), 1)
	require.Empty(t, get("?subscription=other"))
	require.Empty(t, get("?target="+url.QueryEscape("http://other/")))
	require.Len(t, get("?target="+url.QueryEscape(r.URL+"/webhook/main")), 3)
	require.Empty(t, get(fmt.Sprintf("?start=%d", time.Now().Add(time.Hour).UnixMilli())))
	require.Empty(t, get("?end=2020-01-01T00:00:00Z"))

	sub.Debug = false
	require.NoError(t, s.AddSubscription(sub))
	put(t, s, artifactorytest.Staging, "silent")
	delivered(t, s)
	require.Len(t, get(""), 3, "without debug only failures are recorded")
	resp, _ := send(t, s, request{method: "GET", target: "/event/api/v1/troubleshooting", token: artifactorytest.CI})
	require.Equal(t, 403, resp.StatusCode)
}
