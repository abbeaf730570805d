package artifactory_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

// everything is one subscription per domain, each with criteria that choose all.
func everything(r *receiver) map[string]standin.Subscription {
	repos := standin.Criteria{AnyLocal: true, AnyRemote: true, AnyFederated: true}
	anyBundle := standin.Criteria{AnyReleaseBundle: true}
	out := map[string]standin.Subscription{}
	for domain, f := range map[string]standin.EventFilter{
		"artifact":                    {EventTypes: []string{"deployed", "deleted", "moved", "copied", "cached"}, Criteria: repos},
		"artifact_property":           {EventTypes: []string{"added", "deleted"}, Criteria: repos},
		"docker":                      {EventTypes: []string{"pushed", "deleted", "promoted"}, Criteria: repos},
		"build":                       {EventTypes: []string{"uploaded", "deleted", "promoted"}, Criteria: standin.Criteria{AnyBuild: true}},
		"release_bundle":              {EventTypes: []string{"created", "signed", "deleted"}, Criteria: anyBundle},
		"release_bundle_v2":           {EventTypes: []string{"release_bundle_v2_completed"}, Criteria: anyBundle},
		"release_bundle_v2_promotion": {EventTypes: []string{"release_bundle_v2_promotion_completed"}, Criteria: standin.Criteria{SelectedEnvironments: []string{"DEV"}}},
		"distribution":                {EventTypes: []string{"distribute_completed"}, Criteria: anyBundle},
		"destination":                 {EventTypes: []string{"received"}, Criteria: anyBundle},
		"artifactory_release_bundle":  {EventTypes: []string{"received"}, Criteria: anyBundle},
		"artifact_lifecycle":          {EventTypes: []string{"archive", "restore"}, Criteria: repos},
		"user":                        {EventTypes: []string{"locked"}},
		"app_trust":                   {EventTypes: []string{"entry_gate_failure", "release_completed"}},
		"xray_scan_status":            {EventTypes: []string{"done"}},
		"curation":                    {EventTypes: []string{"blocked"}},
	} {
		sub := subscription(r)
		f.Domain = domain
		sub.Key, sub.EventFilter = strings.ReplaceAll(domain, "_", "-"), f
		out[domain] = sub
	}
	return out
}

// Every domain can be subscribed to, has a test payload, and takes events that nothing here makes.
func TestEveryDomain(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t)
	for domain, sub := range everything(r) {
		body, err := json.Marshal(sub)
		require.NoError(t, err)
		for _, target := range []string{"", "/test"} {
			resp, got := send(t, s, request{method: "POST", target: hooks + target, token: artifactorytest.Admin, body: string(body)})
			require.Contains(t, []int{200, 201}, resp.StatusCode, "%s: %s", domain, got)
		}
		var p struct {
			Domain string
			Type   string `json:"event_type"`
			Data   map[string]any
		}
		tested := r.received()
		require.NoError(t, json.Unmarshal([]byte(tested[len(tested)-1].body), &p))
		require.Equal(t, domain, p.Domain)
		require.NotEmpty(t, p.Data)
		empty := sub
		empty.EventFilter.Criteria = standin.Criteria{}
		free := slices.Contains([]string{"user", "app_trust", "xray_scan_status", "curation"}, domain)
		require.Equal(t, free, s.AddSubscription(empty) == nil, "%s without criteria", domain)
		require.NoError(t, s.AddSubscription(sub))
	}
	before := len(r.received())
	for _, e := range []standin.Event{
		{Domain: "user", Type: "locked", Data: map[string]any{"username": "dev1"}},
		{Domain: "distribution", Type: "distribute_completed", Data: map[string]any{"release_bundle_name": "x", "transaction_id": 4711}},
		{Domain: "build", Type: "promoted", Data: map[string]any{"build_name": "x"}},
		{Domain: "artifact_lifecycle", Type: "archive", Repo: artifactorytest.Staging, Path: "f"},
		{Domain: "app_trust", Type: "exit_gate_failure", Data: map[string]any{"application_key": "x"}}, // not subscribed
	} {
		s.Emit(e)
	}
	delivered(t, s)
	require.Len(t, r.received(), before+4)
}

func TestOlderShapes(t *testing.T) {
	t.Parallel()
	s, r := artifactorytest.Start(t, standin.Config{}), newReceiver(t)
	for _, sub := range everything(r) {
		require.NoError(t, s.AddSubscription(sub))
	}
	s.Distort(standin.Distortion{Flat: true, Omit: []string{"build_repo"}})
	s.Emit(standin.Event{Domain: "build", Type: "uploaded", Build: &standin.BuildRun{Name: "b", Number: "1", Started: started, Repo: "r"}})
	delivered(t, s)
	require.JSONEq(t, `{"domain":"build","event_type":"uploaded","subscription_key":"build","build_name":"b","build_number":"1","build_started":"`+started+`"}`, r.received()[0].body)
	s.Emit(standin.Event{Domain: "release_bundle", Type: "signed", Data: map[string]any{"release_bundle_name": "b"}})
	delivered(t, s)
	require.JSONEq(t, `{"destination":"release_bundle","event_type":"signed","subscription_key":"release-bundle","data":{"release_bundle_name":"b"}}`, r.received()[1].body)
}

func TestChance(t *testing.T) {
	t.Parallel()
	const n = 400
	for _, tt := range []struct {
		name       string
		distortion standin.Distortion
		min, max   int
		ordered    bool
	}{
		{"half lost", standin.Distortion{Loss: 0.5, Seed: 1}, n/2 - 60, n/2 + 60, true},
		{"all lost", standin.Distortion{Loss: 1}, 0, 0, true},
		{"half doubled", standin.Distortion{Doubled: 0.5, Seed: 1}, n + n/2 - 60, n + n/2 + 60, true},
		{"disordered", standin.Distortion{Jitter: 50 * time.Millisecond, Seed: 1}, n, n, false},
		{"delayed", standin.Distortion{Delay: 20 * time.Millisecond}, n, n, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := artifactorytest.Start(t, standin.Config{Webhooks: standin.WebhookTiming{Workers: 1}})
			r := newReceiver(t)
			require.NoError(t, s.AddSubscription(subscription(r)))
			s.Distort(tt.distortion)
			began := time.Now()
			for i := range n {
				s.Emit(standin.Event{Domain: "artifact", Type: "deployed", Repo: artifactorytest.Staging, Path: fmt.Sprintf("%04d", i)})
			}
			delivered(t, s)
			got := r.events(t)
			require.GreaterOrEqual(t, len(got), tt.min)
			require.LessOrEqual(t, len(got), tt.max)
			if !tt.ordered {
				require.False(t, slices.IsSorted(got))
			}
			require.GreaterOrEqual(t, time.Since(began), tt.distortion.Delay)
		})
	}
}
