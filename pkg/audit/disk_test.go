package audit_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// inOwnMounts says to the process that it may mount what it likes.
const inOwnMounts = "HALLMARK_TEST_OWN_MOUNTS"

// withOwnMounts has the test run again in a process whose mounts are its own.
func withOwnMounts(t *testing.T) (inside bool) {
	t.Helper()
	if os.Getenv(inOwnMounts) != "" {
		require.NoError(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inOwnMounts+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+t.Name())
	return false
}

func mounted(t testing.TB, flags uintptr, options string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", flags, options))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// A full disk refuses leaves, and loses none: with room again, the log goes on, and everything that was said to be in it is.
func TestDiskFull(t *testing.T) {
	if !withOwnMounts(t) {
		return
	}
	r := newRig(t)
	r.options = r.options.Publishing(time.Hour) // what is written when does not depend on the time
	disk := mounted(t, 0, "size=400k")
	r.config.Dir = filepath.Join(disk, "log")
	l := r.open(t)
	leaf := func(i int) []byte { return fmt.Appendf(nil, "%04d %300d", i, i) }
	proofs := map[int]audit.Proof{}
	var full error
	next := 0
	for ; full == nil; next++ {
		p, err := l.Append(t.Context(), leaf(next))
		if full = err; err == nil {
			proofs[next] = p
		}
		require.Less(t, next, 400)
	}
	require.ErrorIs(t, full, audit.ErrUnconfirmed)
	require.ErrorContains(t, full, "no space left on device")
	for range 3 { // it stays so
		_, err := l.Append(t.Context(), leaf(next))
		require.ErrorContains(t, err, "no space left on device")
	}
	size, err := l.Size(t.Context())
	require.NoError(t, err)
	require.Len(t, proofs, int(size), "what failed is not in")
	for path := range contents(t, r.config.Dir) {
		require.Regexp(t, `/(checkpoint|checkpoint\.new|treeState|version|gcState|[0-9]{1,3})$`, path, "no draft is left behind")
	}

	require.NoError(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT, "size=64m"))
	for ; next < 600; next++ {
		p, err := l.Append(t.Context(), leaf(next))
		require.NoError(t, err)
		proofs[next] = p
	}
	require.NoError(t, l.PublishNow())
	require.NoError(t, l.Close())
	l = r.open(t)
	for i, old := range proofs {
		r.holds(t, leaf(i), old)
		p, err := l.Prove(t.Context(), old.Index, leaf(i))
		require.NoError(t, err)
		r.holds(t, leaf(i), p)
	}
	require.NoError(t, l.Close())
}

// remountReadOnly tries until Tessera, which opens its lock files now and then, holds none open.
func remountReadOnly(t *testing.T, disk string) {
	t.Helper()
	err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	for errors.Is(err, syscall.EBUSY) && t.Context().Err() == nil {
		runtime.Gosched()
		err = syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	require.NoError(t, err)
}

// A directory that can no longer be written says so, instead of ending the process as Tessera would.
func TestReadOnly(t *testing.T) {
	if !withOwnMounts(t) {
		return
	}
	r := newRig(t)
	r.options = r.options.Publishing(time.Hour)
	disk := mounted(t, 0, "size=4m")
	r.config.Dir = filepath.Join(disk, "log")
	l := r.open(t)
	_, err := l.Append(t.Context(), leafOf(0))
	require.NoError(t, err)
	remountReadOnly(t, disk)
	_, err = l.Append(t.Context(), leafOf(1))
	require.ErrorIs(t, err, syscall.EROFS)
	require.NotErrorIs(t, err, audit.ErrUnconfirmed, "it is not in")
	p, err := l.Prove(t.Context(), 0, leafOf(0))
	require.NoError(t, err, "what is in can be proven")
	r.holds(t, leafOf(0), p)
	require.NoError(t, l.Close())
	require.ErrorIs(t, r.refused(t), syscall.EROFS)

	require.NoError(t, syscall.Mount("", disk, "", syscall.MS_REMOUNT, ""))
	l = r.open(t)
	p, err = l.Append(t.Context(), leafOf(1))
	require.NoError(t, err)
	require.Equal(t, uint64(1), p.Index)
	require.NoError(t, l.Close())
}

// So does a directory that went away.
func TestDirectoryGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.open(t)
	_, err := l.Append(t.Context(), leafOf(0))
	require.NoError(t, err)
	away := r.config.Dir + ".away"
	require.NoError(t, os.Rename(r.config.Dir, away))
	_, err = l.Append(t.Context(), leafOf(1))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "the log directory cannot be written")
	require.NoError(t, os.Rename(away, r.config.Dir))
	p, err := l.Append(t.Context(), leafOf(1))
	require.NoError(t, err)
	require.Equal(t, uint64(1), p.Index)
}
