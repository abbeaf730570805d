package artifactory

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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

func FuzzParseGraphQL(f *testing.F) {
	for _, s := range []string{
		`{ evidence { searchEvidence( where: { hasSubjectWith: { repositoryKey: "r", path: "p", name: "n"}} first: 2 ) { edges { node { verified } } } } }`,
		`query Q { a: b(x: [1, true, {y: "\u00e4"}]) }`, `{{`, `{a(b:` + strings.Repeat("[", 100),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := parseGraphQL(text)
		if err == nil {
			_, _ = choose(object{"evidence": object{"totalCount": 1}}, fields)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"sha256:x","size":1},"layers":[{"digest":"y"}]}`))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"x","platform":{"os":"linux"}}],"subject":{"digest":"z"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if m, ok := parseManifest(body, ociIndex); ok {
			require.True(t, m.isIndex() == (m.file() == listFile))
			require.Equal(t, !m.isIndex(), len(m.blobs()) > 0)
		}
	})
}
