package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

// The story is told and checked, and what is left running still signs, answers to the command that it tells, and ends
// when asked; below directories with a space and a quote in their names, too.
func TestDemoKeptRunning(t *testing.T) {
	t.Parallel()
	bin, temp := filepath.Join(t.TempDir(), "a b's bin"), filepath.Join(t.TempDir(), "a b's temp")
	require.NoError(t, os.Mkdir(bin, 0o700))
	require.NoError(t, os.Mkdir(temp, 0o700))
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "../hallmark", ".")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.NoError(t, os.Symlink(tooltest.Cosign(t), filepath.Join(bin, "cosign")))
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sandbox"), "demo", "--keep")
	cmd.Stderr, cmd.Env = os.Stderr, append(os.Environ(), "TMPDIR="+temp)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var told strings.Builder
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		told.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "gate check") && strings.Contains(told.String(), "Try, in another terminal") {
			_, try, _ := strings.Cut(told.String(), "Try, in another terminal:\n")
			out, err := exec.CommandContext(t.Context(), "sh", "-c", try).CombinedOutput()
			assert.NoError(t, err, "%s\n%s", try, out) // and go on: the demo ends when it is asked
			assert.Contains(t, string(out), "ALLOWED")
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		}
	}
	require.NoError(t, cmd.Wait(), told.String())
	require.Contains(t, told.String(), "ok  "+kept+": uploaded, event, decided, signed, properties")
	require.NotContains(t, told.String(), "with cosign installed")
	require.Contains(t, told.String(), "Every step was checked")
}
