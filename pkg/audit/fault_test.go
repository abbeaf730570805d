package audit_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/audit/audittest"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

func (r *rig) grow(t testing.TB, leaves ...int) {
	t.Helper()
	l := r.open(t)
	for _, i := range leaves {
		_, err := l.Append(t.Context(), leafOf(i))
		require.NoError(t, err)
	}
	require.NoError(t, l.Close())
}

// copied is a log of the same name in another place, with a memory of its own.
func (r *rig) copied(t testing.TB) *rig {
	t.Helper()
	c := *r
	c.config.Dir = filepath.Join(t.TempDir(), "copy")
	require.NoError(t, os.CopyFS(c.config.Dir, os.DirFS(r.config.Dir)))
	c.memory = audittest.NewMemory()
	size, root, err := r.memory.LastCheckpoint(t.Context(), origin)
	require.NoError(t, err)
	c.memory.Set(origin, audittest.Checkpoint{Size: size, Root: root})
	return &c
}

// contents are all files of a log, but for the locks.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Ext(path) == ".lock" {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	}))
	return all
}

// A log that does not match what was signed is not opened, nothing is signed, and nothing in it changes.
func TestDoubtfulLogsAreRefused(t *testing.T) {
	t.Parallel()
	base := newRig(t)
	base.grow(t, 0, 1, 2)
	old := base.copied(t)
	other := base.copied(t)
	base.grow(t, 3, 4)
	other.grow(t, 13, 14)
	longer := other.copied(t)
	longer.grow(t, 15, 16)
	swap := func(dir, memory *rig) *rig {
		r := dir.copied(t)
		r.memory = memory.memory
		return r
	}
	emptied := func() *rig {
		r := base.copied(t)
		require.NoError(t, os.RemoveAll(r.config.Dir))
		require.NoError(t, os.Mkdir(r.config.Dir, 0o700))
		return r
	}
	changed := func(change func(r *rig)) *rig {
		r := base.copied(t)
		change(r)
		return r
	}
	file := func(name, content string) func(*rig) {
		return func(r *rig) {
			require.FileExists(t, filepath.Join(r.config.Dir, name))
			require.NoError(t, os.WriteFile(filepath.Join(r.config.Dir, name), []byte(content), 0o600))
		}
	}
	edit := func(name string, at int) func(*rig) {
		return func(r *rig) {
			b, err := os.ReadFile(filepath.Join(r.config.Dir, name))
			require.NoError(t, err)
			b[at] ^= 1
			require.NoError(t, os.WriteFile(filepath.Join(r.config.Dir, name), b, 0o600))
		}
	}
	gone := func(name string) func(*rig) {
		return func(r *rig) { require.NoError(t, os.Remove(filepath.Join(r.config.Dir, name))) }
	}
	t.Run("refused", func(t *testing.T) {
		for name, c := range map[string]struct {
			rig  *rig
			want error
			text string
		}{
			"an old copy":        {swap(old, base), audit.ErrRolledBack, "it has 3 leaves, and a checkpoint over 5 leaves"},
			"an empty directory": {emptied(), audit.ErrRolledBack, "the directory holds no log, and a checkpoint over 5 leaves"},
			"an old tree, new checkpoint": {changed(func(r *rig) {
				require.NoError(t, os.CopyFS(r.config.Dir+"/.new", os.DirFS(old.config.Dir+"/.state")))
				require.NoError(t, os.Rename(r.config.Dir+"/.new/treeState", r.config.Dir+"/.state/treeState"))
				r.memory = audittest.NewMemory()
			}), audit.ErrRolledBack, "it has 3 leaves"},
			"same size, other leaves": {swap(other, base), audit.ErrForked, "its 5 leaves have the root"},
			"longer, other leaves":    {swap(longer, base), audit.ErrForked, "do not begin with the 5 leaves"},
			"other leaves, no memory": {changed(func(r *rig) {
				r.memory = audittest.NewMemory()
				file("checkpoint", read(t, other.config.Dir, "checkpoint"))(r)
			}), audit.ErrForked, "its 5 leaves have the root"},
			"another origin":                {changed(func(r *rig) { r.config.Origin = "other.example"; r.memory = audittest.NewMemory() }), audit.ErrForeign, `its origin is "log.example"`},
			"another key":                   {changed(func(r *rig) { r.key = sealtest.NewKey(t, "P-256", "another") }), audit.ErrForeign, "give every log its own directory"},
			"a checkpoint of nobody":        {changed(file("checkpoint", "log.example\n5\nAAAA\n\n— log.example AAAA\n")), audit.ErrForeign, ""},
			"a checkpoint of noise":         {changed(file("checkpoint", "\x00\xff")), audit.ErrForeign, ""},
			"an empty checkpoint":           {changed(file("checkpoint", "")), audit.ErrForeign, ""},
			"a tile with another hash":      {changed(edit("tile/0/000.p/5", 0)), audit.ErrForked, ""},
			"a tile with another last":      {changed(edit("tile/0/000.p/5", 4*32)), audit.ErrForked, ""},
			"half a tile":                   {changed(file("tile/0/000.p/5", "half")), audit.ErrDamaged, "tile 0/0 has 4 bytes"},
			"a tile too short":              {changed(file("tile/0/000.p/5", read(t, base.config.Dir, "tile/0/000.p/3"))), audit.ErrDamaged, "tile 0/0 has 3 hashes"},
			"no tile":                       {changed(gone("tile/0/000.p/5")), fs.ErrNotExist, "reading tile 0/0"},
			"a leaf with another byte":      {changed(edit("tile/entries/000.p/5", 10)), audit.ErrDamaged, "the leaf at index 1"},
			"a leaf too few":                {changed(file("tile/entries/000.p/5", read(t, base.config.Dir, "tile/entries/000.p/4"))), audit.ErrDamaged, "the leaf at index 4"},
			"leaves of noise":               {changed(file("tile/entries/000.p/5", "\xff\xff\xff")), audit.ErrDamaged, "bundle 0"},
			"no leaves":                     {changed(gone("tile/entries/000.p/5")), fs.ErrNotExist, "reading leaves"},
			"a state of noise":              {changed(file(".state/treeState", "noise")), nil, "failed to load checkpoint"},
			"a state beyond the tiles":      {changed(file(".state/treeState", `{"size":9,"root":""}`)), fs.ErrNotExist, "reading tile"},
			"a state of a later version":    {changed(file(".state/version", "2")), nil, "version"},
			"a memory that does not answer": {changed(func(r *rig) { r.memory.Fail(errors.New("no database")) }), nil, "no database"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := c.rig
				r.key = sealtest.NewKey(t, "P-256", r.key.Name())
				before := contents(t, r.config.Dir)
				err := r.refused(t)
				if c.want != nil {
					require.ErrorIs(t, err, c.want)
				}
				require.ErrorContains(t, err, c.text)
				require.Zero(t, r.key.Uses(), "nothing was signed")
				require.Equal(t, before, contents(t, r.config.Dir), "nothing was changed")
			})
		}
	})
	for _, r := range []*rig{base, other, longer} {
		r.grow(t, 20) // they are all fine by themselves
	}
}

func read(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(b)
}

// Without a memory, or with one that is behind, the log's own checkpoint is what was signed.
func TestMemoryIsBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.grow(t, 0, 1, 2, 3)
	r.memory = audittest.NewMemory()
	r.grow(t, 4)
	size, _, err := r.memory.LastCheckpoint(t.Context(), origin)
	require.NoError(t, err)
	require.Equal(t, uint64(5), size)
	require.NoError(t, os.Remove(filepath.Join(r.config.Dir, "checkpoint")))
	r.grow(t, 5)
	c := r.checkpoint(t, read(t, r.config.Dir, "checkpoint"))
	require.Equal(t, uint64(6), c.Size)
}

// When the tree on disk is changed under an open log, nothing is signed any more.
func TestChangedUnderneath(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	reg := prometheus.NewRegistry()
	r.options.Registerer = reg
	l := r.open(t)
	for i := range 4 {
		_, err := l.Append(t.Context(), leafOf(i))
		require.NoError(t, err)
	}
	tile := filepath.Join(r.config.Dir, "tile/0/000.p/4")
	b, err := os.ReadFile(tile)
	require.NoError(t, err)
	b[0] ^= 1
	require.NoError(t, os.WriteFile(tile, b, 0o600))
	uses := r.key.Uses()
	_, err = l.Append(t.Context(), leafOf(4))
	require.ErrorIs(t, err, audit.ErrForked)
	var unproven *audit.Unproven
	require.ErrorAs(t, err, &unproven)
	require.Equal(t, uint64(4), unproven.Index)
	require.ErrorIs(t, l.PublishNow(), audit.ErrForked)
	require.Equal(t, uses, r.key.Uses(), "nothing was signed")
	n, err := testutil.GatherAndCount(reg, "hallmark_log_checkpoints_refused_total")
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// brokenKey fails as often as it is told to.
type brokenKey struct {
	*sealtest.Key
	fault atomic.Pointer[error]
}

func (k *brokenKey) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	if err := k.fault.Load(); err != nil && *err != nil {
		return nil, *err
	}
	return k.Key.Sign(ctx, digest)
}

// Without key or memory there is no proof, and the leaf is told to be in; afterwards it can be proven.
func TestNoProofWithoutKeyAndMemory(t *testing.T) {
	t.Parallel()
	fault := errors.New("not now")
	for _, what := range []string{"key", "memory"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			key := &brokenKey{Key: r.key}
			l, err := audit.Open(t.Context(), r.config, key, r.memory, r.options)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, l.Close()) })
			_, err = l.Append(t.Context(), leafOf(0))
			require.NoError(t, err)

			fail := func(err error) {
				if what == "memory" {
					r.memory.Fail(err)
				} else {
					key.fault.Store(&err)
				}
			}
			fail(fault)
			_, err = l.Append(t.Context(), leafOf(1))
			require.ErrorIs(t, err, fault)
			require.NotErrorIs(t, err, audit.ErrUnconfirmed)
			var unproven *audit.Unproven
			require.ErrorAs(t, err, &unproven)
			require.Equal(t, uint64(1), unproven.Index)
			index, err := l.Add(t.Context(), leafOf(2))
			require.NoError(t, err, "what needs no proof goes on")
			require.Equal(t, uint64(2), index)
			fail(nil)

			p, err := l.Prove(t.Context(), 1, leafOf(1))
			require.NoError(t, err)
			r.holds(t, leafOf(1), p)
			p, err = l.Append(t.Context(), leafOf(3))
			require.NoError(t, err)
			r.holds(t, leafOf(3), p)
		})
	}
}

// Another process that signs for the same log elsewhere is found out by the memory they share.
func TestTwoLogsOneMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.grow(t, 0, 1)
	twin := r.copied(t)
	twin.memory = r.memory
	one, two := r.open(t), twin.open(t)
	_, err := one.Append(t.Context(), leafOf(2))
	require.NoError(t, err)
	_, err = two.Append(t.Context(), leafOf(12))
	require.ErrorContains(t, err, "3 leaves, root")
	_, err = one.Append(t.Context(), leafOf(3))
	require.NoError(t, err)
}

// hungKey does not answer until it is released.
type hungKey struct {
	*sealtest.Key
	asked   chan struct{}
	release chan struct{}
}

func (k *hungKey) Sign(ctx context.Context, digest []byte) ([]byte, error) {
	select {
	case k.asked <- struct{}{}:
	default:
	}
	<-k.release
	return k.Key.Sign(ctx, digest)
}

// A key that hangs holds up proofs, and nothing else.
func TestKeyHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.grow(t, 0)
	key := &hungKey{Key: r.key, asked: make(chan struct{}, 1), release: make(chan struct{})}
	l, err := audit.Open(t.Context(), r.config, key, r.memory, r.options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	proven := make(chan error, 1)
	go func() {
		_, err := l.Append(t.Context(), leafOf(1))
		proven <- err
	}()
	<-key.asked
	for i := range 5 {
		_, err := l.Add(t.Context(), leafOf(2+i))
		require.NoError(t, err)
	}
	require.Empty(t, proven)
	close(key.release)
	require.NoError(t, <-proven)
}
