package promotion_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// onPromote does something while Artifactory is asked to promote a bundle, before it begins.
func (r *rig) onPromote(do func()) {
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/lifecycle/api/v2/promotion/records/**", Do: func(*http.Request) {
		do()
		for at := time.Now().UnixMilli(); time.Now().UnixMilli() == at; { // the server's times have milliseconds
			continue
		}
	}})
}

// beforePromote does something between the verdict and the last look at the bundle's record.
func (r *rig) beforePromote(do func()) {
	n := 0
	r.fail(standin.Fault{
		Method: http.MethodGet, Path: "/artifactory/api/storage/release-bundles-v2/**", Times: -1,
		Do: func(*http.Request) {
			if n++; n == 2 {
				do()
			}
		},
	})
}

// remake makes the bundle again with something that nobody judged.
func (r *rig) remake(paths ...string) {
	r.dropBundle()
	var places []string
	for _, p := range append(paths, "evil.bin") {
		places = append(places, staging+"/"+p)
	}
	r.put(staging, "evil.bin", "unsigned")
	r.bundle(places...)
}

func TestBundleMadeAgain(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(*rig, func()){"before": (*rig).beforePromote, "during": (*rig).onPromote} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.bundled("a.tgz", "b.tgz")
			when(r, func() { r.remake("a.tgz", "b.tgz") })
			report := r.promote(bundleRequest(true, true))
			require.Equal(t, promotion.StateIncomplete, report.State, "%+v", report)
			require.Equal(t, []reason.Code{reason.ArtifactChanged}, codes(report), "%+v", report)
			require.Empty(t, r.art.Paths(release))
			require.Len(t, r.art.Paths(staging), 7)
			if name == "during" {
				require.Contains(t, report.Reasons[0].Found, release+"/evil.bin, which was taken away again")
			} else {
				require.Zero(t, r.promotions())
			}
		})
	}
}

// A bundle that was made again may be gone, or the good one may be back, before anybody looks: nothing is done then.
func TestBundleMadeAgainAndHidden(t *testing.T) {
	t.Parallel()
	for name, hide := range map[string]func(*rig){
		"gone": (*rig).dropBundle,
		"back": func(r *rig) { r.dropBundle(); r.bundle(staging + "/a.tgz") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.bundled("a.tgz")
			r.onPromote(func() { r.remake("a.tgz") })
			r.fail(standin.Fault{
				Method: http.MethodGet, Path: "/lifecycle/api/v2/promotion/statuses/**", When: standin.After, Do: func(*http.Request) { hide(r) },
			})
			report := r.promote(bundleRequest(true, false))
			require.Equal(t, promotion.StateIncomplete, report.State, "%+v", report)
			told := codes(report) // gone, when that happened before Artifactory said that it was through
			require.True(t, slices.Contains(told, reason.ArtifactChanged) || slices.Contains(told, reason.ArtifactGone), "%+v", report)
		})
	}
}

// What somebody else puts at the target while a promotion fails is told, and stays.
func TestBundleLeavesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(*rig, func()){"before": (*rig).beforePromote, "during": (*rig).onPromote} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.bundled("a.tgz", "b.tgz")
			when(r, func() { r.put(release, "b.tgz", "content of b.tgz") })
			report := r.promote(bundleRequest(true, false))
			require.Equal(t, promotion.StateIncomplete, report.State, "%+v", report)
			require.Equal(t, []string{"b.tgz"}, r.art.Paths(release))
			if name == "during" {
				require.Equal(t, "failed", states(report)["b.tgz"])
				require.Contains(t, report.Items[1].Reasons[0].Message, "SOMEBODY ELSE'S")
			}
		})
	}

	t.Run("other bytes", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, ledger.SQLite)
		r.bundled("a.tgz", "b.tgz")
		r.beforePromote(func() { r.put(release, "b.tgz", "other") })
		report := r.promote(bundleRequest(true, false))
		require.Equal(t, []reason.Code{reason.TargetOccupied}, codes(report), "%+v", report)
		require.Equal(t, []string{"b.tgz"}, r.art.Paths(release))
		require.Zero(t, r.promotions(), "nothing was begun")
	})

	t.Run("another promotion on record", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, ledger.SQLite)
		r.bundled("a.tgz", "b.tgz")
		n := 0
		r.art.Interrupt(func(_, _ string) error {
			if n++; n == 1 {
				return nil
			}
			to := artifact.Ref{Instance: "main", Repo: release, Path: "a.tgz"}
			p, err := r.ledger.BeginPromotion(t.Context(), ledger.Promotion{Instance: "main", TargetRepo: release, Items: []ledger.PromotionItem{{Source: to, Target: to, State: ledger.ItemDone}}})
			require.NoError(t, err)
			require.Positive(t, p.ID)
			return http.ErrAbortHandler
		})
		report := r.promote(bundleRequest(true, false))
		require.Equal(t, "failed", states(report)["a.tgz"], "%+v", report)
		require.Equal(t, []string{"a.tgz"}, r.art.Paths(release))
	})
}
