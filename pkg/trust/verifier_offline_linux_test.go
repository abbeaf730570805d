package trust_test

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Verification asks nobody: not even sigstore-go's own source of trust, which it brings along. It is run where there is no
// network interface and the home is empty; where the kernel does not let us have such a place, with a home that cannot be
// written and proxies that nobody listens on.
func TestVerifyOffline(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	home := t.TempDir()
	run := func(attr *syscall.SysProcAttr) ([]byte, error) {
		cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestGoldenBundles$", "-test.v", "-test.count=1")
		cmd.Env = []string{"HOME=" + home, "XDG_CACHE_HOME=" + home, "TMPDIR=" + home, "http_proxy=http://127.0.0.1:1", "https_proxy=http://127.0.0.1:1"}
		cmd.SysProcAttr = attr
		return cmd.CombinedOutput()
	}
	out, err := run(&syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	})
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Logf("no network namespace of its own: %v", err)
		out, err = run(nil)
	}
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: TestGoldenBundles")
	left, err := os.ReadDir(home)
	require.NoError(t, err)
	require.Empty(t, left, "something was kept")
}
