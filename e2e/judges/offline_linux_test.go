// Package judges_test has other people's programs judge what Hallmark signs: cosign, sigstore-go in another version, the
// JavaScript @sigstore/verify, and openssl. They have what a verifier gets, the trusted root and the public keys, and
// neither a network nor a home.
package judges_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// inside is set in the environment of the tests that run without a network.
const inside = "HALLMARK_JUDGES_INSIDE"

// TestMain runs the tests in a network namespace of their own, in which there is nothing but loopback, for the registry of
// images. Where the kernel does not let us have one, they run as they are; tooltest.Run points proxies nowhere there.
func TestMain(m *testing.M) { os.Exit(offline(m)) }

func offline(m *testing.M) int {
	ip, err := exec.LookPath("ip")
	if os.Getenv(inside) != "" || err != nil {
		return m.Run()
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "finding the test's own program:", err)
		return 1
	}
	cmd := exec.Command("/bin/sh", "-c", `"$1" link set lo up && shift && exec "$@"`, "sh", ip, self)
	cmd.Args = append(cmd.Args, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	switch exit := (*exec.ExitError)(nil); {
	case cmd.Start() != nil:
		return m.Run()
	default:
		if err := cmd.Wait(); errors.As(err, &exit) {
			return exit.ExitCode()
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "running without a network:", err)
			return 1
		}
		return 0
	}
}
