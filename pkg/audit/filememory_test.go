package audit_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// A log that was put back together with its ledger is found out by what was remembered elsewhere.
func TestABackupOfLogAndLedgerIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config.Memory = filepath.Join(t.TempDir(), "memory")
	r.grow(t, 0, 1, 2)
	backup, fork := r.copied(t), r.copied(t)
	fork.config.Memory = ""
	fork.grow(t, 13, 14) // as it would have gone on
	r.grow(t, 3, 4)

	size, root, err := r.memory.LastCheckpoint(t.Context(), origin)
	require.NoError(t, err)
	text := fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root))
	require.Equal(t, text, read(t, filepath.Dir(r.config.Memory), "memory"))

	refused := func(r *rig, want error, says string) {
		t.Helper()
		before := contents(t, r.config.Dir)
		_, err := audit.Open(t.Context(), r.config, r.key, r.memory, audit.Options{})
		if want != nil {
			require.ErrorIs(t, err, want)
		}
		require.ErrorContains(t, err, says)
		require.Equal(t, before, contents(t, r.config.Dir))
	}
	refused(backup, audit.ErrRolledBack, "it has 3 leaves, and a checkpoint over 5 leaves")
	fork.config.Memory = r.config.Memory
	refused(fork, audit.ErrForked, "its 5 leaves have the root")

	moved := r.copied(t)
	moved.config.Memory = filepath.Join(t.TempDir(), "none")
	refused(moved, nil, "is missing")
	put(t, filepath.Dir(moved.config.Memory), "none", []byte("log.example\nfive\n"))
	refused(moved, nil, "is no checkpoint")
	put(t, filepath.Dir(moved.config.Memory), "none", []byte("other.example\n5\n"+base64.StdEncoding.EncodeToString(root)+"\n"))
	refused(moved, audit.ErrForeign, "other.example")
	put(t, filepath.Dir(moved.config.Memory), "none", nil)
	moved.grow(t, 5)
	r.grow(t, 5)
}

// No proof is given that was not remembered in both places.
func TestNoProofWithoutTheFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.config.Memory = filepath.Join(t.TempDir(), "volume", "memory")
	require.NoError(t, os.Mkdir(filepath.Dir(r.config.Memory), 0o700))
	r.grow(t, 0)
	l := r.open(t)
	require.NoError(t, os.RemoveAll(filepath.Dir(r.config.Memory)))
	_, err := l.Append(t.Context(), leafOf(1))
	require.ErrorContains(t, err, "there is no proof of it")
	require.NoError(t, os.Mkdir(filepath.Dir(r.config.Memory), 0o700))
	p, err := l.Append(t.Context(), leafOf(2))
	require.NoError(t, err)
	r.holds(t, leafOf(2), p)
}
