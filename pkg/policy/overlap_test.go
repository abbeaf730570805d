package policy_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// loadError is what is said about policies that must not load; "" when they do.
func loadError(t testing.TB, yaml string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(yaml), 0o600))
	if _, err := policy.Load(dir, policy.Skip, vocabulary); err != nil {
		return err.Error()
	}
	return ""
}

// signWith writes a policy; keys that differ make policies that do not agree.
func signWith(name, match, key string) string {
	return fmt.Sprintf("kind: SigningPolicy\nname: %s\nowner: o\nmatch: {%s}\nsign: [{key: %s, formats: [raw]}]\n---\n", name, match, key)
}

// Each line of a match that keeps policies apart, and what does not.
func TestWhatKeepsPoliciesApart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, a, b, both string }{
		{"the same", "repositories: [r]", "repositories: [r]", "r/a"},
		{"repositories", "repositories: [r, s]", "repositories: [t, u]", ""},
		{"one repository of several", "repositories: [r, s]", "repositories: [t, s]", "s/a"},
		{"patterns of repositories", "repositories: [libs-*]", `repositories: ["*-dev"]`, "libs-dev/a"},
		{"patterns of repositories apart", "repositories: [libs-*-dev]", `repositories: ["*-prod"]`, ""},
		{"a name and a pattern", "repositories: [libs-dev]", `repositories: [a, "*-dev"]`, "libs-dev/a"},
		{"a pattern and names", `repositories: [a, "*-dev"]`, "repositories: [b, libs-dev]", "libs-dev/a"},
		{"paths", `repositories: [r], paths: ["**/*.tgz"]`, `repositories: [r], paths: ["**/*.zip"]`, ""},
		{"paths that meet", `repositories: [r], paths: ["**/*.tgz"]`, `repositories: [r], paths: [app/**]`, "r/app/a.tgz"},
		{"no paths are all", `repositories: [r], paths: [app/x.tgz]`, `repositories: [r]`, "r/app/x.tgz"},
		{"exclude of the first", `repositories: [r], exclude: [app/**]`, `repositories: [r], paths: [app/**]`, ""},
		{"exclude of the second", `repositories: [r], paths: [app/**]`, `repositories: [r], exclude: [app/**]`, ""},
		{"exclude that is too small", `repositories: [r], paths: [app/**]`, `repositories: [r], exclude: [app/*]`, "r/app"},
		{"excludes of both", `repositories: [r], exclude: ["?*"]`, `repositories: [r], exclude: ["*/**/*"]`, ""},
		{"instances", "instances: [main], repositories: [r]", "instances: [mirror], repositories: [r]", ""},
		{"one instance of all", "instances: [main], repositories: [r]", "repositories: [r]", "r/a"},
		{"kinds", "repositories: [r], kinds: [file]", "repositories: [r], kinds: [image, bundle]", ""},
		{"kinds that meet", "repositories: [r], kinds: [file, image]", "repositories: [r], kinds: [image]", `r/a \(\w+ if the kind is \S+( or image)?\) \(\w+ if the kind is \S+( or image)?\)`},
		{"no kinds are all", "repositories: [r], kinds: [file]", "repositories: [r]", `r/a \(\w+ if the kind is file\)`},
		{"projects", `repositories: [r], projects: [apollo, "ares-*"]`, "repositories: [r], projects: [gemini, artemis]", ""},
		{"projects that meet", `repositories: [r], projects: ["a*"]`, "repositories: [r], projects: [apollo]", "r/a .*"},
		{"no project", `repositories: [r], projects: ["{,a}"]`, `repositories: [r], projects: ["{,b}"]`, "r/a .*"},
		{"no projects are all", `repositories: [r], projects: [apollo]`, `repositories: [r]`, "r/a .*"},
		{"properties", "repositories: [r], properties: {stage: [dev, test], x: [y]}", `repositories: [r], properties: {stage: ["prod*"], x: [y]}`, ""},
		{"properties that meet", `repositories: [r], properties: {stage: ["[a-f]*"]}`, "repositories: [r], properties: {stage: [test, dev]}", "r/a .*"},
		{"a property that is set", `repositories: [r], properties: {stage: []}`, "repositories: [r], properties: {stage: [test, dev]}", "r/a .*"},
		{"different properties", `repositories: [r], properties: {stage: [a]}`, "repositories: [r], properties: {state: [b]}", "r/a .*"},
		{"events", "repositories: [r], events: [artifact/moved]", "repositories: [r], events: [artifact/copied]", "r/a"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, m := range [][2]string{{tc.a, tc.b}, {tc.b, tc.a}} {
				said := loadError(t, signWith("first", m[0], "dev-2026")+signWith("second", m[1], "release-2026"))
				require.Empty(t, loadError(t, signWith("first", m[0], "dev-2026")+signWith("second", m[1], "dev-2026")), "they agree")
				if tc.both == "" {
					require.Empty(t, said)
					continue
				}
				require.Regexp(t, `^loading policies:\n\S+p.yaml:10:8: match: second and first \(\S+p.yaml:4:8\) both match `+tc.both+` and decide differently`, said)
				require.Equal(t, tc.name == "events", strings.Contains(said, "held to none"), said)
			}
		})
	}
}

// What the load says is what Decide does, in both directions: the example is refused for a conflict, and a set that
// loads refuses nothing for one.
func TestLoadAndDecideAgree(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	paths := []string{"**", "*", "a/**", "**/b", "a/*", "*b", "**/a/**", "{a,b}/*", "?", "b"}
	repositories := []string{"r", "s", "r*", "*s", "{r,s}", "rs"}
	pick := func(of []string, n int) string {
		var out []string
		for range n {
			out = append(out, fmt.Sprintf("%q", of[rng.IntN(len(of))]))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	refused, loaded := 0, 0
	for range 300 {
		var doc strings.Builder
		for i := range 2 + rng.IntN(3) {
			match := "repositories: " + pick(repositories, 1+rng.IntN(2)) + ", paths: " + pick(paths, 1+rng.IntN(2))
			if rng.IntN(2) == 0 {
				match += ", exclude: " + pick(paths[1:], 1+rng.IntN(2))
			}
			doc.WriteString(signWith(fmt.Sprintf("p%d", i), match, []string{"dev-2026", "release-2026"}[rng.IntN(2)]))
		}
		if loadError(t, doc.String()) != "" {
			refused++
			continue
		}
		loaded++
		set := load(t, policy.Skip, doc.String())
		for _, repo := range []string{"r", "s", "rs", "rr", "ss", "x"} {
			for _, path := range []string{"a", "b", "c", "ab", "a/a", "a/b", "b/a", "b/b", "c/a/b", "a/a/b", "b/a/a", "ab/cb"} {
				d := set.Decide(policy.Request{Subject: subject(t, repo+"/"+path)})
				require.NotContains(t, fmt.Sprint(d.Denied), reason.PolicyConflict, "%s/%s of\n%s", repo, path, doc.String())
				var matched []string
				for _, c := range set.Explain(ref(t, repo+"/"+path), "").Considered {
					if c.Matched {
						matched = append(matched, c.Rule)
					}
				}
				require.Equal(t, matched, d.Matched, "%s/%s of\n%s", repo, path, doc.String())
				require.Equal(t, len(matched) > 0, set.Covers("main", repo, path, ""))
			}
		}
	}
	require.Greater(t, refused, 50)
	require.Greater(t, loaded, 50)
}

func TestManyContradictionsAreCounted(t *testing.T) {
	t.Parallel()
	var doc strings.Builder
	for i := range 30 {
		doc.WriteString(signWith(fmt.Sprintf("p%d", i), fmt.Sprintf(`repositories: [r%d], paths: ["**/a%d"]`, i/2, i), []string{"dev-2026", "release-2026"}[i%2]))
	}
	doc.WriteString(signWith("wide", "repositories: [r*]", "release-2027"))
	said := loadError(t, doc.String())
	require.Equal(t, 20, strings.Count(said, " and decide differently: "), said)
	require.Contains(t, said, "p.yaml:184:8: match: and 10 more pairs of signing policies that match one artifact and decide differently")
	require.Equal(t, 21, strings.Count(said, "\n"))
}

func TestListsOfPatternsAreBounded(t *testing.T) {
	t.Parallel()
	list := strings.TrimSuffix(strings.Repeat("a, ", 1000), ", ")
	require.Empty(t, loadError(t, signWith("a", "repositories: [r], paths: ["+list+"]", "dev-2026")))
	require.Contains(t, loadError(t, signWith("a", "repositories: [r], paths: [\n"+list+",\n  a]", "dev-2026")),
		"p.yaml:6:3: paths: a list has at most 1000 patterns, this has 1001; write several policies, or wider patterns")
	require.Contains(t, loadError(t, signWith("a", "repositories: [r], exclude: ["+strings.Repeat("a", 1_000_000)+"]", "dev-2026")),
		"p.yaml:4:38: exclude: a pattern has 1000000 bytes, the limit is 512")
	require.Contains(t, loadError(t, signWith("a", "repositories: [r], exclude: ['{"+strings.Repeat("a,", 100)+"}']", "dev-2026")), "stands for more than 64 alternatives")
}

// A broken policy is told about as such; what it might contradict is told when it is mended.
func TestOtherMistakesComeFirst(t *testing.T) {
	t.Parallel()
	said := loadError(t, signWith("a", "repositories: [r]", "dev-2026")+signWith("b", "repositories: [r]", "release-2025"))
	require.Contains(t, said, "unknown key")
	require.NotContains(t, said, "both match")
}

// All that makes a difference to what comes of an artifact.
func TestWhatPoliciesDifferIn(t *testing.T) {
	t.Parallel()
	const (
		header        = "kind: SigningPolicy\nname: NAME\nowner: NAME\nmatch: {repositories: [r]}\n"
		sign          = "sign: [{key: dev-2026, formats: [raw]}]\n"
		configuration = "kind: SigningConfiguration\nname: c\nowner: o\nlane: development\nsign: [{key: dev-2026, formats: [raw]}]\n"
		check         = "require: [{name: a, size: {max: 1MB}}]\n"
	)
	for _, tc := range []struct {
		name, a, b string
		differ     bool
	}{
		{"nothing but the owner", sign, sign, false},
		{"order of formats", "sign: [{key: dev-2026, formats: [raw, sigstore]}]\n", "sign: [{key: dev-2026, formats: [sigstore, raw]}]\n", false},
		{"formats", sign, "sign: [{key: dev-2026, formats: [sigstore]}]\n", true},
		{"one key more", "sign: [{key: release-2026, formats: [raw]}]\n", "sign: [{key: release-2026, formats: [raw]}, {key: release-2027, formats: [raw]}]\n", true},
		{"mode", sign, sign + "mode: warn\n", true},
		{"the same checks", sign + check, sign + check, false},
		{"checks", sign, sign + check, true},
		{"bounds of checks", sign + check, sign + strings.ReplaceAll(check, "1MB", "2MB"), true},
		{"platforms", sign, sign + "images: {platforms: [linux/amd64]}\n", true},
		{"the same configuration", "configuration: c\n---\n" + configuration, "configuration: c\n", false},
		{"configurations", "configuration: c\n---\n" + configuration, "configuration: d\n---\n" + strings.ReplaceAll(configuration, ": c\n", ": d\n"), true},
	} {
		said := loadError(t, strings.ReplaceAll(header, "NAME", "first")+tc.a+"---\n"+strings.ReplaceAll(header, "NAME", "second")+tc.b)
		if tc.differ {
			require.Contains(t, said, "second and first (", tc.name)
			require.Contains(t, said, "both match r/a and decide differently", tc.name)
			first, second, _ := strings.Cut(said[strings.Index(said, "differently: second ")+len("differently: second "):], "; first ")
			require.NotEqual(t, first, strings.SplitAfter(second, "; ")[0], "%s: the difference is told", tc.name)
		} else {
			require.Empty(t, said, tc.name)
		}
	}
}

// What the search gives up on loads, and is refused when it is asked about.
func TestWhatTheLoadCannotTellIsRefusedLater(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, signWith("a", "repositories: [r]", "dev-2026")+signWith("b", "repositories: [r], exclude: "+policytest.HardExclude, "release-2026"))
	d := set.Decide(policy.Request{Subject: subject(t, "r/"+policytest.HardName)})
	require.Nil(t, d.Grant)
	require.Equal(t, reason.PolicyConflict, d.Denied[0].Code)

	set = load(t, policy.Skip, signWith("a", "repositories: [r], properties: {stage: [dev]}", "dev-2026")+signWith("b", "repositories: [r], properties: {stage: [prod]}", "release-2026"))
	for _, values := range [][]string{{"dev"}, {"prod"}, {"dev", "prod"}} {
		d := set.Decide(policy.Request{Subject: subject(t, "r/a"), Facts: policy.Facts{Known: policy.NeedProperties, Properties: map[string][]string{"stage": values}}})
		require.Equal(t, len(values) == 1, d.Grant != nil)
		if len(values) == 2 {
			require.Equal(t, reason.PolicyConflict, d.Denied[0].Code)
		}
	}
}

// thousand policies of several teams, which sign differently and do not contradict each other.
func thousand(match func(i int) string) string {
	var doc strings.Builder
	for i := range 1000 {
		doc.WriteString(signWith(fmt.Sprintf("p%d", i), match(i), vocabulary.Keys[i%len(vocabulary.Keys)].Name))
	}
	return doc.String()
}

var houses = map[string]func(i int) string{
	"repositories by name": func(i int) string {
		return fmt.Sprintf(`repositories: [team-%d-local], paths: ["**/*.{tgz,zip,deb}"], exclude: ["**/tmp/**"]`, i)
	},
	"repositories by pattern": func(i int) string {
		return fmt.Sprintf(`repositories: ["team-%d-*"], paths: ["**/*.{tgz,zip,deb}"], exclude: ["**/tmp/**"]`, i)
	},
	"one repository, folders": func(i int) string {
		return fmt.Sprintf(`repositories: [libs], paths: ["team-%d/**/*.{tgz,zip,deb}"], exclude: ["**/tmp/**"]`, i)
	},
	"one repository, file names": func(i int) string {
		return fmt.Sprintf(`repositories: ["*-local"], paths: ["**/*-team-%d.tgz"]`, i)
	},
	"one repository, excludes": func(i int) string {
		return fmt.Sprintf(`repositories: [libs], paths: ["*/[a-z]*/team-%d/*"], exclude: ["**/team-%d/*.md", "**/.*/**"]`, i, i)
	},
}

func TestThousandPoliciesLoadSoon(t *testing.T) {
	t.Parallel()
	for name, match := range houses {
		start := time.Now()
		load(t, policy.Skip, thousand(match))
		require.Less(t, time.Since(start), time.Minute, name)
	}
	for name, match := range map[string]func(i int) string{ // hostile ones
		"all contradict all": func(int) string { return "repositories: [r]" },
		"all differ":         func(i int) string { return fmt.Sprintf(`repositories: [r], paths: ["*%d*"]`, i) },
		"hard": func(i int) string {
			return fmt.Sprintf("repositories: [r%d, r], exclude: %s", i, policytest.HardExclude)
		},
	} {
		start := time.Now()
		said := loadError(t, thousand(match))
		require.Less(t, time.Since(start), time.Minute, name)
		require.Equal(t, name == "hard", said == "", said)
	}
}

func BenchmarkLoadThousand(b *testing.B) {
	for name, match := range houses {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			require.NoError(b, os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(thousand(match)), 0o600))
			b.ReportAllocs()
			for b.Loop() {
				_, err := policy.Load(dir, policy.Skip, vocabulary)
				require.NoError(b, err)
			}
		})
	}
}
