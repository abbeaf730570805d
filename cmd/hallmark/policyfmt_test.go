package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const tidyPolicy = `# What is signed.
kind: SigningPolicy
name: release
owner: release-managers
match: {repositories: [staging]}
sign:
  - {key: release-2026, formats: [sigstore]}
`

const untidyPolicy = `# What is signed.
name: release
kind: SigningPolicy
owner: release-managers
sign:
- {formats: [sigstore], key: release-2026}
match: {repositories: [staging]}
`

func TestPolicyFmt(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"hallmark.yaml": sound, "policies/a.yaml": tidyPolicy, "policies/notes.md": "x", "elsewhere/real.yaml": untidyPolicy,
		"broken.yaml": strings.Replace(untidyPolicy, "owner", "onwer", 1),
	})
	config, link := filepath.Join(dir, "hallmark.yaml"), filepath.Join(dir, "policies/b.yaml")
	require.NoError(t, os.Chmod(filepath.Join(dir, "elsewhere/real.yaml"), 0o640))
	require.NoError(t, os.Symlink("../elsewhere/real.yaml", link))
	content := func(name string) string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(text)
	}

	r := command(t, "policy", "fmt", "--check", "--config", config)
	require.Equal(t, exitRefused, r.code, r.err)
	require.Equal(t, "NOT IN ITS FORM  "+link+"\n", r.out)
	require.Equal(t, untidyPolicy, content(link), "--check changes nothing")

	r = command(t, "policy", "fmt", "--config", config, "-o", "json")
	require.Equal(t, exitOK, r.code, r.err)
	var answer policyFmt
	require.NoError(t, json.Unmarshal([]byte(r.out), &answer))
	require.Equal(t, policyFmt{OK: true, Files: []formatted{{filepath.Join(dir, "policies/a.yaml"), false}, {link, true}}, Problems: []problem{}}, answer)
	require.Equal(t, tidyPolicy, content(link))
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.Equal(t, os.ModeSymlink, info.Mode().Type(), "the link stays a link")
	info, err = os.Stat(link)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Join(dir, "elsewhere"))
	require.NoError(t, err)
	require.Len(t, left, 1, "nothing beside it")
	r = command(t, "policy", "fmt", "--check", "--config", config)
	require.Equal(t, exitOK, r.code, r.out)
	require.Empty(t, r.out)

	broken := filepath.Join(dir, "broken.yaml")
	before := content(broken)
	r = command(t, "policy", "fmt", broken) // named files need no configuration
	require.Equal(t, exitRefused, r.code, r.err)
	require.Contains(t, r.out, "REFUSED  "+broken+`:4:1: unknown key "onwer"; did you mean "owner"?`)
	require.Equal(t, before, content(broken))
	require.Equal(t, exitUndecided, command(t, "policy", "fmt", filepath.Join(dir, "nowhere.yaml")).code)
}
