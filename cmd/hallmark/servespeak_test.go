package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What the service writes to stderr is its own log, line by line, also where a library has something to say.
func TestServeWritesNothingButItsLog(t *testing.T) {
	t.Parallel()
	r := newTrustRig(t)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "serve", "--config", r.file, "--log-level", "debug")
	cmd.Env = append(os.Environ(), asCommand+"=1")
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	from := map[string]int{}
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var line struct{ Level, Msg, From, Text string }
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line), "%s", lines.Text())
		from[line.From]++
		if line.From != "" {
			require.NotEmpty(t, line.Text)
			require.Equal(t, "DEBUG", line.Level, "%s", lines.Text())
		}
		if line.Msg == "ready" {
			require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		}
	}
	require.NoError(t, cmd.Wait())
	require.Positive(t, from["tessera"], "the library has nothing to say any more: is there anything to be done about it?")
}
