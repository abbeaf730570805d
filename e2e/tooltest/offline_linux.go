package tooltest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Offline runs a program like Run does, in a network namespace of its own, without any interface that is up. It takes user
// namespaces, or the rights of root; a test fails where the kernel gives neither.
func Offline(t testing.TB, dir, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	var refused error
	for _, attr := range []*syscall.SysProcAttr{
		{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		},
		{Cloneflags: syscall.CLONE_NEWNET}, // where there are no user namespaces
	} {
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, bare(t), attr
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if refused = cmd.Start(); refused == nil {
			err := cmd.Wait()
			return out.String(), err
		}
	}
	t.Fatalf("no network namespace is to be had, neither with a user namespace nor as root: %v", refused)
	return "", nil
}
