package artifactory_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
)

const promotionRecords = "/lifecycle/api/v2/promotion/records/"

// promote is the usual call, of these contents.
func (s *suite) promote(ctx context.Context, move bool) error {
	return s.client.PromoteBundle(ctx, s.bundle(), artifactorytest.Production, []string{artifactorytest.Release}, move)
}

// holds reports how many of the bundle's files a repository has.
func (s *suite) holds(repo string) (n int) {
	for _, p := range bundledPaths {
		if _, ok := s.server.File(repo, p); ok {
			n++
		}
	}
	return n
}

func TestPromoteBundle(t *testing.T) {
	t.Parallel()
	for _, project := range []string{"", "fw"} {
		for _, move := range []bool{false, true} {
			s := newSuite(t, project, standin.Config{ServiceDelay: 20 * time.Millisecond})
			for range 2 {
				require.NoError(t, s.promote(t.Context(), move))
				require.Equal(t, 2, s.holds(artifactorytest.Release))
				require.Equal(t, move, s.holds(artifactorytest.Staging) == 0)
				require.Equal(t, 1, s.server.CountRequests(http.MethodPost, promotionRecords), "what is done is not done again")
			}
		}
	}
}

func TestPromoteBundleAgain(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "", standin.Config{Quirks: standin.Quirks{BundleOverEqual: "allow"}})
	require.NoError(t, s.promote(t.Context(), false))
	require.NoError(t, s.server.Delete("ci", artifactorytest.Release, bundledPaths[0]))
	require.NoError(t, s.promote(t.Context(), false))
	require.Equal(t, 2, s.holds(artifactorytest.Release), "a record is no artifact: what it put there was gone")
	require.Len(t, s.bundle().Promotions, 2)
	require.NoError(t, s.client.PromoteBundle(t.Context(), s.bundle(), artifactorytest.DevEnvironment, nil, false))
	promotions := s.bundle().Promotions
	require.Len(t, promotions, 3)
	require.Equal(t, artifactorytest.DevEnvironment, promotions[0].Environment, "the newest stands first")
}

// What somebody else began, or an earlier call whose answer was lost, is waited for.
func TestPromoteBundleUnderWay(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "", standin.Config{ServiceDelay: 300 * time.Millisecond})
	s.post(promotionRecords+"gateway-suite/2026.8.1?async=true&operation=copy", map[string]string{"environment": artifactorytest.Production}, http.StatusAccepted)
	require.NoError(t, s.promote(t.Context(), false))
	require.Equal(t, 2, s.holds(artifactorytest.Release))
	require.Equal(t, 1, s.server.CountRequests(http.MethodPost, promotionRecords))

	s = newSuite(t, "", standin.Config{ServiceDelay: 50 * time.Millisecond})
	for _, f := range []standin.Fault{{Reset: true}, {Status: http.StatusServiceUnavailable}} {
		f.Method, f.Path = http.MethodPost, promotionRecords+"**"
		s.server.Fail(f)
		err := s.promote(t.Context(), false)
		require.True(t, artifactory.Temporary(err), "%v", err)
		require.Empty(t, s.bundle().Promotions, "it is not known to be harmless to ask again, so nobody does")
	}
	for name, f := range map[string]standin.Fault{
		"reset": {Reset: true, When: standin.After}, "unavailable": {Status: http.StatusBadGateway, When: standin.After}, "cut": {Truncate: 10},
		"tells nothing": {Status: http.StatusAccepted, Body: `{}`, When: standin.After},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, "", standin.Config{ServiceDelay: 50 * time.Millisecond})
			f.Method, f.Path = http.MethodPost, promotionRecords+"**"
			s.server.Fail(f)
			require.NoError(t, s.promote(t.Context(), false))
			require.Len(t, s.bundle().Promotions, 1)
			require.Equal(t, 2, s.holds(artifactorytest.Release))
		})
	}
}

func TestPromoteBundleFails(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "", standin.Config{Tokens: []standin.Token{
		{Value: "reads-release", User: "narrow", Rights: map[string]string{"release-bundles-v2": "rwa", artifactorytest.Staging: "rwda", artifactorytest.Release: "r"}},
	}})
	failed, refused := &artifactory.PromotionFailed{}, &artifactory.Refused{}

	bystander := s.client
	s.client = s.as("reads-release")
	err := s.promote(t.Context(), false)
	require.ErrorAs(t, err, &failed, "the target cannot be written")
	require.Equal(t, "FAILED", failed.Status)
	require.ErrorContains(t, err, artifactorytest.Release, "the server's words are handed on")
	require.Zero(t, s.holds(artifactorytest.Release))
	require.False(t, artifactory.Temporary(err))
	s.client = s.as(artifactorytest.Reader)
	require.ErrorAs(t, s.promote(t.Context(), false), &refused)
	require.Equal(t, http.StatusForbidden, refused.Status)
	s.client = bystander

	require.NoError(t, s.server.Put("ci", artifactorytest.Release, bundledPaths[1], strings.NewReader("other"), nil))
	err = s.promote(t.Context(), false)
	require.ErrorAs(t, err, &failed, "the target is taken")
	require.ErrorContains(t, err, bundledPaths[1])
	require.NoError(t, s.server.Delete("ci", artifactorytest.Release, bundledPaths[1]))
	_ = s.server.Delete("ci", artifactorytest.Release, bundledPaths[0]) // carried before the failure
	require.NoError(t, s.promote(t.Context(), false), "a failure is not held against the next try")

	err = s.client.PromoteBundle(t.Context(), s.bundle(), "MARS", nil, false)
	require.ErrorAs(t, err, &refused)
	require.ErrorContains(t, err, "MARS")
	err = s.client.PromoteBundle(t.Context(), artifact.Bundle{Name: "nothing", Version: "1"}, artifactorytest.Production, nil, false)
	require.ErrorIs(t, err, artifact.ErrGone)
	require.ErrorIs(t, s.client.PromoteBundle(t.Context(), artifact.Bundle{Name: "a/b", Version: "1"}, "PROD", nil, false), artifactory.ErrPath)
}

func TestPromoteBundleDeletedHalfWay(t *testing.T) {
	t.Parallel()
	s := newSuite(t, "", standin.Config{ServiceDelay: 300 * time.Millisecond})
	b := s.bundle()
	s.server.Fail(standin.Fault{Method: http.MethodGet, Path: "/lifecycle/api/v2/promotion/statuses/**", Do: func(*http.Request) { s.drop() }})
	err := s.client.PromoteBundle(t.Context(), b, artifactorytest.Production, nil, false)
	require.ErrorIs(t, err, artifact.ErrGone)
}

func TestPromoteBundleWaits(t *testing.T) {
	t.Parallel()
	const statuses = "/lifecycle/api/v2/promotion/statuses/**"
	s := newSuite(t, "", standin.Config{ServiceDelay: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := s.promote(ctx, false)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "PROCESSING")

	for _, state := range []string{"pending", "STARTED", "IN_PROGRESS", "PROCESSING"} {
		s.server.Fail(standin.Fault{Path: statuses, Status: http.StatusOK, Body: `{"status":"` + state + `"}`})
	}
	s.server.Fail(standin.Fault{Path: statuses, Status: http.StatusOK, Body: `{"status":"REJECTED","messages":[{"text":"first\nline"},{"text":"second"}]}`})
	failed := &artifactory.PromotionFailed{}
	require.ErrorAs(t, s.promote(t.Context(), false), &failed)
	require.Equal(t, &artifactory.PromotionFailed{Status: "REJECTED", Messages: []string{"first", "second"}}, failed)

	s.server.Fail(standin.Fault{Path: statuses, Status: http.StatusOK, Body: `{}`})
	require.ErrorContains(t, s.promote(t.Context(), false), "no status")
	s.server.Fail(standin.Fault{Path: statuses, Status: http.StatusOK, Body: `{"status":"COMPLETED"}`, Times: -1})
	s.server.Fail(standin.Fault{Path: "/artifactory/api/storage/**", Status: http.StatusForbidden, Times: -1})
	require.ErrorContains(t, s.promote(t.Context(), false), "403", "where it cannot be looked, nothing is concluded")
}

// One content that is gone is enough, also beside another from the same repository.
func TestPromoteBundleLooksAtEveryContent(t *testing.T) {
	t.Parallel()
	for _, gone := range bundledPaths {
		s := newSuite(t, "", standin.Config{Quirks: standin.Quirks{BundleOverEqual: "allow"}})
		require.NoError(t, s.promote(t.Context(), false))
		require.NoError(t, s.server.Delete("ci", artifactorytest.Release, gone))
		require.NoError(t, s.promote(t.Context(), false))
		require.Equal(t, 2, s.holds(artifactorytest.Release), gone)
		require.Len(t, s.bundle().Promotions, 2)
	}
}
