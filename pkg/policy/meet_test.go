package policy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

func (l language) has(name string) bool {
	return firstMatch(l.globs, name) != "" && firstMatch(l.except, name) == ""
}

func lang(globs string, except ...string) language {
	return language{globs: strings.Fields(globs), except: except}
}

func TestMeet(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		a, b language
		want string // "" when nothing is in common
	}{
		{lang("**"), lang("**"), "a"},
		{lang("**/*.tgz"), lang("app/**"), "app/.tgz"},
		{lang("**/*.tgz"), lang("**/*.zip"), ""},
		{lang("**/*.{tgz,zip}"), lang("**/*.{deb,zip}"), ".zip"},
		{lang("**/*.tgz"), lang("**", "**/*.tgz"), ""},
		{lang("**/*.tgz"), lang("**", "*.tgz"), "a/.tgz"},
		{lang("**/*.tgz", "tmp/**"), lang("tmp/**"), ""},
		{lang("**/*.tgz", "tmp/*"), lang("tmp/**"), "tmp/a/.tgz"},
		{lang("a/**"), lang("b/**"), ""},
		{lang("a/**"), lang("a"), "a"},
		{lang("a/*"), lang("a"), ""},
		{lang("*"), lang("*/*"), ""},
		{lang("**/a/*"), lang("b/**"), "b/a/c"},
		{lang("x b/*"), lang("y b/**"), "b/a"},
		{lang("?"), lang("[a-c]", "[ab]"), "c"},
		{lang("[a-m]"), lang("[k-z]", "k", "m"), "l"},
		{lang("[a-m]"), lang("[k-z]", "[k-m]"), ""},
		{lang("[!a-m]"), lang("[!n-\U0010ffff]"), "0"},
		{lang("[!a-m]"), lang("[a-z]", "[o-z]"), "n"},
		{lang("[!b]"), lang("b"), ""},
		{lang("?"), lang("*", "[!é]"), "é"},
		{lang("*"), lang("*", "?", "??"), "aaa"},
		{lang("."), lang("?"), ""}, // no path has the segment .
		{lang("{.,..,...}"), lang("*"), "..."},
		{lang("a*c"), lang("*b*"), "abc"},
		{lang("*a*b*c*"), lang("*c*b*a*"), "abcba"},
		{lang("**/*-SNAPSHOT*"), lang("**/*.jar"), "-SNAPSHOT.jar"},
		{lang("release-*"), lang("*-local"), "release-local"},
		{lang("**/v[0-9]/**"), lang("app/v1/x"), "app/v1/x"},
		{lang("**", "**/*.md"), lang("docs/**", "docs/*/**"), "docs"},
		{lang("**", "**"), lang("**"), ""},
		{lang("**"), lang("**", "**/*"), ""},
	} {
		for _, sides := range [][2]language{{tc.a, tc.b}, {tc.b, tc.a}} {
			work := workOfPair
			name, is := meet(sides[0], sides[1], pathNames, &work)
			require.NotEqual(t, unsure, is, "%v", sides)
			require.Equal(t, tc.want != "", is == yes, "%v", sides)
			require.Len(t, name, len(tc.want), "%v: %s", sides, name)
			if is == yes {
				require.True(t, tc.a.has(name) && tc.b.has(name) && pathIs(name), "%v: %s", sides, name)
				require.True(t, tc.a.has(tc.want) && tc.b.has(tc.want) && pathIs(tc.want), "the table is wrong: %v", sides)
			}
		}
	}
}

func TestMeetOfRepositories(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ a, b, want string }{
		{"*-local", "libs-*", "libs-local"},
		{"libs-?", "libs-[!a-zA-Z0-9._]", "libs--"},
		{"*", "[!a-zA-Z0-9_-]*", ".a"},
		{"libs é", "*", "libs"},
		{"é", "*", ""}, // no repository has such a name
		{".", "*", ""},
		{"{dev,prod}-*", "*-{eu,us}", "dev-eu"},
		{"{dev,prod}-*", "[!dp]*", ""},
	} {
		work := workOfPair
		name, is := meet(lang(tc.a), lang(tc.b), repositoryNames, &work)
		require.Equal(t, tc.want != "", is == yes, "%+v", tc)
		require.Len(t, name, len(tc.want), "%+v: %s", tc, name)
		if is == yes {
			_, err := artifact.NewRef("main", name, "a")
			require.NoError(t, err)
		}
	}
}

// randomLanguage has one or two patterns and up to two exceptions.
func randomLanguage(rng *rand.Rand, check func(string) error) language {
	var l language
	for range 1 + rng.IntN(2) {
		l.globs = append(l.globs, randomGlob(rng, check))
	}
	for range rng.IntN(3) {
		l.except = append(l.except, randomGlob(rng, check))
	}
	return l
}

// The search and the matcher agree: a name that is found is matched by both, and none is matched where none is found.
func TestMeetIsExact(t *testing.T) {
	t.Parallel()
	names := allNames(5)
	rng := rand.New(rand.NewPCG(3, 4))
	count := map[answer]int{}
	for range 1500 {
		a, b := randomLanguage(rng, checkPathGlob), randomLanguage(rng, checkPathGlob)
		work := workOfPair
		name, is := meet(a, b, pathNames, &work)
		count[is]++
		shortest := slices.IndexFunc(names, func(n string) bool { return a.has(n) && b.has(n) }) // they are in order of length
		switch {
		case is == unsure:
			t.Fatalf("%v and %v: unsure", a, b)
		case is == no && shortest >= 0:
			t.Fatalf("%v and %v both have %s, but none was found", a, b, names[shortest])
		case is == yes && (!a.has(name) || !b.has(name) || !pathIs(name)):
			t.Fatalf("%v and %v do not both have %s", a, b, name)
		case is == yes && len(a.globs)+len(b.globs) == 2 && shortest >= 0 && len(names[shortest]) < len(name):
			t.Fatalf("%v and %v both have %s, but %s was found", a, b, names[shortest], name)
		}
	}
	require.Greater(t, count[yes], 300)
	require.Greater(t, count[no], 300)
}

// hostile are pairs of languages whose search explodes, or would.
var hostile = [][2]language{
	{lang("**"), lang("**", "**/{,?}{,??}{,????}{,????????}{,????????????????}", "**/*a"+strings.Repeat("?", 20))},
	{lang(strings.Repeat("**/", 100) + "b"), lang(strings.Repeat("**/*a/", 60) + "c")},
	{lang(strings.Repeat("*a", 250)), lang(strings.Repeat("*b", 250))},
	{lang(strings.Repeat("{a,b}", 6) + strings.Repeat("*a", 50)), lang(strings.Repeat("{*a,*b}", 6) + "c")},
	{lang("**"), language{globs: []string{"**"}, except: strings.Fields(strings.Repeat("**/*a*?b*?c*?d ", 5000))}},
	{lang("**"), language{globs: []string{"**"}, except: strings.Fields(strings.Repeat("**/"+strings.Repeat("?", 500)+"* ", 1000) + "?* */**")}},
	{lang(strings.Repeat("**/*[!a-c]* ", 3000)), lang(strings.Repeat("**/*{a,b,c} ", 3000))},
	{lang(strings.Repeat("**/*aab ", 3000)), lang(strings.Repeat("**/*aac ", 3000))},
}

// What is bounded is bounded: the work is not overdrawn by more than one step costs, and ends soon.
func TestHostileLanguagesEnd(t *testing.T) {
	t.Parallel()
	doubts := 0
	for i, pair := range hostile {
		start := time.Now()
		work := workOfPair
		name, is := meet(pair[0], pair[1], pathNames, &work)
		require.Less(t, time.Since(start), 5*time.Second, "pair %d", i)
		require.Greater(t, work, -1_000_000, "pair %d", i)
		if is == yes {
			require.True(t, pair[0].has(name) && pair[1].has(name), "pair %d", i)
		}
		t.Logf("pair %d: %v %q in %s, %d work left", i, is, name, time.Since(start), work)
		if is == unsure {
			doubts++
		}
	}
	require.NotZero(t, doubts, "nothing here is hostile")
}

func FuzzMeet(f *testing.F) {
	f.Add("**/*.tgz", "app/**", "tmp/**")
	f.Add("[a-m]*", "[!k]?{a,b}", "**/??")
	for _, p := range hard {
		f.Add(p, p, p)
	}
	f.Fuzz(func(t *testing.T, p, q, x string) {
		for _, pattern := range []string{p, q, x} {
			if checkPathGlob(pattern) != nil {
				return
			}
		}
		a, b := language{globs: []string{p}}, language{globs: []string{q}, except: []string{x}}
		start := time.Now()
		work := workOfPair
		name, is := meet(a, b, pathNames, &work)
		if took := time.Since(start); took > 30*time.Second {
			t.Fatalf("%q and %q without %q took %s", p, q, x, took)
		}
		if is == yes && (!a.has(name) || !b.has(name) || !pathIs(name)) {
			t.Fatalf("%q and %q without %q do not have %q", p, q, x, name)
		}
		if other := strings.NewReplacer("**/", "", "*", "", "?", "c", "[", "", "]", "", "{", "", "}", "").Replace(p); is == no && pathIs(other) && a.has(other) && b.has(other) {
			t.Fatalf("%q and %q without %q have %q", p, q, x, other)
		}
	})
}
