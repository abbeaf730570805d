package tooltest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

// There is loopback, which is down, and nothing else; nor is there anything in the home.
func TestOfflineHasNothing(t *testing.T) {
	t.Parallel()
	out, err := tooltest.Offline(t, t.TempDir(), "sh", "-c", `tail -n +3 /proc/net/dev; tail -n +2 /proc/net/route; ls -A "$HOME"`)
	require.NoError(t, err, out)
	require.Equal(t, 1, strings.Count(out, "\n"), out)
	require.True(t, strings.HasPrefix(strings.TrimSpace(out), "lo:"), out)
	_, err = tooltest.Offline(t, t.TempDir(), "sh", "-c", "exit 3")
	require.Error(t, err)
}
