package signing_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

// A pattern takes records of builds in, too. They have no signatures, so no sweep goes there, and who asks for one is told.
func TestSweepLeavesBuildRecordsOut(t *testing.T) {
	t.Parallel()
	for _, configurations := range []string{"", "closed"} {
		t.Run(configurations, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, setup{
				policy: strings.Replace(oneKey, "["+repo+"]", `["*"]`, 1), token: artifactorytest.CI, quirks: standin.Quirks{Configurations: configurations},
			})
			r.built(map[string]string{"app/a.tgz": "a"})
			s := r.sweeper(signing.SweepConfig{Every: 30 * time.Millisecond, Delay: time.Millisecond})
			var swept []string
			require.Eventually(t, func() bool {
				all, err := r.ledger.Sweeps(context.Background())
				swept = nil
				for _, run := range all {
					swept = append(swept, run.Repo)
				}
				return err == nil && slices.Contains(swept, repo)
			}, waitFor, tick)
			require.NotContains(t, swept, buildRepo, "sweeps are ordered in the order of names, so it would be there first")

			for _, kind := range []string{signing.SweepManual, signing.SweepCheck, signing.SweepBackfill} {
				_, err := s.Request(t.Context(), ledger.Sweep{Instance: "main", Repo: buildRepo, Kind: kind})
				refused := (*reason.Refused)(nil)
				require.ErrorAs(t, err, &refused)
				require.Equal(t, reason.OnlyParts, refused.Reasons[0].Code)
				require.Contains(t, refused.Reasons[0].Found, buildRepo)
				require.Contains(t, refused.Reasons[0].Fix, "hallmark sign")
			}
		})
	}
}
