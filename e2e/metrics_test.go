package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// series is one line of a scrape. Of histograms the value is the count.
type series struct {
	family string
	labels map[string]string
	value  float64
}

type metrics []series

func scrape(t *testing.T, s *sandbox.Sandbox) metrics {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(bytes.NewReader(scrapeText(t, s)))
	require.NoError(t, err)
	var all metrics
	for name, family := range families {
		for _, m := range family.GetMetric() {
			one := series{family: name, labels: map[string]string{}}
			for _, l := range m.GetLabel() {
				one.labels[l.GetName()] = l.GetValue()
			}
			one.value = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			all = append(all, one)
		}
	}
	return all
}

func scrapeText(t *testing.T, s *sandbox.Sandbox) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.MetricsURL+"/metrics", nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return text
}

// value is the sum of the family's series that bear all the label pairs.
func (m metrics) value(family string, labels ...string) (sum float64) {
	for _, one := range m {
		match := one.family == family
		for i := 0; i < len(labels); i += 2 {
			match = match && one.labels[labels[i]] == labels[i+1]
		}
		if match {
			sum += one.value
		}
	}
	return sum
}

func (m metrics) has(family string) bool {
	return slices.ContainsFunc(m, func(one series) bool { return one.family == family })
}

// labelValues is every value that a label of ours may have, whatever happens: nobody outside can make series.
var labelValues = map[string][]string{
	"instance": {"main", "other"},
	"domain":   {"artifact", "build", "docker", "release_bundle_v2", "release_bundle_v2_promotion", "other"},
	"type":     {"deployed", "cached", "copied", "moved", "deleted", "uploaded", "promoted", "pushed", "release_bundle_v2_completed", "release_bundle_v2_promotion_completed", "other"},
	"outcome": {
		"accepted", "not-for-us", "unknown-event", "not-covered", "own-attachment", "refused-path", "malformed", "unauthenticated",
		"unknown-instance", "no-route", "wrong-method", "too-large", "incomplete", "unavailable", // of webhooks
		"done", "retry", "later", "failed", "interrupted", // of jobs
	},
	"state":        {"signed", "denied", "skipped", "gone", "failed", "changed", "expanded", "waiting", "begun", "copied", "done", "withdrawn"}, // of artifacts and of promotions' items
	"step":         {"resolve", "decide", "intend", "pull", "seal", "check", "attach", "record", "expand"},
	"key":          {sandbox.Key},
	"class":        {"session", "login", "device", "busy", "pin", "request", "timeout", "selfcheck", "cancelled", "other"},
	"lane":         {"promotion", "upload", "backfill"},
	"source":       {"computed", "remembered"}, // of verifications
	"route":        {"/v1/gate/check", "/v1/sign", "/v1/status", "/v1/policy/explain", "/v1/sweeps", "/v1/promotions", "/v1/promotions/{id}"},
	"status":       {"200", "400", "401", "403", "404", "409", "413", "422", "500", "503"},
	"status_class": {"1xx", "2xx", "3xx", "4xx", "5xx", "error"},
	"call":         {"info", "pull", "store", "read", "properties", "merge", "ping", "version", "repository", "probe", "subscription", "folder", "copy", "remove", "find", "list", "build", "promote", "bundle", "evidence", "referrers", "manifest", "blob", "upload", "user"},
	"finding": {
		"signed", "uncovered", "signature-file", "unsigned", "wrongly-signed", "overwritten", "lying-property", "unmarked", "refused", "orphan", "bare",
		"waiting", "unspeakable-path",
	},
	"reason": append(slices.Collect(func(yield func(string) bool) { eachCode(yield) }), "allow"),
}

func eachCode(yield func(string) bool) {
	for code := range maps.Keys(reason.Codes) {
		if !yield(string(code)) {
			return
		}
	}
}

// After traffic of every sort the metrics are there, well-formed, and nobody has widened them.
func TestMetrics(t *testing.T) {
	t.Parallel()
	var c sandbox.Config
	shim := counted(t, &c)
	s := start(t, c)
	upload(t, s, "app/one.bin", "one")
	awaitSigned(t, s, "app/one.bin")
	const sessionClosed = 0xB0 // CKR_SESSION_CLOSED
	shim.Fail(t, "C_Sign", sessionClosed, 1)
	upload(t, s, "app/two.bin", "two")
	awaitSigned(t, s, "app/two.bin")
	upload(t, s, "manual/unsigned.bin", "x")
	for _, path := range []string{"app/one.bin", "manual/unsigned.bin", "app/none.bin", "app/semi;x=y"} {
		hallmark(t, s, "gate", "check", sandbox.Staging+"/"+path, "--target", sandbox.Release)
	}
	hallmark(t, s, "gate", "check", sandbox.Staging+"/app/one.bin", "--target", "unguarded")
	hallmark(t, s, "promote", sandbox.Staging+"/app/one.bin", "--target", sandbox.Release, "--confirm")
	hallmark(t, s, "promote", "show", "1")
	hallmark(t, s, "status", sandbox.Staging+"/app/one.bin")
	hallmark(t, s, "status", sandbox.Staging+"/app/none.bin")
	hallmark(t, s, "sign", sandbox.Staging+"/app/none.bin")
	for _, words := range []string{"artifact", "evil-domain-1", "evil-domain-2"} {
		body := strings.Replace(event("evil-type-"+words, "evil-repo", "evil/path"), `"domain":"artifact"`, `"domain":"`+words+`"`, 1)
		send(t, s.URL+"/webhook/main", mac(s.Secret("webhook"), body), body)
		send(t, s.URL+"/webhook/evil-instance-"+words, "", body)
		send(t, s.URL+"/v1/evil-route-"+words, "", body)
	}
	delivered(t, s, "")

	problems, err := promlint.New(bytes.NewReader(scrapeText(t, s))).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)

	m := scrape(t, s)
	for family, atLeast := range map[string]float64{
		"hallmark_webhook_events_total":                2,
		"hallmark_webhook_auth_failures_total":         0,
		"hallmark_webhook_seconds":                     2,
		"hallmark_queue_depth":                         0,
		"hallmark_queue_oldest_seconds":                0,
		"hallmark_event_to_signed_seconds":             2,
		"hallmark_hsm_sign_seconds":                    2,
		"hallmark_hsm_errors_total":                    1,
		"hallmark_hsm_sessions_stuck":                  0,
		"hallmark_artifactory_requests_total":          8,
		"hallmark_artifactory_request_seconds":         8,
		"hallmark_gate_verdicts_total":                 4,
		"hallmark_gate_seconds":                        4,
		"hallmark_gate_verifications_total":            1,
		"hallmark_stored_check_failures_total":         0,
		"hallmark_promotion_items_total":               1,
		"hallmark_api_requests_total":                  7,
		"hallmark_signature_self_check_failures_total": 0,
		"hallmark_signing_outcomes_total":              2,
		"hallmark_signing_step_seconds":                8,
		"process_cpu_seconds_total":                    0,
		"go_goroutines":                                1,
	} {
		require.True(t, m.has(family), family)
		require.GreaterOrEqual(t, m.value(family), atLeast, family)
	}
	require.InDelta(t, 1, m.value("hallmark_hsm_errors_total", "class", "session"), 0)
	require.Positive(t, m.value("hallmark_webhook_events_total", "domain", "artifact", "type", "deployed", "outcome", "accepted"))
	for _, code := range []string{"allow", "signature-missing", "artifact-gone", "no-gate-policy"} {
		require.Positive(t, m.value("hallmark_gate_verdicts_total", "reason", code), code)
	}
	require.Zero(t, m.value("hallmark_signature_self_check_failures_total"))

	for _, one := range m {
		if !strings.HasPrefix(one.family, "hallmark_") {
			continue
		}
		for label, value := range one.labels {
			require.Contains(t, labelValues, label, "%s has a label whose values are not known to be few", one.family)
			require.Contains(t, labelValues[label], value, "%s{%s}", one.family, label)
		}
	}
}

// What waits is seen to wait: the workers are held by downloads that do not begin, and the events behind them are counted
// until they go on.
func TestQueueDepth(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Workers: 2})
	began, release := held(t, s, "app/held/*.bin")
	var paths []string
	for n := range 12 { // more than are worked on and fetched ahead
		paths = append(paths, fmt.Sprintf("app/held/%02d.bin", n))
		upload(t, s, paths[n], paths[n])
	}
	<-began
	depth := func() float64 { return scrape(t, s).value("hallmark_queue_depth", "lane", "upload") }
	eventually(t, func() string { return "a depth of at least 1" }, func() bool { return depth() >= 1 })
	for _, path := range paths {
		require.Empty(t, state(s, path))
	}
	release()
	awaitSigned(t, s, paths...)
	eventually(t, func() string { return "a depth of 0" }, func() bool { return depth() == 0 })
}

// A signature that the token got wrong never leaves; the counter that must stay 0 says so.
func TestSelfCheckFailureIsCounted(t *testing.T) {
	t.Parallel()
	var c sandbox.Config
	shim := counted(t, &c)
	s := start(t, c)
	shim.Corrupt(t, 1)
	upload(t, s, "app/one.bin", "one")
	awaitSigned(t, s, "app/one.bin")
	require.InDelta(t, 1, scrape(t, s).value("hallmark_signature_self_check_failures_total"), 0)
	r := hallmark(t, s, "gate", "check", sandbox.Staging+"/app/one.bin", "--target", sandbox.Release)
	require.Equal(t, 0, r.code, r.out)
}

// One JSON line per request and one per attempt of a job, with what it was about and how it ended.
func TestLogLines(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	paths := []string{"app/a.bin", "app/b.bin", "app/c.bin"}
	for _, path := range paths {
		upload(t, s, path, path)
	}
	upload(t, s, "manual/skipped.bin", "not covered")
	awaitSigned(t, s, paths...)
	delivered(t, s, "")
	hallmark(t, s, "gate", "check", sandbox.Staging+"/app/a.bin", "--target", sandbox.Release)
	hallmark(t, s, "status", sandbox.Staging+"/app/a.bin")
	body := event("deployed", sandbox.Staging, "app/x.bin")
	send(t, s.URL+"/webhook/main", mac("guess", body), body)
	requests := 0
	for _, d := range s.Artifactory.Deliveries() {
		requests += d.Tries
	}
	require.NoError(t, s.Terminate())

	count := map[string]int{}
	for line := range strings.Lines(serviceLog(t, s)) {
		var l map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &l), line)
		msg, _ := l["msg"].(string)
		count[msg]++
		need := map[string][]string{
			"webhook": {"instance", "domain", "type", "repo", "path", "outcome", "status", "took"},
			"job":     {"job", "instance", "repo", "path", "outcome", "took", "attempt"},
			"api":     {"route", "caller", "status", "took"},
		}[msg]
		for _, key := range append(need, "time", "level", "msg") {
			require.Contains(t, l, key, line)
		}
	}
	require.Equal(t, map[string]int{ // the one above, and the sample event of webhook install
		"webhook": requests + 2, "job": len(paths), "api": 2, "ready": 1, "draining": 1, "stopped": 1,
	}, count)
}
