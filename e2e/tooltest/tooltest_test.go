package tooltest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

func TestRepoRootHoldsThisFile(t *testing.T) {
	t.Parallel()
	require.FileExists(t, filepath.Join(tooltest.RepoRoot(t), "e2e", "tooltest", "tooltest_test.go"))
}

func TestCosignHonoursEnvironment(t *testing.T) {
	own := filepath.Join(t.TempDir(), "my-cosign")
	require.NoError(t, os.WriteFile(own, []byte("#!/bin/sh\n"), 0o700))
	t.Setenv("HALLMARK_COSIGN", own)
	require.Equal(t, own, tooltest.Cosign(t))
}

func TestRunGivesAnEmptyHome(t *testing.T) {
	t.Parallel()
	out, err := tooltest.Run(t, t.TempDir(), "sh", "-c", `ls -A "$HOME"; pwd >&2; exit 3`)
	require.Error(t, err)
	require.Len(t, strings.Fields(out), 1, "the empty home lists nothing, the working directory is one line: %q", out)
}

func TestToolsAnswer(t *testing.T) {
	t.Parallel()
	for _, c := range [][]string{{tooltest.Cosign(t), "version"}, {tooltest.OpenSSL(t), "version"}} {
		out, err := tooltest.Run(t, t.TempDir(), c[0], c[1:]...)
		require.NoError(t, err, out)
	}
}
