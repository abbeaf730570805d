package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

// standInGo takes the place of the go command: what it is told to build becomes a program that does nothing.
const standInGo = `#!/bin/bash
set -euo pipefail
while [ $# -gt 0 ] && [ "$1" != -o ]; do shift; done
[ $# -gt 0 ] || exit 0
case $2 in */) made=("$2hallmark" "$2sandbox") ;; *) made=("$2") ;; esac
for program in "${made[@]}"; do
	printf '#!/bin/sh\n' >"$program"
	chmod +x "$program"
done
`

// standInNpm takes the place of npm: it installs nothing, where the packages are named.
const standInNpm = `#!/bin/bash
set -euo pipefail
[ "$1" = ci ] && [ -f package.json ] && [ -f package-lock.json ] && mkdir node_modules
`

// A clone may lie below a directory with a space in its name: every target finds what the others built.
func TestMakeInPathWithSpaces(t *testing.T) {
	t.Parallel()
	root, clone, programs := tooltest.RepoRoot(t), filepath.Join(t.TempDir(), "a b", "clone"), t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(clone, "e2e"), os.DirFS(filepath.Join(root, "e2e"))))
	const worker = "policies/gates/worker"
	require.NoError(t, os.MkdirAll(filepath.Join(clone, worker), 0o700))
	for _, name := range []string{"Makefile", worker + "/package.json", worker + "/package-lock.json"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(clone, name), content, 0o600))
	}
	for name, script := range map[string]string{"go": standInGo, "npm": standInNpm} {
		require.NoError(t, os.WriteFile(filepath.Join(programs, name), []byte(script), 0o700))
	}

	run := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		var out, errs bytes.Buffer
		cmd.Dir, cmd.Stdout, cmd.Stderr = clone, &out, &errs
		cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "MAKEFLAGS=", "GIT_CEILING_DIRECTORIES="+filepath.Dir(clone))
		require.NoError(t, cmd.Run(), "%s: %s%s", args, out.String(), errs.String())
		require.Empty(t, errs.String(), args)
		return out.String()
	}
	run("make", "build", "tools", "lint", "generate", "fuzz")
	for _, name := range []string{"hallmark", "sandbox", "cosign", "helm", "opa", "golangci-lint", "judge", "npm/installed", "sigstore-js/installed"} {
		require.FileExists(t, filepath.Join(clone, "bin", name))
	}
	again := run("make", "tools")
	require.NotContains(t, again, "go build", "the tools are there already")
	require.NotContains(t, again, "npm")
	require.Contains(t, run("make", "help"), "make demo")
	run("make", "test", "demo")
	run("e2e/bench.sh")
	run("make", "clean")
	require.NoDirExists(t, filepath.Join(clone, "bin"))
}
