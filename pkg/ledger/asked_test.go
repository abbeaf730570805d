package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Every decision is kept with what it was made with; what repeats is stored once; rows from before are readable.
func TestFactsAreKept(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		place := ref(t, "app/1.4.2/app.tgz")
		at := func(n int64) time.Time { return time.UnixMicro(n).UTC() }
		asked := func(size, moment int64) *policy.Asked {
			return &policy.Asked{Kind: artifact.KindFile, Size: size, Event: "artifact/deployed", Facts: policy.Facts{Known: policy.NeedProject, Project: "p"}, At: at(moment)}
		}
		warned := []reason.Reason{{Code: reason.CheckFailed, Message: "a warning"}}
		var outcomes []ledger.Outcome
		for i, size := range []int64{1, 1, 2, 1, 1} {
			n := int64(i + 1)
			o := ledger.Outcome{Ref: place, State: ledger.Skipped, At: at(1000 * n), Asked: asked(size, 1000*n-7), Warnings: warned, Caller: "ann"}
			require.NoError(t, l.Finish(t.Context(), o))
			outcomes = append([]ledger.Outcome{o}, outcomes...)
		}
		_, err := l.SQL().ExecContext(t.Context(), `INSERT INTO outcome (repo, path, instance, at, subject, state, reasons, policy, rule, policy_set, event_id, keys, files, received_at)
			VALUES ($1, $2, $3, 1, '', 'skipped', '', '', '', '', 1, '', '', 0)`, place.Repo, place.Path, place.Instance)
		require.NoError(t, err)
		st, err := l.Status(t.Context(), place)
		require.NoError(t, err)
		require.Equal(t, outcomes, st.History[:5])
		require.Nil(t, st.History[5].Asked, "an older replica wrote it")
		require.Equal(t, []string{"", "1000", "", "1000", "1000"}, holders(t, l, "outcome", place))

		target := artifact.Ref{Instance: "main", Repo: "release", Path: place.Path}
		var verdicts []ledger.Verdict
		for i := range int64(6) {
			v := ledger.Verdict{Ref: place, Target: target, At: at(10 + i), Caller: "ci", Rule: "gate.yaml:1 (g)", Warnings: warned, Asked: asked(i%2, 5+i)}
			v.Asked.Evidence, v.Asked.Looked = []policy.Evidence{{File: "f", Key: "k", At: at(3)}}, &policy.Looked{Keys: []string{"k"}, Early: true}
			require.NoError(t, l.RecordVerdict(t.Context(), v))
			verdicts = append([]ledger.Verdict{v}, verdicts...)
		}
		kept, err := l.Verdicts(t.Context(), place, 10)
		require.NoError(t, err)
		require.Equal(t, verdicts, kept)
		require.Equal(t, []string{"", "", "10", "11", "10", "11"}, holders(t, l, "verdict", place), "two targets in turn")
	})
}

// holders tells of each row with facts whose they are: empty for its own.
func holders(t *testing.T, l *ledger.Ledger, table string, place artifact.Ref) []string {
	t.Helper()
	rows, err := l.Reader().QueryContext(t.Context(), `SELECT CASE WHEN facts_at = 0 THEN '' ELSE CAST(facts_at AS TEXT) END FROM `+table+`
		WHERE repo = $1 AND path = $2 AND moment > 0 ORDER BY at`, place.Repo, place.Path)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var out []string
	for rows.Next() {
		var s string
		require.NoError(t, rows.Scan(&s))
		out = append(out, s)
	}
	require.NoError(t, rows.Err())
	return out
}
