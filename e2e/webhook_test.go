package e2e

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
)

// event is the body of an artifact event as JFrog sends it.
func event(typ, repo, path string, more ...string) string {
	data := map[string]any{"repo_key": repo, "path": path, "name": "x", "size": 1, "sha256": strings.Repeat("0", 64)}
	for i := 0; i < len(more); i += 2 {
		data[more[i]] = more[i+1]
	}
	body, _ := json.Marshal(map[string]any{ //nolint:errchkjson // strings and numbers
		"domain": "artifact", "event_type": typ, "data": data, "subscription_key": "test", "jpd_origin": "http://elsewhere.example",
		"source": "jfrog/jfrt@0", "userContext": map[string]any{"id": "dev1", "isToken": true, "realm": "internal"},
	})
	return string(body)
}

func mac(secret, body string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(body))
	return hex.EncodeToString(h.Sum(nil))
}

// send delivers a body with a value in the authentication header; "" sends no header.
func send(t *testing.T, url, auth, body string) (status int, answer string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	require.NoError(t, err)
	if auth != "" {
		req.Header.Set("X-JFrog-Event-Auth", auth)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(content)
}

// What the receiver answers, over the wire.
func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	hook, secret := s.URL+"/webhook/main", s.Secret("webhook")
	good := event("deployed", sandbox.Staging, "app/1.0/none.bin")
	huge := event("deployed", sandbox.Staging, "app/1.0/none.bin", "padding", strings.Repeat("x", 1<<20))
	for name, c := range map[string]struct {
		url, auth, body string
		status          int
		says            string
	}{
		"good":                  {hook, mac(secret, good), good, 202, "accepted"},
		"wrong secret":          {hook, mac("guess", good), good, 401, "use_secret_for_signing"},
		"no header":             {hook, "", good, 401, ""},
		"secret in plain":       {hook, secret, good, 401, ""},
		"upper case":            {hook, strings.ToUpper(mac(secret, good)), good, 401, ""},
		"body changed":          {hook, mac(secret, good), good + " ", 401, ""},
		"malformed":             {hook, mac(secret, "{"), "{", 400, "malformed"},
		"not an event":          {hook, mac(secret, "{}"), "{}", 400, "malformed"},
		"malformed, wrong auth": {hook, "00", "{", 401, ""},
		"oversized":             {hook, mac(secret, huge), huge, 413, "too-large"},
		"unknown instance":      {s.URL + "/webhook/other", mac(secret, good), good, 404, "unknown-instance"},
		"unknown domain":        {hook, mac(secret, `{"domain":"weather","event_type":"rain"}`), `{"domain":"weather","event_type":"rain"}`, 200, "unknown-event"},
		"deleted":               authentic(hook, secret, event("deleted", sandbox.Staging, "app/1.0/none.bin"), 200, "not-for-us"),
		"not covered":           authentic(hook, secret, event("deployed", sandbox.Staging, "manual/x"), 200, "not-covered"),
		"own file":              authentic(hook, secret, event("deployed", sandbox.Staging, "app/x.sigstore.json"), 200, "own-attachment"),
		"refused path":          authentic(hook, secret, event("deployed", sandbox.Staging, "app/../../x"), 200, "refused-path"),
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := send(t, c.url, c.auth, c.body)
			require.Equal(t, c.status, status, answer)
			require.Contains(t, answer, c.says)
			require.True(t, json.Valid([]byte(answer)))
		})
	}
	m := scrape(t, s)
	require.InDelta(t, 6, m.value("hallmark_webhook_auth_failures_total", "instance", "main"), 0)
	require.Zero(t, s.Artifactory.CountRequests("", "/artifactory/"+sandbox.Staging+"/x"))
}

func authentic(url, secret, body string, status int, says string) struct {
	url, auth, body string
	status          int
	says            string
} {
	return struct {
		url, auth, body string
		status          int
		says            string
	}{url, mac(secret, body), body, status, says}
}

// Requests that nothing takes are refused like all others: as problem details, with one line in the log each.
func TestUnknownRoutes(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	for _, c := range []struct {
		method, path string
		status       int
		line         string // msg of its log line
	}{
		{http.MethodGet, "/", 404, "api"},
		{http.MethodPost, "/nothing", 404, "api"},
		{http.MethodGet, "/v1", 404, "api"},
		{http.MethodGet, "/v1/nothing", 404, "api"},
		{http.MethodGet, "/v1/sign", 405, "api"},
		{http.MethodPost, "/webhook", 404, "webhook"},
		{http.MethodPost, "/webhook/main/more", 404, "webhook"},
		{http.MethodGet, "/webhook/main", 405, "webhook"},
	} {
		before := serviceLog(t, s)
		req, err := http.NewRequestWithContext(t.Context(), c.method, s.URL+c.path, nil)
		require.NoError(t, err)
		resp, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
		require.NoError(t, err)
		var p api.Problem
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&p))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, c.status, resp.StatusCode, c.path)
		require.Equal(t, c.status, p.Status)
		require.Equal(t, "application/problem+json", resp.Header.Get("Content-Type"))
		status := fmt.Sprintf(`"status":%d`, c.status)
		var lines string
		eventually(t, func() string { return "a log line for " + c.path }, func() bool {
			lines = strings.TrimPrefix(serviceLog(t, s), before)
			return strings.HasSuffix(lines, "\n")
		})
		require.Equal(t, 1, strings.Count(lines, "\n"), lines)
		require.Contains(t, lines, `"msg":"`+c.line+`"`)
		require.Contains(t, lines, status)
	}
}

// During a rotation both secrets are good; afterwards only the new one is. Plain mode takes the secret itself, and only
// where it is configured.
func TestWebhookSecretRotationAndPlainMode(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	old, renewed := s.Secret("webhook"), "renewed-webhook-secret"
	require.NoError(t, os.WriteFile(s.Path("secrets", "renewed"), []byte(renewed+"\n"), 0o600))
	restart := func(pairs ...string) {
		t.Helper()
		require.NoError(t, s.Terminate())
		edit(t, s.Path("hallmark.yaml"), pairs...)
		require.NoError(t, s.Serve(t.Context()))
	}
	hook := s.URL + "/webhook/main"
	body := event("deployed", sandbox.Staging, "app/none.bin")
	status := func(auth string) int {
		code, _ := send(t, hook, auth, body)
		return code
	}
	both := fmt.Sprintf("[{file: %s}, {file: %s}]", s.Path("secrets", "webhook"), s.Path("secrets", "renewed"))
	restart(fmt.Sprintf("[{file: %s}]", s.Path("secrets", "webhook")), both)
	require.Equal(t, []int{202, 202, 401}, []int{status(mac(old, body)), status(mac(renewed, body)), status(mac("other", body))})

	restart(both, fmt.Sprintf("[{file: %s}]", s.Path("secrets", "renewed")))
	require.Equal(t, []int{401, 202}, []int{status(mac(old, body)), status(mac(renewed, body))})

	restart("webhookSecrets:", "webhookAuth: plain\n    webhookSecrets:")
	require.Equal(t, []int{202, 401, 401}, []int{status(renewed), status(mac(renewed, body)), status(old)})
	require.NotContains(t, serviceLog(t, s), renewed)

	// Artifactory itself in plain mode.
	require.NoError(t, s.Artifactory.AddSubscription(standin.Subscription{
		Key: sandbox.Subscriber, Enabled: true,
		EventFilter: standin.EventFilter{Domain: "artifact", EventTypes: []string{"deployed"}, Criteria: standin.Criteria{AnyLocal: true}},
		Handlers:    []standin.Target{{HandlerType: "webhook", URL: hook, Secret: renewed}},
	}))
	upload(t, s, "app/plain.bin", "announced with the secret itself")
	awaitSigned(t, s, "app/plain.bin")
}

// Older and newer shapes of the payload, and every way an item can arrive, end in a signature.
func TestEveryShapeOfEventIsUnderstood(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	for name, d := range map[string]standin.Distortion{
		"bare": {OmitOrigin: true, OmitUserContext: true}, "flat": {Flat: true}, "twice": {Duplicates: 2},
	} {
		s.Artifactory.Distort(d)
		upload(t, s, "app/shape/"+name, name)
		awaitSigned(t, s, "app/shape/"+name)
	}
	s.Artifactory.Distort(standin.Distortion{})

	// Uploaded where policy does not look, then moved to where it does; JFrog does not say how it writes the target.
	m := jfrogClient(t, s)
	for i, form := range []string{"repo/path", "repo:path"} {
		require.NoError(t, s.Artifactory.SetQuirks(standin.Quirks{MovePaths: form}))
		from, to := fmt.Sprintf("manual/%d.bin", i), fmt.Sprintf("app/moved/%d.bin", i)
		upload(t, s, from, form)
		jfrogMove(t, m, sandbox.Staging+"/"+from, sandbox.Staging+"/"+to)
		awaitSigned(t, s, to)
	}
}

// A replayed or reordered event makes no second signature.
func TestReplaysMakeNoSecondSignature(t *testing.T) {
	t.Parallel()
	var c sandbox.Config
	shim := counted(t, &c)
	s := start(t, c)
	before := shim.Calls(t, "C_Sign")
	s.Artifactory.HoldEvents()
	upload(t, s, "app/one.bin", "one")
	upload(t, s, "app/two.bin", "two")
	s.Artifactory.ReleaseEvents(func(events []standin.Event) []standin.Event {
		slices.Reverse(events)
		return append(events, events...)
	})
	awaitSigned(t, s, "app/one.bin", "app/two.bin")
	first := rawSignature(t, s, "app/one.bin")
	for range 3 {
		f, _ := s.Artifactory.File(sandbox.Staging, "app/one.bin")
		s.Artifactory.Emit(standin.Event{Domain: "artifact", Type: "deployed", Repo: sandbox.Staging, Path: "app/one.bin", SHA256: f.SHA256})
		delivered(t, s, "app/one.bin")
		settled(t, s, "app/one.bin")
	}
	upload(t, s, "app/copy.bin", "one") // the same bytes elsewhere: reused
	awaitSigned(t, s, "app/copy.bin")
	require.Equal(t, 2, shim.Calls(t, "C_Sign")-before)
	require.Equal(t, first, rawSignature(t, s, "app/one.bin"))
	require.Equal(t, first, rawSignature(t, s, "app/copy.bin"))
	var status api.Status
	hallmarkJSON(t, s, 0, &status, "status", sandbox.Staging+"/app/one.bin")
	require.Len(t, status.Signatures, 2)
}

// settled waits until no work about the artifact waits or runs, and returns what is known of it.
func settled(t *testing.T, s *sandbox.Sandbox, path string) (status api.Status) {
	t.Helper()
	client := &api.Client{URL: s.URL, Token: s.Secret("caller"), HTTP: &http.Client{Timeout: patience}}
	eventually(t, func() string { return path + " is settled" }, func() bool {
		var err error
		status, err = client.Status(t.Context(), "", sandbox.Staging+"/"+path)
		return err == nil && !status.Pending && status.Current != nil
	})
	return status
}
