package artifactory

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAntMatch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"**", "a/b/c", true},
		{"**/*.sig", "x.sig", true},
		{"**/*.sig", "a/b/x.sig", true},
		{"**/*.sig", "a/b/x.sig/y", false},
		{"*.sig", "a/x.sig", false},
		{"a/**/c", "a/c", true},
		{"a/**/c", "a/b/b/c", true},
		{"a/**/c", "a/b/d", false},
		{"a/*/c", "a/b/c", true},
		{"a/*/c", "a/b/b/c", false},
		{"a/", "a/b/c", true},
		{"a/?.t*", "a/b.tgz", true},
		{"a/?.t*", "a/bb.tgz", false},
		{"a/b", "a/b", true},
		{"a/b", "a/b/c", false},
		{"ä?", "äß", true},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b*", "xxbxxaxx", false},
		{"", "a", false},
	} {
		require.Equal(t, tt.want, antMatch(tt.pattern, tt.path), "%s on %s", tt.pattern, tt.path)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"repo/a/b.txt;k=v", "r/%2e%2e/x", "r/a%3Bb", "r//", "r/a;k+=v", "r/ä%C3%A4"} {
		f.Add(s, "name")
		f.Add(s, "matrix")
	}
	f.Fuzz(func(t *testing.T, raw, semicolon string) {
		a, err := parseAddress(raw, semicolon)
		if err != nil {
			return
		}
		for _, seg := range append([]string{a.repo}, a.path...) {
			require.NoError(t, checkSegment(seg))
			require.NotContains(t, seg, "/")
		}
		if !strings.Contains(raw, ";") && semicolon == "name" {
			require.Empty(t, a.matrix)
		}
		again, err := parseAddress(escaped(a), "name")
		require.NoError(t, err)
		require.Equal(t, a.path, again.path)
	})
}
