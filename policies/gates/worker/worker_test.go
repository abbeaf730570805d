// Package worker_test compiles the JFrog Workers beside it and runs their tests with Node.js.
package worker_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

// The workers compile, and what the tests in tests/ say of them is true. None is left out: npm test names the same files.
func TestWorkers(t *testing.T) {
	t.Parallel()
	dir := tooltest.Workers(t)
	files, err := filepath.Glob(filepath.Join(dir, "tests", "*.test.js"))
	require.NoError(t, err)
	require.Len(t, files, 4)
	script, err := os.ReadFile("package.json")
	require.NoError(t, err)
	for _, f := range files {
		require.Contains(t, string(script), " tests/"+filepath.Base(f))
	}
	out, err := tooltest.Run(t, dir, tooltest.Node(t), slices.Concat([]string{"--test", "--test-reporter=tap"}, files)...)
	require.NoError(t, err, out)
	require.Contains(t, out, "\n# fail 0\n", out)
	require.Contains(t, out, "\n# skipped 0\n")
	require.Contains(t, out, "\n# todo 0\n")
}

// The lock file pins every package by its content and says nothing of where somebody once got it.
func TestLockNamesNoRegistry(t *testing.T) {
	t.Parallel()
	lock, err := os.ReadFile("package-lock.json")
	require.NoError(t, err)
	require.NotContains(t, string(lock), `"resolved"`)
	require.Contains(t, string(lock), `"integrity": "sha512-`)
}
