package signing_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

// A repository that does not exist cannot be swept, and a sweep never waits for it to come.
func TestSweepOfNoRepository(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	s := r.sweeper(atHand)
	for _, kind := range []string{signing.SweepManual, signing.SweepBackfill} {
		_, err := s.Request(t.Context(), ledger.Sweep{Instance: "main", Repo: repo + "-mistyped", Kind: kind})
		var refused *reason.Refused
		require.ErrorAs(t, err, &refused)
		why := refused.Reasons[0]
		require.Equal(t, reason.ArtifactGone, why.Code)
		require.Contains(t, why.Found, repo+"-mistyped")
		for _, field := range []string{why.Expected, why.Fix, why.Who} {
			require.NotEmpty(t, field)
		}
	}

	// Nobody could tell when it was asked for; then it is not there.
	run, err := r.ledger.RequestSweep(t.Context(), ledger.Sweep{Instance: "main", Repo: repo + "-deleted", Kind: signing.SweepManual})
	require.NoError(t, err)
	run = s.await(run.ID)
	require.Contains(t, run.Problem, repo+"-deleted")
	require.False(t, run.FinishedAt.IsZero())

	// What only fails is no reason to give up.
	r.upload("app/a.tgz", "a")
	r.art.Fail(standin.Fault{Path: "/artifactory/api/search/aql", Status: http.StatusServiceUnavailable, Times: 3})
	require.Empty(t, s.run(ledger.Sweep{}).Problem)
}

// A policy names a repository that is not there: the periodic sweep ends, is not taken for a success, and has seen nothing.
func TestPeriodicSweepOfNoRepository(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: strings.ReplaceAll(oneKey, repo, repo+"-mistyped")})
	s := r.sweeper(signing.SweepConfig{Every: 40 * time.Millisecond, PageSize: 7})
	require.Eventually(t, func() bool {
		all, err := r.ledger.Sweeps(t.Context())
		return err == nil && len(all) == 1 && all[0].ID > 1 && all[0].State == ledger.SweepDone && all[0].Problem != "" && all[0].SeenUntil.IsZero()
	}, waitFor, tick, "they end, and others follow")
	n, err := testutil.GatherAndCount(s.metrics, "hallmark_sweep_last_success_timestamp_seconds")
	require.NoError(t, err)
	require.Zero(t, n)
}
