package artifactory_test

import (
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/jfrog/jfrog-client-go/lifecycle/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func TestServicesPromoteBundle(t *testing.T) {
	t.Parallel()
	type put struct{ path, content string }
	both := []string{"org/a", "org/b"}
	for _, tt := range []struct {
		name      string
		token     string
		quirks    standin.Quirks
		before    put
		operation string
		params    services.RbPromotionParams
		ok        bool
		release   []string
		staging   []string // without signatures
	}{
		{name: "copy", operation: "copy", params: services.RbPromotionParams{Environment: "PROD"}, ok: true, release: both, staging: both},
		{name: "copy is the default", params: services.RbPromotionParams{Environment: "PROD"}, ok: true, release: both, staging: both},
		{name: "move", operation: "move", params: services.RbPromotionParams{Environment: "PROD"}, ok: true, release: both},
		{name: "other operation", operation: "link", params: services.RbPromotionParams{Environment: "PROD"}, staging: both},
		{name: "unknown environment", params: services.RbPromotionParams{Environment: "MARS"}, staging: both},
		{name: "two repositories fit", params: services.RbPromotionParams{Environment: "BOTH"}, staging: both},
		{name: "one included", params: services.RbPromotionParams{Environment: "BOTH", IncludedRepositoryKeys: []string{artifactorytest.Release}}, ok: true, release: both, staging: both},
		{name: "one excluded", params: services.RbPromotionParams{Environment: "BOTH", ExcludedRepositoryKeys: []string{"other-release"}}, ok: true, release: both, staging: both},
		{name: "none fits", params: services.RbPromotionParams{Environment: "PROD", ExcludedRepositoryKeys: []string{artifactorytest.Release}}, staging: both},
		{name: "not permitted", token: artifactorytest.Reader, params: services.RbPromotionParams{Environment: "PROD"}, staging: both},
		{name: "path taken", before: put{"org/b", "other"}, params: services.RbPromotionParams{Environment: "PROD"}, release: both, staging: both},
		{name: "path taken, all or nothing", quirks: standin.Quirks{PromotionAbort: "none"}, before: put{"org/b", "other"}, params: services.RbPromotionParams{Environment: "PROD"}, release: []string{"org/b"}, staging: both},
		{name: "the same there", before: put{"org/b", "b"}, params: services.RbPromotionParams{Environment: "PROD"}, release: both, staging: both},
		{name: "the same there is well", quirks: standin.Quirks{BundleOverEqual: "allow"}, before: put{"org/b", "b"}, params: services.RbPromotionParams{Environment: "PROD"}, ok: true, release: both, staging: both},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := works(t, tt.quirks)
			require.NoError(t, bundles(t, s, artifactorytest.CI).CreateReleaseBundleFromBuilds(rb, waiting, "", services.CreateFromBuildsSource{
				Builds: []services.BuildSource{{BuildName: "bld", BuildNumber: "7", BuildRepository: "artifactory-build-info"}},
			}))
			if tt.before.path != "" {
				require.NoError(t, s.Put("ci", artifactorytest.Release, tt.before.path, strings.NewReader(tt.before.content), nil))
			}
			token := tt.token
			if token == "" {
				token = artifactorytest.CI
			}
			m := bundles(t, s, token)
			p, err := m.PromoteReleaseBundle(rb, services.CommonOptionalQueryParams{PromotionType: tt.operation}, "", tt.params)
			require.Equal(t, tt.ok, err == nil, "%v", err)
			require.Equal(t, tt.release, sortedPaths(s, artifactorytest.Release))
			var staging []string
			for _, path := range sortedPaths(s, artifactorytest.Staging) {
				if !strings.HasSuffix(path, ".sig") {
					staging = append(staging, path)
				}
			}
			require.Equal(t, tt.staging, staging)
			if !tt.ok {
				return
			}
			status, err := m.GetReleaseBundlePromotionStatus(rb, "", p.CreatedMillis.String(), true)
			require.NoError(t, err)
			require.Equal(t, services.Completed, status.Status)
			require.Equal(t, tt.params.Environment, p.Environment)
		})
	}
}

// An image in a bundle brings its layers and platforms along, and is whole in the target.
func TestPromoteImageInBundle(t *testing.T) {
	t.Parallel()
	s := registry(t, standin.Quirks{})
	require.NoError(t, remote.WriteIndex(ref(t, s, ociStaging+"/team/app:1"), multi(t), as(artifactorytest.CI)))
	m := bundles(t, s, artifactorytest.CI)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts(ociStaging+"/team/app/1/list.manifest.json")))
	_, err := m.PromoteReleaseBundle(rb, waiting, "", services.RbPromotionParams{Environment: artifactorytest.Production})
	require.NoError(t, err)
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := remote.Image(ref(t, s, ociRelease+"/team/app:1"), as(artifactorytest.Reader), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
		require.NoError(t, err)
		readLayers(t, img)
	}
}

func TestPromotionRecords(t *testing.T) {
	t.Parallel()
	s := works(t, standin.Quirks{})
	m := bundles(t, s, artifactorytest.CI)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("libs-staging-local/org/a")))
	for range 3 { // the second and third find the path taken
		_, _ = m.PromoteReleaseBundle(rb, waiting, "", services.RbPromotionParams{Environment: "PROD"})
	}
	all, err := m.GetReleaseBundleVersionPromotions(rb, services.GetPromotionsOptionalQueryParams{Include: "MSG"})
	require.NoError(t, err)
	require.Len(t, all.Promotions, 3)
	require.Equal(t, []services.RbStatus{services.Failed, services.Failed, services.Completed},
		[]services.RbStatus{all.Promotions[0].Status, all.Promotions[1].Status, all.Promotions[2].Status})
	require.Contains(t, all.Promotions[0].Messages[0].Text, "libs-release-local/org/a")
	require.Greater(t, all.Promotions[0].CreatedMillis.String(), all.Promotions[1].CreatedMillis.String(), "unique")
	one, err := m.GetReleaseBundleVersionPromotions(rb, services.GetPromotionsOptionalQueryParams{Offset: 1, Limit: 1})
	require.NoError(t, err)
	require.Len(t, one.Promotions, 1)
	require.Equal(t, all.Promotions[1].CreatedMillis, one.Promotions[0].CreatedMillis)
	require.Empty(t, one.Promotions[0].Messages)
	require.NoError(t, m.DeleteReleaseBundleVersionPromotion(rb, waiting, one.Promotions[0].CreatedMillis.String()))
	all, err = m.GetReleaseBundleVersionPromotions(rb, services.GetPromotionsOptionalQueryParams{})
	require.NoError(t, err)
	require.Len(t, all.Promotions, 2)
}

// A bundle that is deleted while it is promoted fails at the next file; what was carried stays.
func TestBundleDeletedHalfWay(t *testing.T) {
	t.Parallel()
	s := works(t, standin.Quirks{})
	m := bundles(t, s, artifactorytest.CI)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("libs-staging-local/org/a", "libs-staging-local/org/b")))
	s.Interrupt(func(from, _ string) error {
		if strings.HasSuffix(from, "org/b") {
			return m.DeleteReleaseBundleVersion(rb, waiting)
		}
		return nil
	})
	_, err := m.PromoteReleaseBundle(rb, waiting, "", services.RbPromotionParams{Environment: "PROD"})
	require.ErrorContains(t, err, "404")
	require.Equal(t, []string{"org/a"}, s.Paths(artifactorytest.Release))
}

func TestAsyncPromotion(t *testing.T) {
	t.Parallel()
	s := works(t, standin.Quirks{})
	m := bundles(t, s, artifactorytest.CI)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("libs-staging-local/org/a")))
	p, err := m.PromoteReleaseBundle(rb, services.CommonOptionalQueryParams{Async: true}, "", services.RbPromotionParams{Environment: "PROD"})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		status, err := m.GetReleaseBundlePromotionStatus(rb, "", p.CreatedMillis.String(), false)
		return err == nil && status.Status == services.Completed
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{"org/a"}, s.Paths(artifactorytest.Release))
}
