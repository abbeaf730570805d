package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Everything that was decided is listed once and in order, whatever the size of the pages, equal times among it.
func TestDecisionsArePaged(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		empty, err := l.Decided(t.Context(), time.Time{}, 10)
		require.NoError(t, err)
		require.Empty(t, empty.Page)
		require.False(t, empty.More)
		began, err := l.Began(t.Context())
		require.NoError(t, err)
		require.Zero(t, began, "a ledger without history")

		asked := &policy.Asked{Kind: artifact.KindFile, Size: 1, At: time.UnixMicro(5).UTC()}
		var want []string
		for i := range int64(12) {
			at := time.UnixMicro(10 + i/4).UTC() // four of each time
			place := ref(t, fmt.Sprintf("a/%02d", i))
			if i%2 == 0 {
				require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: place, State: ledger.Signed, At: at, Asked: asked}))
			} else {
				require.NoError(t, l.RecordVerdict(t.Context(), ledger.Verdict{Ref: place, Target: place, Allow: i%3 == 0, At: at, Caller: "ci", Asked: asked}))
			}
			want = append(want, place.String())
		}
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "failed"), State: ledger.Failed, At: time.UnixMicro(11)}))
		for limit := range 6 {
			var got []string
			for after := (time.Time{}); ; {
				page, err := l.Decided(t.Context(), after, limit)
				require.NoError(t, err)
				for _, p := range page.Page {
					require.True(t, p.At.After(after))
					got = append(got, p.Artifact)
					question, err := p.Question()
					require.NoError(t, err)
					require.Equal(t, asked, question)
				}
				if after = page.Next; !page.More {
					break
				}
			}
			require.ElementsMatch(t, want, got, "%d a page", limit)
		}
		n, err := l.CountDecided(t.Context(), time.UnixMicro(10))
		require.NoError(t, err)
		require.EqualValues(t, 8, n)
		began, err = l.Began(t.Context())
		require.NoError(t, err)
		require.Equal(t, time.UnixMicro(10).UTC(), began)
	})
}

// The last decision at a moment is that of the moment, not of today, and of the target that was asked about.
func TestLastDecisions(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		place, at := ref(t, "app.tgz"), func(n int64) time.Time { return time.UnixMicro(n).UTC() }
		release, vault := artifact.Ref{Instance: "main", Repo: "release", Path: "app.tgz"}, artifact.Ref{Instance: "main", Repo: "vault", Path: "x/app.tgz"}
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{
			Ref: place, State: ledger.Denied, At: at(10), Reasons: []reason.Reason{{Code: reason.CheckFailed, Fix: "mend it"}}, PolicySet: digest("set"), Rule: "p.yaml:1 (p)",
		}))
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: place, State: ledger.Signed, At: at(20), Caller: "ann", Keys: []string{"k"}}))
		require.NoError(t, l.RecordVerdict(t.Context(), ledger.Verdict{Ref: place, Target: release, At: at(12), Reasons: []reason.Reason{{Code: reason.SignatureMissing}}, Rule: "g.yaml:1 (g)"}))
		require.NoError(t, l.RecordVerdict(t.Context(), ledger.Verdict{Ref: place, Target: vault, Allow: true, At: at(22), Caller: "ci"}))

		for asOf, outcome := range map[int64]string{5: "", 10: "denied", 19: "denied", 20: "signed", 0: "signed"} {
			var when time.Time
			if asOf > 0 {
				when = at(asOf)
			}
			p, found, err := l.LastOutcome(t.Context(), place, when)
			require.NoError(t, err)
			require.Equal(t, outcome != "", found)
			require.Equal(t, outcome, p.Outcome)
		}
		p, _, err := l.LastOutcome(t.Context(), place, at(15))
		require.NoError(t, err)
		require.Equal(t, "mend it", p.Reasons[0].Fix)
		require.Equal(t, digest("set"), p.PolicySet)
		question, err := p.Question()
		require.NoError(t, err)
		require.Nil(t, question, "without facts")

		p, found, err := l.LastVerdict(t.Context(), place, release, time.Time{})
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, "refused", p.Outcome)
		require.Equal(t, "g.yaml:1 (g)", p.Rule)
		_, found, err = l.LastVerdict(t.Context(), place, release, at(11))
		require.NoError(t, err)
		require.False(t, found)
		p, found, err = l.LastVerdict(t.Context(), place, artifact.Ref{Repo: "vault"}, time.Time{})
		require.NoError(t, err)
		require.True(t, found, "any path of the target")
		require.Equal(t, "allowed", p.Outcome)
		require.Equal(t, "ci", p.Caller)
		_, found, err = l.LastVerdict(t.Context(), place, artifact.Ref{Repo: "vault", Path: "app.tgz"}, time.Time{})
		require.NoError(t, err)
		require.False(t, found)
	})
}
