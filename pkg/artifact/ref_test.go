package artifact_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

func TestNewRef(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, repo, path, wrong string }{
		{"plain", "libs-staging-local", "app/1.4.2/app.tgz", ""},
		{"at the root", "libs", "app.tgz", ""},
		{"spaces, plus, hash, percent, question mark, semicolon", "libs", "a b/c+d#e%20f?g;h=i", ""},
		{"Unicode", "libs", "größe/文件.bin", ""},
		{"dots inside names", "libs", "a..b/...c/.hidden", ""},
		{"longest", "libs", strings.Repeat("x", 1024), ""},
		{"no repository", "", "a", "empty"},
		{"repository with a slash", "libs/x", "a", "character"},
		{"repository of dots", "..", "a", "not a name"},
		{"repository with percent", "libs%2f", "a", "character"},
		{"no path", "libs", "", "empty"},
		{"leading slash", "libs", "/a", "segment"},
		{"trailing slash", "libs", "a/", "segment"},
		{"double slash", "libs", "a//b", "segment"},
		{"parent", "libs", "a/../b", "segment"},
		{"parent first", "libs", "../other/b", "segment"},
		{"self", "libs", "./a", "segment"},
		{"backslash", "libs", `a\..\b`, "character"},
		{"new line", "libs", "a\nb", "character"},
		{"NUL", "libs", "a\x00b", "character"},
		{"C1 control", "libs", "a\u0085b", "character"},
		{"not UTF-8", "libs", "a\xffb", "UTF-8"},
		{"replacement character", "libs", "a\uFFFDb", "character"},
		{"too long", "libs", strings.Repeat("x", 1025), "limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ref, err := artifact.NewRef("main", c.repo, c.path)
			if c.wrong != "" {
				require.ErrorContains(t, err, c.wrong)
				require.Zero(t, ref)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.repo+"/"+c.path, ref.String())
			again, err := artifact.ParseRef("main", ref.String())
			require.NoError(t, err)
			require.Equal(t, ref, again)
		})
	}
	_, err := artifact.ParseRef("main", "libs")
	require.ErrorContains(t, err, "repository/path")
}

func TestRefParts(t *testing.T) {
	t.Parallel()
	ref, err := artifact.ParseRef("main", "libs/app/1.0/app.tgz")
	require.NoError(t, err)
	require.Equal(t, "app.tgz", ref.Name())
	require.Equal(t, "app/1.0", ref.Dir())
	require.Equal(t, "libs/app/1.0/app.tgz.sig", ref.Beside("app.tgz.sig").String())
	root, err := artifact.ParseRef("main", "libs/app.tgz")
	require.NoError(t, err)
	require.Empty(t, root.Dir())
	require.Equal(t, "libs/app.tgz.sig", root.Beside("app.tgz.sig").String())
}

// FuzzNewRef: whatever is accepted stays in its repository and survives being written down.
func FuzzNewRef(f *testing.F) {
	for _, s := range []string{"libs/a", "libs/a/../b", "libs/%2e%2e/b", "libs/a;b=c", "libs/\xff", "a//b", "./x", "..", "libs/a\\b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := artifact.ParseRef("main", s)
		if err != nil {
			return
		}
		require.Equal(t, s, ref.String())
		require.True(t, utf8.ValidString(ref.Path))
		for _, seg := range strings.Split(ref.Path, "/") {
			require.NotContains(t, []string{"", ".", ".."}, seg)
		}
		require.Equal(t, ref.Dir(), ref.Beside("x").Dir(), "a neighbour stays in the folder")
	})
}
