package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// What the service's user may not read or write, seen by such a user: root may do everything.
func TestMissingRightsOnFiles(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	command := unprivileged(t, s)

	for name, b := range map[string]broken{
		"database directory": {
			func(t *testing.T, s *sandbox.Sandbox, file string) {
				dir := s.Path("readonly")
				require.NoError(t, os.Mkdir(dir, 0o500))
				give(t, dir)
				edit(t, file, "sqlite://"+filepath.Dir(file), "sqlite://"+dir)
			},
			[]string{"creating the database file", "readonly", "permission denied", "must exist and be writable"}, "database is writable",
		},
		"database file": {
			func(t *testing.T, _ *sandbox.Sandbox, file string) {
				database := filepath.Join(filepath.Dir(file), "hallmark.db")
				require.NoError(t, os.WriteFile(database, nil, 0o400))
			},
			[]string{"opening the database file for writing", "hallmark.db", "permission denied", "must be writable by this user"}, "database is writable",
		},
		"PIN": {unreadable("pin"), []string{"closed-pin", "permission denied", "readable by this user"}, "token hsm: PIN accepted"},
		"webhook secret": {
			unreadable("webhook"), []string{"webhook secret", "closed-webhook", "permission denied"}, "artifactory main: webhook secrets",
		},
		"Artifactory token": {unreadable("artifactory"), []string{"closed-artifactory", "permission denied"}, "artifactory main: "},
	} {
		t.Run(name, func(t *testing.T) {
			file := copyConfig(t, s)
			b.change(t, s, file)
			give(t, filepath.Dir(filepath.Dir(file)))
			refusesToStart(t, s, command, file, b)
		})
	}
}

func unreadable(secret string) func(*testing.T, *sandbox.Sandbox, string) {
	return func(t *testing.T, s *sandbox.Sandbox, file string) {
		t.Helper()
		closed := s.Path("secrets", "closed-"+secret)
		require.NoError(t, os.WriteFile(closed, []byte(s.Secret(secret)), 0o000))
		give(t, closed)
		edit(t, file, s.Path("secrets", secret), closed)
	}
}

const nobody = 65534

// unprivileged gives the sandbox's files to a user without rights and returns what runs commands as that user. Tests that
// do not run as root are such a user themselves.
func unprivileged(t *testing.T, s *sandbox.Sandbox) func(context.Context, ...string) *exec.Cmd {
	t.Helper()
	give(t, filepath.Dir(s.Dir))
	return func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := s.Command(ctx, args...)
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
		return cmd
	}
}

// give makes everything below a path that user's own.
func give(t *testing.T, path string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	require.NoError(t, filepath.WalkDir(path, func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, nobody, nobody)
	}))
}
