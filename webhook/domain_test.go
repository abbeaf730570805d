package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/job"
)

// A table that acts on a type says in which lane; one that does not says why. No type does both by accident.
func TestTablesAreWhole(t *testing.T) {
	t.Parallel()
	for name, d := range domains {
		require.NotEmpty(t, d.types, name)
		for typ, line := range d.types {
			if line.ignored == "" {
				require.NotNil(t, line.read, "%s/%s", name, typ)
			}
			if line.ignored == "" || line.lane != "" { // acted on, or one line away from it
				require.NotNil(t, line.read, "%s/%s", name, typ)
				require.Contains(t, job.Lanes(), line.lane, "%s/%s", name, typ)
			}
		}
	}
	for _, want := range []string{
		"artifact/copied promotion", "artifact/deployed upload", "artifact/moved promotion",
		"release_bundle_v2/release_bundle_v2_completed upload", "release_bundle_v2_promotion/release_bundle_v2_promotion_completed promotion",
		"build/promoted promotion", "build/uploaded upload", "docker/pushed upload", "docker/promoted promotion", "docker/deleted ",
		"app_trust/entry_gate_failure ", "app_trust/entry_gate_validation_failed ",
	} {
		require.Contains(t, typesAsText(), want)
	}
}

func typesAsText() (all []string) {
	for _, t := range Types() {
		all = append(all, fmt.Sprintf("%s/%s %s", t.Domain, t.Name, t.Lane))
	}
	return all
}

// The reason of the table is what the sender reads.
func TestTheAnswerSaysWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	w := r.send([]byte(`{"domain":"docker","event_type":"deleted","data":{}}`))
	require.Equal(t, notForUs, outcomeOf(t, w))
	require.Contains(t, w.Body.String(), gone)
}

func TestUnknownTypesAreToldOnceAndCountedAlways(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for range 3 {
		for _, kind := range []string{`"domain":"teleport","event_type":"arrived"`, `"domain":"artifact","event_type":"arrived"`} {
			require.Equal(t, http.StatusOK, r.send([]byte("{"+kind+"}")).Code)
		}
	}
	told := r.log.all()
	require.Len(t, told, 2)
	for i, domain := range []string{"teleport", "artifact"} {
		var line map[string]any
		require.NoError(t, json.Unmarshal(told[i], &line))
		require.Equal(t, []any{"WARN", domain, "arrived"}, []any{line["level"], line["domain"], line["type"]})
	}
	families, err := r.reg.Gather()
	require.NoError(t, err)
	counted := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["outcome"] == string(unknownEvent) {
				counted[labels["domain"]+"/"+labels["type"]] += m.GetCounter().GetValue()
			}
		}
	}
	require.Equal(t, map[string]float64{"artifact/other": 3, "other/other": 3}, counted)
}

// Whatever is invented, what is remembered of it is bounded.
func TestAcquaintancesAreBounded(t *testing.T) {
	t.Parallel()
	var a acquaintance
	for n := range 2 * acquaintances {
		require.Equal(t, n < acquaintances, a.first("x", fmt.Sprint(n)))
	}
	require.Len(t, a.seen, acquaintances)
}

// The signatures beside an image are none of the images to sign.
func TestImages(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0a", 32)
	for name, c := range map[string]struct {
		data string
		want place
	}{
		"by its path":      {`{"repo_key":"r","path":"/team/app/1.0/list.manifest.json","image_name":"app","tag":"other"}`, place{Repo: "r", Path: "team/app/1.0/list.manifest.json"}},
		"without a path":   {`{"repo_key":"r","image_name":"app","tag":"1.0"}`, place{Repo: "r", Path: "app/1.0/manifest.json"}},
		"a signature":      {`{"repo_key":"r","image_name":"app","tag":"sha256-` + hex + `.sig"}`, place{Repo: "r", Path: "app/sha256-" + hex + ".sig/manifest.json", Attachment: true}},
		"a referrers list": {`{"repo_key":"r","image_name":"app","tag":"sha256-` + hex + `"}`, place{Repo: "r", Path: "app/sha256-" + hex + "/manifest.json", Attachment: true}},
		"like a signature": {`{"repo_key":"r","image_name":"app","tag":"sha256-` + hex + `.tar"}`, place{Repo: "r", Path: "app/sha256-" + hex + ".tar/manifest.json"}},
		"target tag only":  {`{"repo_key":"r","image_name":"app","tag":"rc","target_tag":"1.0","sha256":"` + hex + `"}`, place{Repo: "r", Path: "app/1.0/manifest.json", SHA256: hex}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := imageTarget([]byte(c.data))
			require.NoError(t, err)
			require.Equal(t, c.want, h.place())
		})
	}
	for _, data := range []string{`{}`, `{"repo_key":"r","path":"x"}`, `{"repo_key":"r","image_name":"app"}`, `[]`, `{"repo_key":1}`} {
		_, err := imageAt([]byte(data))
		require.Error(t, err, data)
	}
}

func TestBuildsAndBundles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		read decode
		data string
		want place
	}{
		"time with a colon":      {buildAt, `{"build_name":"b","build_number":"1","build_started":"2026-08-14T09:31:07.412+02:00","build_repo":"x-build-info"}`, place{Repo: "x-build-info", Path: "b/1-1786692667412.json", Parts: true}},
		"time nobody can read":   {buildAt, `{"build_name":"b","build_number":"1","build_started":"yesterday"}`, place{Repo: buildRepo, Path: "b/1", Parts: true}},
		"bundle of no project":   {bundleAt, `{"release_bundle_name":"b","release_bundle_version":"1"}`, place{Repo: bundleRepo, Path: "b/1/release-bundle.json.evd"}},
		"promoted":               {promotedBundleAt, `{"release_bundle_name":"b","release_bundle_version":"1","repository_key":"fw-release-bundles-v2"}`, place{Repo: "fw-release-bundles-v2", Path: "b/1/release-bundle.json.evd", Parts: true}},
		"the test button":        {promotedBundleAt, `{"release_bundle_name":"b","release_bundle_version":"1","repository_key":"sample_repo"}`, place{Repo: "sample_repo", Path: "b/1/release-bundle.json.evd"}},
		"created in any fashion": {bundleAt, `{"release_bundle_name":"b","release_bundle_version":"1","repository_key":"r","created":17}`, place{Repo: "r", Path: "b/1/release-bundle.json.evd"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, err := c.read([]byte(c.data))
			require.NoError(t, err)
			require.Equal(t, c.want, h.place())
		})
	}
	for _, read := range []decode{buildAt, bundleAt, promotedBundleAt} {
		for _, data := range []string{`{}`, `[]`, `{"build_name":"b","release_bundle_name":"b"}`} {
			_, err := read([]byte(data))
			require.Error(t, err, data)
		}
	}
}

// The test button of a subscription sends an invented event of its domain. Every answer to it is a 2xx, or the
// administrator takes the subscription for broken.
func TestTheTestButtonIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	hallmark := httptest.NewServer(r.handler)
	t.Cleanup(hallmark.Close)
	artifactory := artifactorytest.Start(t, standin.Config{})
	for name, d := range domains {
		types := []string{}
		for typ := range d.types {
			types = append(types, typ)
		}
		body, err := json.Marshal(map[string]any{
			"key": "hallmark-test", "enabled": true,
			"event_filter": map[string]any{"domain": name, "event_types": types, "criteria": map[string]any{
				"anyLocal": true, "anyBuild": true, "anyReleaseBundle": true, "selectedEnvironments": []string{"DEV"},
			}},
			"handlers": []any{map[string]any{"handler_type": "webhook", "url": hallmark.URL + "/webhook/main", "secret": string(newSecret), "use_secret_for_signing": true}},
		})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, artifactory.URL()+"/event/api/v1/subscriptions/test", strings.NewReader(string(body)))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+artifactorytest.Admin)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		var answer struct{ Result, Message string }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "success", strings.ToLower(answer.Result), "%s: %s", name, answer.Message)
	}
	require.Empty(t, r.accepted())
}
