package artifactory

import (
	"encoding/json"
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

func FuzzParseAQL(f *testing.F) {
	for _, s := range []string{
		`items.find({"path":{"$ne":"."},"$or":[{"$and":[{"repo":"r","path":"p","name":{"$match":"*"}}]}]}).include("name","repo","path","property")`,
		`items.find().sort({"$asc":["name"]}).offset(1).limit(2)`, `items.find({"@k":{"$ne":"v"},"modified":{"$last":"2d"},"size":{"$gt":1}})`,
	} {
		f.Add(s)
	}
	s, err := New(Config{Dir: f.TempDir(), Repositories: []Repository{{Key: "r"}}})
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, s.Close()) })
	for _, path := range []string{"f", "p/f", "p/q/g"} {
		require.NoError(f, s.Put("ci", "r", path, strings.NewReader(path), map[string][]string{"k": {"v", "w"}}))
	}
	admin := &Token{Admin: true}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := s.parseAQL(text)
		if err != nil {
			var r *refusal
			require.ErrorAs(t, err, &r, "a bad query is the client's fault")
			return
		}
		hits, err := s.search(admin, q)
		require.NoError(t, err)
		require.True(t, json.Valid(q.appendAnswer(nil, hits)))
		// What the plan leaves out, the criteria do not hold for.
		q.offset, q.limit = 0, 0
		planned := len(s.matching(admin, q))
		q.scopes = anywhere
		require.Len(t, s.matching(admin, q), planned)
	})
}
