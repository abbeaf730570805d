package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// A signature file in hand is told by its content: what it was made for, and whether that ever stood at a place.
func TestOrigins(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		l := ledgertest.Open(t, d)
		made := time.UnixMicro(5_000_000).UTC()
		contents := map[string]artifact.Digest{}
		for _, bytes := range []string{"a", "b"} {
			in, err := l.Begin(t.Context(), intent(t, bytes, "release", "sigstore", "raw"))
			require.NoError(t, err)
			sigs := signatures(in, bytes)
			for i := range sigs {
				sigs[i].MadeAt = made
				contents[bytes+sigs[i].Format] = artifact.Attachment{Content: sigs[i].Content}.SHA256()
			}
			require.NoError(t, l.Sealed(t.Context(), in.ID, sigs))
		}
		ask := func(path string, contents ...artifact.Digest) map[artifact.Digest]ledger.Origin {
			t.Helper()
			got, err := l.Origins(t.Context(), ref(t, path), contents)
			require.NoError(t, err)
			return got
		}
		require.Empty(t, ask("app/a"))
		require.Empty(t, ask("app/a", digest("never made"), artifact.Digest{}))

		got := ask("app/a", contents["asigstore"], contents["braw"], digest("never made"))
		require.Len(t, got, 2)
		mine, other := got[contents["asigstore"]], got[contents["braw"]]
		require.True(t, mine.Here, "made for what stood there")
		require.False(t, other.Here)
		require.Equal(t, ref(t, "app/b"), other.Ref)
		require.Equal(t, digest("b"), other.Subject)
		require.Equal(t, digest("release"), other.KeySPKI)
		require.Equal(t, "raw", other.Format)
		require.Equal(t, "release", other.KeyName)
		require.Equal(t, made, other.MadeAt)

		// The same bytes stood elsewhere, too: as work there ended, a promotion brought them, or their upload was announced.
		require.NoError(t, l.Finish(t.Context(), ledger.Outcome{Ref: ref(t, "copy/b"), Subject: digest("b"), State: ledger.Signed}))
		require.True(t, ask("copy/b", contents["braw"])[contents["braw"]].Here)
		require.False(t, ask("copy/b", contents["araw"])[contents["araw"]].Here)
		elsewhere := ref(t, "copy/b")
		elsewhere.Instance = "other"
		got, err := l.Origins(t.Context(), elsewhere, []artifact.Digest{contents["braw"]})
		require.NoError(t, err)
		require.False(t, got[contents["braw"]].Here, "another server's place of the same name")

		tx, err := l.SQL().BeginTx(t.Context(), nil)
		require.NoError(t, err)
		e := ref(t, "news/b")
		require.NoError(t, ledger.InsertEvent(t.Context(), tx, &ledger.Event{ID: 1, Instance: e.Instance, Repo: e.Repo, Path: e.Path, SHA256: digest("b").String()}))
		require.NoError(t, tx.Commit())
		require.True(t, ask("news/b", contents["braw"])[contents["braw"]].Here)

		many := make([]artifact.Digest, 250)
		for i := range many {
			many[i] = digest(fmt.Sprint("many", i))
		}
		many[249] = contents["braw"]
		require.Len(t, ask("app/a", many...), 1, "however many are asked about")
	})
}
