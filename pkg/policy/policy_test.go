package policy_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// vocabulary is what most tests speak of.
var vocabulary = policy.Vocabulary{
	Keys: []policy.Key{
		{Name: "release-2026", Lane: policy.LaneRelease},
		{Name: "release-2027", Lane: policy.LaneRelease},
		{Name: "dev-2026", Lane: policy.LaneDevelopment},
	},
	Formats: []string{"sigstore", "raw"},
}

// examples is the repository's own policies directory; exampleVocabulary is what it speaks of.
const examples = "../../policies"

func exampleVocabulary() policy.Vocabulary {
	v := vocabulary
	v.Keys = slices.Clone(v.Keys)
	for _, name := range []string{"firmware-a", "firmware-b", "firmware-c"} {
		v.Keys = append(v.Keys, policy.Key{Name: name, Lane: policy.LaneRelease})
	}
	v.Keys = append(v.Keys, policy.Key{Name: "firmware-dev", Lane: policy.LaneDevelopment})
	year := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	v.Keys = append(v.Keys, policy.Key{Name: "tools-2026", Lane: policy.LaneRelease, Retired: year.AddDate(0, 1, 0)}, policy.Key{Name: "tools-2027", Lane: policy.LaneRelease, From: year})
	v.Formats = []string{"sigstore", "raw", "cosign"}
	v.Kinds = map[string][]artifact.Kind{"sigstore": {artifact.KindFile}, "raw": {artifact.KindFile}, "cosign": {artifact.KindImage}}
	return v
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run: go test ./pkg/policy -update")
	require.Equal(t, string(want), got)
}

func ref(t testing.TB, s string) artifact.Ref {
	t.Helper()
	r, err := artifact.ParseRef("main", s)
	require.NoError(t, err)
	return r
}

func subject(t testing.TB, s string) artifact.Subject {
	t.Helper()
	return artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{
		Ref: ref(t, s), SHA256: artifact.Attachment{Content: []byte(s)}.SHA256(), Size: int64(len(s)),
	}}
}

func load(t testing.TB, noMatch policy.NoMatch, yaml string) *policy.Set {
	t.Helper()
	return policytest.Set(t, noMatch, vocabulary, map[string]string{"p.yaml": yaml})
}

func TestExamplesLoad(t *testing.T) {
	t.Parallel()
	set, err := policy.Load(examples, policy.Skip, exampleVocabulary())
	require.NoError(t, err)
	signed, guarded := set.Repositories("main")
	require.Equal(t, []string{"firmware-build-local", "firmware-staging-local", "libs-staging-local", "maven-staging-local", "oci-staging-local", "tools-staging-local"}, signed)
	require.Equal(t, []string{"downloads-local", "firmware-release-local", "libs-release-local", "maven-release-local", "oci-release-local", "tools-release-local"}, guarded)

	d := set.Decide(policy.Request{Subject: subject(t, "libs-staging-local/app/1.4.2/app.tgz"), Event: "artifact/deployed"})
	require.NotNil(t, d.Grant)
	require.Equal(t, []policy.Order{{Key: "release-2026", Formats: []string{"sigstore", "raw"}}}, d.Grant.Orders())
	require.Contains(t, d.Rule, "policies/release.yaml:")
	require.NotEmpty(t, set.Decide(policy.Request{Subject: subject(t, "libs-staging-local/tmp/app.tgz")}).Skip)

	demand, ok := set.Demand(ref(t, "libs-release-local/app/1.4.2/app.tgz"))
	require.True(t, ok)
	require.Equal(t, []string{"firmware-a", "firmware-b", "firmware-c", "release-2026", "release-2027", "tools-2026", "tools-2027"}, demand.Keys())
	require.Equal(t, []string{"sigstore"}, demand.Formats())
	require.Empty(t, demand.Judge([]policy.Evidence{{File: "app.tgz.sigstore.json", Format: "sigstore", Key: "release-2026"}}))
}

// A pattern is never taken for a name, and a policy about another instance is about nothing here.
func TestRepositoryPatterns(t *testing.T) {
	t.Parallel()
	set := policytest.Set(t, policy.Skip, vocabulary, map[string]string{"a.yaml": `kind: SigningPolicy
name: a
owner: o
match: {repositories: [libs-staging-local, "libs-*-local", "{a,b}-local"]}
sign: [{key: dev-2026, formats: [raw]}]
---
kind: GatePolicy
name: b
owner: o
target: {repositories: ["release-?", libs-release-local, "libs-*-local"], instances: [main]}
require: {signatures: [{lane: release}]}
`})
	signed, guarded := set.Repositories("main")
	require.Equal(t, [2][]string{{"libs-staging-local"}, {"libs-release-local"}}, [2][]string{signed, guarded})
	require.Equal(t, []string{"libs-*-local", "release-?", "{a,b}-local"}, set.RepositoryPatterns("main"))
	require.Equal(t, []string{"libs-*-local", "{a,b}-local"}, set.RepositoryPatterns("other"))
	_, guarded = set.Repositories("other")
	require.Empty(t, guarded)
}

func TestDigestNamesNamesAndBytes(t *testing.T) {
	t.Parallel()
	const p = "kind: SigningPolicy\nname: a\nowner: o\nmatch: {repositories: [r]}\nsign: [{key: dev-2026, formats: [raw]}]\n"
	digest := func(files map[string]string) artifact.Digest {
		return policytest.Set(t, policy.Skip, vocabulary, files).Digest()
	}
	first := digest(map[string]string{"a.yaml": p})
	require.False(t, first.IsZero())
	require.Equal(t, first, digest(map[string]string{"a.yaml": p, "a_test.yaml": "not: a policy", "README.md": "x", ".hidden.yaml": "x"}))
	require.NotEqual(t, first, digest(map[string]string{"b.yaml": p}))
	require.NotEqual(t, first, digest(map[string]string{"a.yaml": p + "#"}))
	require.NotEqual(t, first, digest(map[string]string{"a.yaml": p, "b.yaml": ""}))
}

func TestCovers(t *testing.T) {
	t.Parallel()
	const p = `
kind: SigningPolicy
name: a
owner: o
match: {instances: [main], repositories: ["libs-*"], paths: ["**/*.tgz"], exclude: ["tmp/**"], events: [artifact/deployed]}
sign: [{key: dev-2026, formats: [raw]}]
`
	set := load(t, policy.Skip, p)
	for _, tc := range []struct {
		instance, repo, path, event string
		want                        bool
	}{
		{"main", "libs-x", "a/b.tgz", "artifact/deployed", true},
		{"main", "libs-x", "b.tgz", "", true},
		{"other", "libs-x", "a/b.tgz", "artifact/deployed", false},
		{"main", "bins", "a/b.tgz", "artifact/deployed", false},
		{"main", "libs-x", "a/b.zip", "artifact/deployed", false},
		{"main", "libs-x", "a/b.tgz", "artifact/moved", false},
		{"main", "libs-x", "tmp/b.tgz", "artifact/deployed", false},
		{"main", "", "", "artifact/deployed", true}, // somewhere
		{"main", "", "", "artifact/moved", false},
		{"other", "", "", "artifact/deployed", false},
	} {
		require.Equal(t, tc.want, set.Covers(tc.instance, tc.repo, tc.path, tc.event), "%+v", tc)
		require.True(t, load(t, policy.Deny, p).Covers(tc.instance, tc.repo, tc.path, tc.event))
	}
}

// dirless takes the temporary directory out of a text.
func dirless(s string) string { return tempDir.ReplaceAllString(s, "DIR/policies") }

var tempDir = regexp.MustCompile(`/\S*/policies\b`)
