package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// Bytes were where an outcome of theirs is on record, on that instance; what has no digest was never seen.
func TestSeen(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		for _, o := range []struct {
			instance, repo, path, content string
			state                         ledger.State
		}{
			{"main", "staging", "a", "x", ledger.Signed}, {"main", "staging", "b", "x", ledger.Denied}, {"main", "dev", "a", "x", ledger.Skipped},
			{"main", "release", "a", "y", ledger.Signed}, {"other", "elsewhere", "a", "x", ledger.Signed}, {"main", "lost", "a", "", ledger.Failed},
		} {
			out := ledger.Outcome{Ref: artifact.Ref{Instance: o.instance, Repo: o.repo, Path: o.path}, State: o.state}
			if o.content != "" {
				out.Subject = digest(o.content)
			}
			require.NoError(t, l.Finish(t.Context(), out))
		}
		got, err := l.Seen(t.Context(), "main", digest("x"))
		require.NoError(t, err)
		require.Equal(t, []string{"dev", "staging"}, got)
		got, err = l.Seen(t.Context(), "main", digest("z"))
		require.NoError(t, err)
		require.Empty(t, got)
		got, err = l.Seen(t.Context(), "main", artifact.Digest{})
		require.NoError(t, err)
		require.Empty(t, got)
	})
}
