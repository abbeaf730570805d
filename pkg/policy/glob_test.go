package policy

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, path string
		want          bool
	}{
		{"**", "a", true},
		{"**", "a/b/c", true},
		{"**/*.tgz", "app.tgz", true},
		{"**/*.tgz", "a/b/app.tgz", true},
		{"**/*.tgz", "a/b/app.tgz.sig", false},
		{"*.tgz", "a/app.tgz", false},
		{"a/**", "a/b", true},
		{"a/**", "ab/c", false},
		{"a/**/z", "a/z", true},
		{"a/**/z", "a/b/c/z", true},
		{"a/?", "a/b", true},
		{"a/?", "a/bc", false},
		{"**/*.{tgz,zip}", "x/y.zip", true},
		{"**/*.{tgz,zip}", "x/y.deb", false},
		{"[ab].tgz", "b.tgz", true},
		{"[!ab].tgz", "b.tgz", false},
		{"a[*]b", "a*b", true},
		{"a[*]b", "axb", false},
		{"**/*", ".hidden/x", true},
		{"A/*", "a/x", false},
		{"**/*-é?", "x-éü", true},
	} {
		require.NoError(t, checkPathGlob(tc.pattern), tc.pattern)
		require.Equal(t, tc.want, firstMatch([]string{tc.pattern}, tc.path) != "", "%s on %s", tc.pattern, tc.path)
	}
}

// hard are patterns that make a naive matcher try every split of the path.
var hard = []string{
	strings.Repeat("*a", 100) + "b",
	strings.Repeat("**/", 100) + "b",
	strings.Repeat("**/*a/", 60) + "b",
	strings.Repeat("{a,b}", 6) + strings.Repeat("*a", 50) + "b",
	strings.Repeat("{*a,*b}", 6) + "c",
}

func TestHardPatternsEnd(t *testing.T) {
	t.Parallel()
	for _, p := range hard {
		require.NoError(t, checkPathGlob(p))
		for _, path := range []string{strings.Repeat("a", 1024), strings.Repeat("a/", 511) + "a", strings.Repeat("aa/", 340) + "a"} {
			start := time.Now()
			require.Empty(t, firstMatch([]string{p}, path))
			require.Less(t, time.Since(start), 30*time.Second, p)
		}
	}
}

func FuzzGlob(f *testing.F) {
	for _, p := range hard {
		f.Add(p, "a/a/a")
	}
	f.Add("**/*.{tgz,zip}", "a/b.tgz")
	f.Add("a[!b-d]?", "axé")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if len(path) > 1024 || strings.ContainsRune(path, utf8.RuneError) {
			return // no artifact.Ref has such a path
		}
		okPath, okRepo := checkPathGlob(pattern), checkRepositoryGlob(pattern)
		if okPath != nil {
			return
		}
		start := time.Now()
		matched := firstMatch([]string{pattern}, path) != ""
		if took := time.Since(start); took > 30*time.Second {
			t.Fatalf("%q on %q took %s", pattern, path, took)
		}
		if isLiteral(pattern) && !strings.ContainsAny(pattern, "]}") && matched != (pattern == path) {
			t.Fatalf("literal %q on %q: %v", pattern, path, matched)
		}
		if okRepo == nil && strings.Contains(path, "/") && matched {
			t.Fatalf("%q has no folder but matches %q", pattern, path)
		}
	})
}
