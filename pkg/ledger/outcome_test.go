package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func TestStatusTellsTheStory(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		place := ref(t, "app/1.4.2/äpp.tgz")
		_, err := l.Status(t.Context(), place)
		require.ErrorIs(t, err, ledger.ErrUnknown)

		denied := ledger.Outcome{
			Ref: place, Subject: digest("a"), State: ledger.Denied, Policy: "release", Rule: "release.yaml:3 (release)", PolicySet: digest("set"), EventID: 1,
			Reasons: []reason.Reason{{Code: reason.NoPolicy, Message: "no policy \"x\" — none", Fix: "write one"}},
			At:      time.UnixMicro(1000).UTC(), ReceivedAt: time.UnixMicro(900).UTC(),
		}
		require.NoError(t, l.Finish(t.Context(), denied))
		in, err := l.Begin(t.Context(), intent(t, "b", "release", "sigstore"))
		require.NoError(t, err)
		require.NoError(t, l.Sealed(t.Context(), in.ID, signatures(in, "content")))
		signed := ledger.Outcome{
			Ref: place, Subject: digest("b"), State: ledger.Signed, EventID: 2, Keys: []string{"release"}, Files: []string{"äpp.tgz.sigstore.json"},
			At: time.UnixMicro(2000).UTC(),
		}
		require.NoError(t, l.Finish(t.Context(), signed))

		st, err := l.Status(t.Context(), place)
		require.NoError(t, err)
		require.Equal(t, []ledger.Outcome{signed, denied}, st.History)
		require.Equal(t, signed, st.Current)
		require.False(t, st.Pending)
		require.Len(t, st.Signatures, 1)
		require.Equal(t, "release", st.Signatures[0].KeyName)
		require.Empty(t, st.Signatures[0].Content, "status is not the place for bulk")

		elsewhere := place
		elsewhere.Instance = "other"
		_, err = l.Status(t.Context(), elsewhere)
		require.ErrorIs(t, err, ledger.ErrUnknown, "the same path on another instance is another artifact")
	})
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.SQLite)
	for i := range 25 {
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "a"), State: ledger.Skipped, EventID: int64(i), At: time.UnixMicro(int64(i + 1))}))
	}
	st, err := l.Status(t.Context(), ref(t, "a"))
	require.NoError(t, err)
	require.Len(t, st.History, 20)
	require.EqualValues(t, 24, st.Current.EventID)
}

func TestStatusAsksForWaitingWork(t *testing.T) {
	t.Parallel()
	l := ledgertest.Open(t, ledger.SQLite)
	var event int64
	var begun bool
	var failure error
	l.WatchWaiting(func(context.Context, artifact.Ref) (int64, bool, error) { return event, begun, failure })

	event = 1
	st, err := l.Status(t.Context(), ref(t, "a"))
	require.NoError(t, err)
	require.True(t, st.Pending)
	require.Empty(t, st.History)

	require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "a"), State: ledger.Failed, EventID: 1}))
	for _, c := range []struct {
		event   int64
		begun   bool
		pending bool
	}{
		{0, false, false},
		{1, true, false}, // the outcome is there, only its work is not marked as ended yet
		{1, false, true}, // it will be tried again
		{2, true, true},
		{2, false, true},
	} {
		event, begun = c.event, c.begun
		st, err := l.Status(t.Context(), ref(t, "a"))
		require.NoError(t, err)
		require.Equal(t, c.pending, st.Pending, "%+v", c)
	}
	failure = errors.New("broken")
	_, err = l.Status(t.Context(), ref(t, "a"))
	require.ErrorIs(t, err, failure)
}

func TestVerdictsAreKept(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		target, err := artifact.NewRef("main", "libs-release-local", "a.tgz")
		require.NoError(t, err)
		var want []ledger.Verdict
		for i := range 3 {
			v := ledger.Verdict{
				Ref: ref(t, "a.tgz"), Target: target, Subject: digest("a"), Allow: i == 2, PolicySet: digest("set"), Caller: fmt.Sprintf("ci-%d", i),
				At: time.UnixMicro(int64(i + 1)).UTC(),
			}
			if !v.Allow {
				v.Reasons = []reason.Reason{{Code: reason.SignatureMissing, Message: "none"}}
			}
			require.NoError(t, l.RecordVerdict(t.Context(), v))
			want = append([]ledger.Verdict{v}, want...)
		}
		got, err := l.Verdicts(t.Context(), ref(t, "a.tgz"), 2)
		require.NoError(t, err)
		require.Equal(t, want[:2], got)
		got, err = l.Verdicts(t.Context(), ref(t, "b.tgz"), 2)
		require.NoError(t, err)
		require.Empty(t, got)
	})
}
