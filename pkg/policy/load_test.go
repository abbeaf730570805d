package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// TestMistakes loads each file of testdata/mistakes alone and compares everything that is said about it.
func TestMistakes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	v := vocabulary
	v.Instances = []string{"main"}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".yaml"), data, 0o600))
			set, err := policy.Load(dir, policy.Skip, v)
			require.Error(t, err)
			require.Nil(t, set)
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", strings.ReplaceAll(err.Error(), dir, "DIR")+"\n")
		})
	}
}

func TestEventsVocabulary(t *testing.T) {
	t.Parallel()
	v := vocabulary
	v.Events = []string{"artifact/deployed", "artifact/copied"}
	dir := t.TempDir()
	const p = "kind: SigningPolicy\nname: a\nowner: o\nmatch: {repositories: [r], events: [artifact/deploied]}\nsign: [{key: dev-2026, formats: [raw]}]\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(p), 0o600))
	_, err := policy.Load(dir, policy.Skip, v)
	require.ErrorContains(t, err, `a.yaml:4:37: unknown event "artifact/deploied"; did you mean "artifact/deployed"?`)
}

func TestDirectories(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(path, content string) {
		full := filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(full), 0o700))
		require.NoError(t, os.WriteFile(full, []byte(content), 0o600))
	}
	const p = "kind: SigningPolicy\nname: a\nowner: o\nmatch: {repositories: [r]}\nsign: [{key: dev-2026, formats: [raw]}]\n"
	write("empty/README.md", "x")
	write("comments/a.yaml", "# nothing\n---\n")
	write("yml/a.yml", p)
	write("upper/A.YAML", p)
	write("twice/a.yaml", p)
	write("twice/b.yaml", p)
	write("unreadable/x", "")
	require.NoError(t, os.Symlink("nowhere", filepath.Join(root, "unreadable", "a.yaml")))
	write("file", "x")
	for _, tc := range []struct{ dir, want string }{
		{"missing", "does not exist; create it with at least one policy file, or point policies.dir elsewhere"},
		{"empty", "holds no *.yaml file; write a SigningPolicy there"},
		{"comments", "a.yaml holds no policy; the files are empty or all commented out"},
		{"yml", "a.yml: policy files end in .yaml; rename it"},
		{"upper", "A.YAML: policy files end in .yaml; rename it"},
		{"twice", `b.yaml:2:7: name: "a" is taken by the policy at ` + filepath.Join(root, "twice/a.yaml:2:7")},
		{"unreadable", "a.yaml: no such file"},
		{"file", "reading the policy directory"},
	} {
		_, err := policy.Load(filepath.Join(root, tc.dir), policy.Skip, vocabulary)
		require.ErrorContains(t, err, tc.want, tc.dir)
	}
	_, err := policy.Load("", policy.Skip, vocabulary)
	require.ErrorContains(t, err, "set policies.dir")
}

// A Kubernetes ConfigMap is a directory of symbolic links through a hidden directory.
func TestMountedConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const p = "kind: SigningPolicy\nname: a\nowner: o\nmatch: {repositories: [r]}\nsign: [{key: dev-2026, formats: [raw]}]\n"
	require.NoError(t, os.Mkdir(filepath.Join(dir, "..data"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "..data", "a.yaml"), []byte(p), 0o600))
	require.NoError(t, os.Symlink("..data/a.yaml", filepath.Join(dir, "a.yaml")))
	set, err := policy.Load(dir, policy.Deny, vocabulary)
	require.NoError(t, err)
	signed, guarded := set.Repositories("main")
	require.Equal(t, []string{"r"}, signed)
	require.Empty(t, guarded)
}

func TestNoMatchIsRequired(t *testing.T) {
	t.Parallel()
	for _, n := range []policy.NoMatch{"", "allow"} {
		_, err := policy.Load(examples, n, vocabulary)
		require.ErrorContains(t, err, "write skip to leave artifacts alone", string(n))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
