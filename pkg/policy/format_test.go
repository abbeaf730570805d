package policy

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

var formatVocabulary = Vocabulary{
	Keys:    []Key{{Name: "release-2026", Lane: LaneRelease}, {Name: "release-2027", Lane: LaneRelease}, {Name: "dev-2026", Lane: LaneDevelopment}},
	Formats: []string{"sigstore", "raw"},
}

// means is what a file comes to when it is loaded: its rules, without their lines.
func means(data []byte) (rules []Rule, loads bool) {
	set, err := build([]source{{name: "p.yaml", short: "p.yaml", full: "p.yaml", data: data}}, formatVocabulary)
	if err != nil {
		return nil, false
	}
	rules = set.Rules()
	for i := range rules {
		rules[i].Rule = ""
		for j := range rules[i].Requirements {
			rules[i].Requirements[j].Rule = ""
		}
	}
	return rules, true
}

// sameMeaning holds Format's promises about a file that it took.
func sameMeaning(t *testing.T, before, after []byte) {
	t.Helper()
	s1, ok1 := means(before)
	s2, ok2 := means(after)
	if ok1 != ok2 || !reflect.DeepEqual(s1, s2) {
		t.Fatalf("the meaning changed\n%s\n--- became\n%s", before, after)
	}
	again, err := Format("p.yaml", after)
	if err != nil || !bytes.Equal(again, after) {
		t.Fatalf("a second time it is\n%s\n%v", again, err)
	}
}

const unformatted = `# About this policy.
name: a   # short
kind: SigningPolicy
sign:
# the release key
- {formats: [sigstore, "raw"], key: 'release-2026'}
match:
      # archives only
      paths:
      - "**/*.tgz"   # and no others
      repositories: [libs-staging-local]
owner: "release-managers"
# at the end
---
# Now the gate.
require: {signatures: [{count: 1, lane: release}]}
target:
    repositories:   [libs-release-local]
owner: o
kind: GatePolicy
name: b
`

const formatted = `# About this policy.
kind: SigningPolicy
name: a # short
owner: "release-managers"
match:
  repositories: [libs-staging-local]
  # archives only
  paths:
    - "**/*.tgz" # and no others
sign:
  # the release key
  - {key: 'release-2026', formats: [sigstore, "raw"]}

# at the end
---
# Now the gate.
kind: GatePolicy
name: b
owner: o
target:
  repositories: [libs-release-local]
require: {signatures: [{lane: release, count: 1}]}
`

func TestFormat(t *testing.T) {
	t.Parallel()
	got, err := Format("p.yaml", []byte(unformatted))
	require.NoError(t, err)
	require.Equal(t, formatted, string(got))
	sameMeaning(t, []byte(unformatted), got)
	_, loads := means(got)
	require.True(t, loads)
}

// The examples are in the form that fmt gives them.
func TestExamplesAreFormatted(t *testing.T) {
	t.Parallel()
	files, err := Files("../../policies")
	require.NoError(t, err)
	require.Len(t, files, 7)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		got, err := Format(file, text)
		require.NoError(t, err)
		require.Equal(t, string(text), string(got), "run: hallmark policy fmt %s", file)
	}
}

func TestFormatRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"kind: [": "p.yaml:1: this is not YAML",
		"name: a": "p.yaml:1:1: the document has no kind",
		"kind: SigningPolicy\nname: a\nowner: o\nmatsch: {}":               `p.yaml:4:1: unknown key "matsch"; did you mean "match"?`,
		"# nothing but this\n--- # and this\n# or this\n---\n" + formatted: "cannot be formatted",
		// The alias would come before its anchor.
		"kind: SigningPolicy\nname: a\nsign: [{key: &x dev-2026, formats: [raw]}]\nmatch: {repositories: [*x]}\nowner: o\n": "cannot be formatted: its meaning would change",
	} {
		got, err := Format("p.yaml", []byte(text))
		require.ErrorContains(t, err, want, text)
		require.Nil(t, got)
	}
}

// FuzzFormat holds for any bytes that Format takes: they mean the same afterwards, and formatting them again changes
// nothing.
func FuzzFormat(f *testing.F) {
	f.Add([]byte(unformatted))
	f.Add([]byte("kind: GatePolicy\nname: &a b\nowner: *a\ntarget: {repositories: [>-\n  x\n  ]}\n"))
	for _, pattern := range []string{"../../policies/*.yaml", "testdata/mistakes/*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := Format("p.yaml", data)
		if err != nil {
			if out != nil {
				t.Fatal("text and an error")
			}
			return
		}
		sameMeaning(t, data, out)
	})
}
