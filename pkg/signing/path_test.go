package signing_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// What may stand in a name is signed under that name, and nothing else is touched.
func TestOddPathsReachTheItemTheyName(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{client: func(c *artifactory.Config) { c.PathSemicolon = artifactory.SemicolonEncode }})
	var want []string
	for _, name := range []string{
		"a b.tgz", "a%20b.tgz", "a%2Fb.tgz", "%2e%2e", "a?b=c.tgz", "a#b.tgz", "a+b.tgz", "a&b.tgz", "a=b,c|d.tgz", `"q".tgz`, "☃.tgz", "a:b.tgz",
		"...", "..a", "-rf", "~", "a;hallmark.state=signed", "a;b/c;d=e.tgz", "a%3Bx=y", "*", "{a}", "[a]", "<a>", "`a`", "sigstore.json", ".sig",
	} {
		path := "app/" + name
		r.upload(path, name)
		require.NoError(t, r.do(path), name)
		r.requireSigned(path, name)
		require.Len(t, r.props(path), 4, "a part of the name became a property")
		want = append(want, path, path+".sig", path+".sigstore.json")
	}
	require.ElementsMatch(t, want, r.art.Paths(repo))
}

// What could mean another item is refused, once and for good, with a record that both databases can hold.
func TestDangerousPathsAreRefused(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		r := newRig(t, setup{dialect: d})
		r.upload(artifactPath, "hello")
		_, err := r.client.Repository(t.Context(), repo)
		require.NoError(t, err)
		for _, path := range []string{
			"", "/" + artifactPath, "app/../" + artifactPath, "app/./a.tgz", "app//a.tgz", "app/a.tgz/", `app\a.tgz`, "app/a\x00.tgz", "app/a\n.tgz", "app/\xff.tgz",
			"app/a.tgz;hallmark.state=signed", "app/x.zip!/a.tgz", strings.Repeat("a/", 600) + "a.tgz", "app/\u0085.tgz",
		} {
			before := len(r.art.Requests())
			require.Error(t, r.do(path), "%q", path)
			require.Len(t, r.art.Requests(), before, "%q was asked for", path)
			o := r.outcome(recorded(path))
			require.Equal(t, ledger.Failed, o.State, "%q", path)
			requireExplained(t, o, reason.PathRefused)
		}
		for _, repository := range []string{"", "..", "a/b", "a;b", "api/storage", "ä"} {
			ev := r.event(artifactPath)
			ev.Repo = repository
			require.Error(t, r.service.Do(t.Context(), ev), repository)
		}
		require.Empty(t, r.props(artifactPath))
		require.Equal(t, []string{artifactPath}, r.art.Paths(repo))
		require.Zero(t, r.uses())
	})
}

// recorded is how a path that is not plain text stands in the ledger.
func recorded(path string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x85 {
			return '\uFFFD'
		}
		return c
	}, strings.ToValidUTF8(path, "\uFFFD"))
}

func TestUnknownInstance(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	ev := r.event(artifactPath)
	ev.Instance = "elsewhere"
	require.ErrorContains(t, r.service.Do(t.Context(), ev), `"elsewhere"`)
	ref := r.ref(artifactPath)
	ref.Instance = "elsewhere"
	st, err := r.ledger.Status(t.Context(), ref)
	require.NoError(t, err)
	require.Equal(t, ledger.Failed, st.Current.State)
	requireExplained(t, st.Current, reason.PathRefused)
}

// A name so long that its signature file's has no room is refused before the key is used.
func TestNoRoomForTheSignatureFilesName(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	path := "app/" + strings.Repeat(strings.Repeat("x", 99)+"/", 10) + strings.Repeat("y", 18)
	require.Len(t, path, 1022)
	r.upload(path, "hello")
	require.Error(t, r.do(path))
	requireExplained(t, r.outcome(path), reason.PathRefused)
	require.Zero(t, r.uses())
	require.Equal(t, [3]int{}, r.intents())
}

// A server that takes %3B for a delimiter would set a property: the item is not touched there.
func TestAServerThatReadsPathsAnotherWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{
		client: func(c *artifactory.Config) { c.PathSemicolon = artifactory.SemicolonEncode }, quirks: standin.Quirks{EncodedSemicolon: "matrix"},
	})
	r.upload("app/a", "the file that would be hit")
	require.Error(t, r.do("app/a;hallmark.state=signed"))
	require.Empty(t, r.props("app/a"))
	require.Equal(t, []string{"app/a"}, r.art.Paths(repo))
	requireExplained(t, r.outcome("app/a;hallmark.state=signed"), reason.PathRefused)
}

// What no repetition can heal is not repeated.
func TestARefusedPathIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	q := r.queue()
	require.NoError(t, q.Accept(context.Background(), r.event("app/a;b")))
	require.NoError(t, q.Start(t.Context()))
	r.settled("app/a;b", ledger.Failed)
	requireExplained(t, r.outcome("app/a;b"), reason.PathRefused)
	st, err := r.ledger.Status(t.Context(), r.ref("app/a;b"))
	require.NoError(t, err)
	require.Len(t, st.History, 1)
}

// What keeps a path from being followed is told by its own name; what may pass is tried again.
func TestPathsThatCannotBeFollowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{quirks: standin.Quirks{VirtualInfo: "virtual", Configurations: "closed"}})
	require.NoError(t, r.art.AddRepository(standin.Repository{Key: "all", Class: standin.Virtual, Members: []string{repo}}))
	r.upload("app/a", "content")
	sign := func() (ledger.Outcome, error) {
		ev := r.event("app/a")
		ev.Repo = "all"
		err := r.service.Do(t.Context(), ev)
		st, failed := r.ledger.Status(t.Context(), artifact.Ref{Instance: "main", Repo: "all", Path: "app/a"})
		require.NoError(t, failed)
		return st.Current, err
	}
	out, err := sign()
	require.IsType(t, job.Permanent(err), err)
	requireExplained(t, out, reason.MembersUnknown)
	require.Contains(t, out.Reasons[0].Found, "api/repositories/all")

	require.NoError(t, r.art.SetQuirks(standin.Quirks{}))
	r.art.Fail(standin.Fault{Path: "/artifactory/api/storage/" + repo + "/**", Status: 404, Times: 2})
	out, err = sign()
	require.Error(t, err)
	require.NotEqual(t, job.Permanent(err), err)
	requireExplained(t, out, reason.MembersUnknown)
	require.Contains(t, out.Reasons[0].Message, "tried again")
	_, err = sign()
	require.NoError(t, err)
}
