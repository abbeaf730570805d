package policy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
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
		{"**/b", "b", true},
		{"a/**", "a", true},
		{"a*/**", "a", true},
		{"a/**/**", "a", true},
		{"a/**/b/**", "a/b", true},
		{"**/a/**/b/**/c", "x/a/b/y/a/b/c", true},
		{"a/**/b", "ab", false},
		{"a/**/b", "a/xb", false},
		{"a*{b,}", "a", true},
		{"{*}*", "a/b", false},
		{"a[!x]b", "a/b", false},
		{"a[+-9]b", "a/b", false},
		{"a?b", "a/b", false},
		{"{a,[},]}{x,}", "}x", true},
		{"{a,[},]}{x,}", ",", true},
		{"a,b", "a,b", true},
		{"a,b{c,d},e", "a,bd,e", true},
		{"[^a-c-e]", "-", false},
		{"[^a-c-e]", "d", true},
		{"[a-]x", "-x", true},
		{"é[à-ü]*", "éèé", true},
		{"é*", "è", false},
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

// oracle says what a pattern means, the slow way: segments one by one, alternatives written out.
func oracle(pattern, name string) bool {
	return oracleFolders(strings.Split(pattern, "/"), strings.Split(name, "/"))
}

func oracleFolders(pattern, name []string) bool {
	switch {
	case len(pattern) == 0:
		return len(name) == 0
	case pattern[0] == "**":
		return oracleFolders(pattern[1:], name) || len(name) > 0 && oracleFolders(pattern, name[1:])
	}
	return len(name) > 0 && oracleSegment(pattern[0], name[0]) && oracleFolders(pattern[1:], name[1:])
}

func oracleSegment(pattern, name string) bool {
	if open := strings.IndexByte(pattern, '{'); open >= 0 {
		end := open + strings.IndexByte(pattern[open:], '}')
		return slices.ContainsFunc(strings.Split(pattern[open+1:end], ","), func(one string) bool {
			return oracleSegment(pattern[:open]+one+pattern[end+1:], name)
		})
	}
	switch {
	case pattern == "":
		return name == ""
	case pattern[0] == '*':
		return oracleSegment(pattern[1:], name) || name != "" && oracleSegment(pattern, name[1:])
	case name == "":
		return false
	case strings.HasPrefix(pattern, "[ab]"):
		return name[0] <= 'b' && oracleSegment(pattern[4:], name[1:])
	case strings.HasPrefix(pattern, "[!a]"):
		return name[0] != 'a' && oracleSegment(pattern[4:], name[1:])
	}
	return (pattern[0] == '?' || pattern[0] == name[0]) && oracleSegment(pattern[1:], name[1:])
}

// randomGlob makes patterns of few letters, so that they often have names in common. It returns only well-formed ones.
func randomGlob(rng *rand.Rand, check func(string) error) string {
	pieces := []string{"a", "b", "c", "*", "?", "/", "/", "**/", "/**", "/**/", "{a,b}", "{,c}", "{a*,?c,}", "[ab]", "[!a]"}
	for {
		var b strings.Builder
		for range 1 + rng.IntN(6) {
			b.WriteString(pieces[rng.IntN(len(pieces))])
		}
		if check(b.String()) == nil {
			return b.String()
		}
	}
}

// allNames lists every path of up to so many characters out of a, b, c and the slash.
func allNames(most int) []string {
	var out []string
	level := []string{""}
	for range most {
		var next []string
		for _, name := range level {
			for _, c := range []string{"a", "b", "c", "/"} {
				if next = append(next, name+c); pathIs(name + c) {
					out = append(out, name+c)
				}
			}
		}
		level = next
	}
	return out
}

func pathIs(name string) bool {
	_, err := artifact.NewRef("main", "r", name)
	return err == nil
}

func TestPatternsMeanWhatTheOracleSays(t *testing.T) {
	t.Parallel()
	names := allNames(5)
	rng := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for range 1000 {
		p := randomGlob(rng, checkPathGlob)
		for _, name := range names {
			want := oracle(p, name)
			if matchGlob(p, name) != want || accepts(p, name) != want {
				t.Fatalf("%s on %s: want %v", p, name, want)
			}
			if want {
				matched++
			}
		}
	}
	require.Greater(t, matched, 10_000)
}

func TestMatchingNeedsNoMemory(t *testing.T) {
	p := "**/{app,lib}-[0-9]*/*.{tgz,zip,deb}"
	require.True(t, matchGlob(p, "org/acme/app-1.4.2/app.zip"))
	require.Zero(t, testing.AllocsPerRun(100, func() { matchGlob(p, "org/acme/app-1.4.2/app.zip") }))
}

func TestHardPatternsEnd(t *testing.T) {
	t.Parallel()
	for _, p := range hard {
		require.NoError(t, checkPathGlob(p))
		for _, path := range []string{strings.Repeat("a", 1024), strings.Repeat("a/", 511) + "a", strings.Repeat("aa/", 340) + "a"} {
			start := time.Now()
			require.Empty(t, firstMatch([]string{p}, path))
			require.Less(t, time.Since(start), 5*time.Second, p)
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
		if took := time.Since(start); took > 5*time.Second {
			t.Fatalf("%q on %q took %s", pattern, path, took)
		}
		if matched != accepts(pattern, path) {
			t.Fatalf("%q on %q: %v, but not by its automaton", pattern, path, matched)
		}
		if isLiteral(pattern) && !strings.ContainsAny(pattern, "]}") && matched != (pattern == path) {
			t.Fatalf("literal %q on %q: %v", pattern, path, matched)
		}
		if okRepo == nil && strings.Contains(path, "/") && matched {
			t.Fatalf("%q has no folder but matches %q", pattern, path)
		}
	})
}
