package artifactory_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	lifecycleauth "github.com/jfrog/jfrog-client-go/artifactory/auth"
	jfrogconfig "github.com/jfrog/jfrog-client-go/config"
	"github.com/jfrog/jfrog-client-go/lifecycle"
	"github.com/jfrog/jfrog-client-go/lifecycle/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func bundles(t *testing.T, s *standin.Server, token string) *lifecycle.LifecycleServicesManager {
	t.Helper()
	details := lifecycleauth.NewArtifactoryDetails()
	details.SetUrl(s.URL() + "/lifecycle/")
	details.SetAccessToken(token)
	cfg, err := jfrogconfig.NewConfigBuilder().SetServiceDetails(details).SetHttpRetries(0).Build()
	require.NoError(t, err)
	m, err := lifecycle.New(cfg)
	require.NoError(t, err)
	return m
}

// works has two environments and the files org/a and org/b of the build bld/7, each with a signature beside it.
func works(t *testing.T, quirks standin.Quirks) *standin.Server {
	t.Helper()
	s := artifactorytest.Start(t, standin.Config{
		Quirks: quirks,
		Repositories: []standin.Repository{
			{Key: artifactorytest.Staging}, {Key: artifactorytest.Release}, {Key: "other-release"}, {Key: "maven-release", PackageType: "maven"},
			{Key: "maven-staging", PackageType: "maven"}, {Key: "far", Class: standin.Remote, Fetch: func(string) ([]byte, bool) { return []byte("far"), true }},
		},
		Environments: map[string][]string{
			"DEV": {artifactorytest.Staging}, "PROD": {artifactorytest.Release, "maven-release"}, "BOTH": {artifactorytest.Release, "other-release"},
		},
	})
	built(t, s, "", "bld", "7", "a", "b")
	require.NoError(t, s.Put("ci", "maven-staging", "m/x.jar", strings.NewReader("jar"), nil))
	return s
}

var (
	rb      = services.ReleaseBundleDetails{ReleaseBundleName: "rb", ReleaseBundleVersion: "1.0.0"}
	waiting = services.CommonOptionalQueryParams{}
)

func fromArtifacts(paths ...string) services.CreateFromArtifacts {
	var out services.CreateFromArtifacts
	for _, p := range paths {
		out.Artifacts = append(out.Artifacts, services.ArtifactSource{Path: p})
	}
	return out
}

func TestServicesCreateBundle(t *testing.T) {
	t.Parallel()
	build := services.BuildSource{BuildName: "bld", BuildNumber: "7", BuildRepository: "artifactory-build-info"}
	for _, tt := range []struct {
		name   string
		create func(m *lifecycle.LifecycleServicesManager) error
		want   []string // below rb/1.0.0/artifacts; none: refused
	}{
		{"artifacts", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromArtifacts(rb, waiting, "gpg", fromArtifacts("libs-staging-local/org/a", "libs-staging-local/org/a.sig"))
		}, []string{"generic/org/a", "generic/org/a.sig"}},
		{"builds", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromBuilds(rb, waiting, "", services.CreateFromBuildsSource{Builds: []services.BuildSource{build}})
		}, []string{"generic/org/a", "generic/org/b"}},
		{"aql", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromAql(rb, waiting, "", `items.find({"repo":"libs-staging-local","name":{"$match":"b*"}})`)
		}, []string{"generic/org/b", "generic/org/b.sig"}},
		{"several sources", func(m *lifecycle.LifecycleServicesManager) error {
			_, err := m.CreateReleaseBundlesFromMultipleSources(rb, waiting, "", []services.RbSource{
				{SourceType: services.Builds, Builds: []services.BuildSource{build}},
				{SourceType: services.Artifacts, Artifacts: fromArtifacts("libs-staging-local/org/a", "maven-staging/m/x.jar").Artifacts},
			})
			return err
		}, []string{"generic/org/a", "generic/org/b", "maven/m/x.jar"}},
		{"another bundle", func(m *lifecycle.LifecycleServicesManager) error {
			first := services.ReleaseBundleDetails{ReleaseBundleName: "rb", ReleaseBundleVersion: "0"}
			if err := m.CreateReleaseBundleFromArtifacts(first, waiting, "", fromArtifacts("libs-staging-local/org/a")); err != nil {
				return err
			}
			return m.CreateReleaseBundleFromBundles(rb, waiting, "", services.CreateFromReleaseBundlesSource{ReleaseBundles: []services.ReleaseBundleSource{{ReleaseBundleName: "rb", ReleaseBundleVersion: "0"}}})
		}, []string{"generic/org/a"}},
		{"a checksum that is another", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromArtifacts(rb, waiting, "", services.CreateFromArtifacts{Artifacts: []services.ArtifactSource{{Path: "libs-staging-local/org/a", Sha256: helloSHA256}}})
		}, nil},
		{"missing artifact", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("libs-staging-local/org/c"))
		}, nil},
		{"unknown build", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromBuilds(rb, waiting, "", services.CreateFromBuildsSource{Builds: []services.BuildSource{{BuildName: "bld", BuildNumber: "8"}}})
		}, nil},
		{"the same path twice", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("libs-staging-local/org/a", "other-release/org/a"))
		}, nil},
		{"from a cache", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("far-cache/f"))
		}, nil},
		{"nothing", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromAql(rb, waiting, "", `items.find({"name":"none"})`)
		}, nil},
		{"packages", func(m *lifecycle.LifecycleServicesManager) error {
			return m.CreateReleaseBundleFromPackages(rb, waiting, "", services.CreateFromPackagesSource{Packages: []services.PackageSource{{PackageName: "x"}}})
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := works(t, standin.Quirks{})
			require.NoError(t, s.Put("ci", "other-release", "org/a", strings.NewReader("else"), nil))
			_, _ = send(t, s, request{method: "GET", target: "/artifactory/far/f", token: artifactorytest.CI})
			m := bundles(t, s, artifactorytest.CI)
			err := tt.create(m)
			exists, eerr := m.IsReleaseBundleExist("rb", "1.0.0", "")
			require.NoError(t, eerr)
			if tt.want == nil {
				require.Error(t, err)
				require.False(t, exists)
				return
			}
			require.NoError(t, err)
			require.True(t, exists)
			want := []string{"rb/1.0.0/release-bundle.json.evd"}
			for _, p := range tt.want {
				want = append(want, "rb/1.0.0/artifacts/"+p)
			}
			var got []string
			for _, p := range s.Paths("release-bundles-v2") {
				if strings.HasPrefix(p, "rb/1.0.0/") {
					got = append(got, p)
				}
			}
			require.ElementsMatch(t, want, got)
			status, err := m.GetReleaseBundleCreationStatus(rb, "", true)
			require.NoError(t, err)
			require.Equal(t, services.Completed, status.Status)
			spec, err := m.GetReleaseBundleSpecification(rb)
			require.NoError(t, err)
			require.Len(t, spec.Artifacts, len(tt.want))
			require.Error(t, tt.create(m), "exists")
		})
	}
}

// What a bundle holds is what was there when it was made: bytes and properties.
func TestBundleIsFrozen(t *testing.T) {
	t.Parallel()
	s := works(t, standin.Quirks{Copied: "drop"})
	m := bundles(t, s, artifactorytest.CI)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("libs-staging-local/org/a")))
	require.NoError(t, s.Put("ci", artifactorytest.Staging, "org/a", strings.NewReader("other"), map[string][]string{"late": {"x"}}))
	for _, r := range []request{
		{method: "PUT", target: "/artifactory/release-bundles-v2/rb/1.0.0/artifacts/generic/org/a", body: "x"},
		{method: "DELETE", target: "/artifactory/release-bundles-v2/rb/1.0.0/artifacts/generic/org/a"},
		{method: "POST", target: "/artifactory/api/move/release-bundles-v2/rb/1.0.0?to=/libs-release-local/x"},
	} {
		r.token = artifactorytest.CI
		resp, _ := send(t, s, r)
		require.Equal(t, 403, resp.StatusCode)
	}
	_, err := m.PromoteReleaseBundle(rb, waiting, "", services.RbPromotionParams{Environment: "PROD"})
	require.NoError(t, err)
	f, ok := s.File(artifactorytest.Release, "org/a")
	require.True(t, ok)
	require.Equal(t, map[string][]string{"build.name": {"bld"}, "build.number": {"7"}, "team": {"x"}}, f.Properties)
	content, err := s.Content(artifactorytest.Release, "org/a")
	require.NoError(t, err)
	require.Equal(t, "a", string(content))
	resp, _ := send(t, s, request{method: "PUT", target: "/artifactory/api/storage/release-bundles-v2/rb/1.0.0/release-bundle.json.evd?properties=a=b", token: artifactorytest.CI})
	require.Equal(t, 204, resp.StatusCode, "the bundle itself can be annotated")
}

func TestAsyncBundle(t *testing.T) {
	t.Parallel()
	later := services.CommonOptionalQueryParams{Async: true}
	s := artifactorytest.Start(t, standin.Config{ServiceDelay: 50 * time.Millisecond, Environments: map[string][]string{"PROD": {artifactorytest.Release}}})
	require.NoError(t, s.Put("ci", artifactorytest.Staging, "f", strings.NewReader("x"), nil))
	m := bundles(t, s, artifactorytest.CI)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(rb, later, "", fromArtifacts("libs-staging-local/f")))
	status, err := m.GetReleaseBundleCreationStatus(rb, "", false)
	require.NoError(t, err)
	require.Equal(t, services.Processing, status.Status)
	_, err = m.PromoteReleaseBundle(rb, waiting, "", services.RbPromotionParams{Environment: "PROD"})
	require.Error(t, err, "not yet")
	require.Eventually(t, func() bool {
		status, err := m.GetReleaseBundleCreationStatus(rb, "", false)
		return err == nil && status.Status == services.Completed
	}, 10*time.Second, 5*time.Millisecond)

	bad := services.ReleaseBundleDetails{ReleaseBundleName: "rb", ReleaseBundleVersion: "2"}
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(bad, later, "", fromArtifacts("libs-staging-local/g")))
	status, err = m.GetReleaseBundleCreationStatus(bad, "", false)
	require.NoError(t, err)
	require.Equal(t, services.Failed, status.Status)
	require.Contains(t, status.Messages[0].Text, "libs-staging-local/g")

	gone := services.ReleaseBundleDetails{ReleaseBundleName: "rb", ReleaseBundleVersion: "3"}
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(gone, later, "", fromArtifacts("libs-staging-local/f")))
	require.NoError(t, m.DeleteReleaseBundleVersion(gone, waiting))
	_, err = m.GetReleaseBundleCreationStatus(gone, "", false)
	require.ErrorContains(t, err, "404")
	require.Len(t, s.Paths("release-bundles-v2"), 2)
}

func TestAnnotateAndDeleteBundle(t *testing.T) {
	t.Parallel()
	s := works(t, standin.Quirks{})
	m := bundles(t, s, artifactorytest.CI)
	project := services.CommonOptionalQueryParams{ProjectKey: "fw"}
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(rb, project, "", fromArtifacts("libs-staging-local/org/a")))
	require.NoError(t, m.AnnotateReleaseBundle(services.AnnotateOperationParams{
		RbTag: services.RbAnnotationTag{Tag: "stable", Exist: true}, RbDetails: rb, QueryParams: project,
		RbProps:        services.RbAnnotationProps{Properties: map[string][]string{"a": {"b"}}, Exist: true},
		PropertyParams: services.CommonPropParams{Path: "fw-release-bundles-v2/rb/1.0.0/release-bundle.json.evd"},
		ArtifactoryUrl: services.ArtCommonParams{Url: s.URL() + "/artifactory/"},
	}))
	_, body := send(t, s, request{method: "GET", target: "/lifecycle/api/v2/release_bundle/records/rb/1.0.0?project=fw", token: artifactorytest.Reader})
	require.Contains(t, body, `"release_bundle_tag":"stable"`)
	f, _ := s.File("fw-release-bundles-v2", "rb/1.0.0/release-bundle.json.evd")
	require.Equal(t, []string{"b"}, f.Properties["a"])
	require.NoError(t, m.DeleteReleaseBundleVersion(rb, project))
	require.Empty(t, s.Paths("fw-release-bundles-v2"))
	require.Error(t, m.DeleteReleaseBundleVersion(rb, project))
}

func TestDeliveryOfBundles(t *testing.T) {
	t.Parallel()
	s, r := works(t, standin.Quirks{}), newReceiver(t)
	sub := subscription(r)
	sub.EventFilter = standin.EventFilter{
		Domain: "release_bundle_v2", EventTypes: []string{"release_bundle_v2_started", "release_bundle_v2_completed", "release_bundle_v2_failed"},
		Criteria: standin.Criteria{SelectedReleaseBundles: []string{"rb"}},
	}
	require.NoError(t, s.AddSubscription(sub))
	sub.Key, sub.EventFilter = "promotions", standin.EventFilter{
		Domain:     "release_bundle_v2_promotion",
		EventTypes: []string{"release_bundle_v2_promotion_started", "release_bundle_v2_promotion_completed", "release_bundle_v2_promotion_failed"},
		Criteria:   standin.Criteria{SelectedEnvironments: []string{"PROD"}},
	}
	require.NoError(t, s.AddSubscription(sub))
	m := bundles(t, s, artifactorytest.CI)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("libs-staging-local/org/a")))
	done, err := m.PromoteReleaseBundle(rb, waiting, "", services.RbPromotionParams{Environment: "PROD"})
	require.NoError(t, err)
	_, err = m.PromoteReleaseBundle(rb, waiting, "", services.RbPromotionParams{Environment: "PROD"})
	require.Error(t, err, "it is there already")
	delivered(t, s)
	var got []string
	for _, g := range r.received() {
		var p struct {
			Domain    string
			EventType string `json:"event_type"`
			Data      struct {
				Repo        string `json:"repository_key"`
				Name        string `json:"release_bundle_name"`
				Version     string `json:"release_bundle_version"`
				Environment string
				Created     time.Time
				Millis      json.Number `json:"created_millis"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(g.body), &p))
		require.Equal(t, []string{"release-bundles-v2", "rb", "1.0.0"}, []string{p.Data.Repo, p.Data.Name, p.Data.Version})
		require.Equal(t, p.Domain == "release_bundle_v2_promotion", p.Data.Environment == "PROD" && p.Data.Millis != "")
		if strings.HasSuffix(p.EventType, "promotion_completed") {
			require.Equal(t, done.CreatedMillis, p.Data.Millis)
		}
		got = append(got, p.EventType)
	}
	require.ElementsMatch(t, []string{
		"release_bundle_v2_started", "release_bundle_v2_completed", "release_bundle_v2_promotion_started", "release_bundle_v2_promotion_completed",
		"release_bundle_v2_promotion_started", "release_bundle_v2_promotion_failed",
	}, got)
}
