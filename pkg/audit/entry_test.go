package audit_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

func TestEntry(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(100)
	s.raw([]byte("what nobody knows"))
	dir := s.write()
	r := openDir(t, dir)
	head, err := r.Head(t.Context(), s.keys())
	require.NoError(t, err)
	for _, i := range []uint64{0, 1, 255, 256, 300} {
		e, err := r.Entry(t.Context(), head, i)
		require.NoError(t, err)
		require.Equal(t, s.leaves[i], e.Raw)
		require.NoError(t, e.Err)
	}
	e, err := r.Entry(t.Context(), head, 301)
	require.NoError(t, err)
	require.Nil(t, e.Leaf)
	require.ErrorIs(t, e.Err, audit.ErrLeaf)
	_, err = r.Entry(t.Context(), head, 302)
	require.ErrorContains(t, err, "302 entries")
	require.ErrorIs(t, err, audit.ErrAbsent)

	entries := bundleOf(t, dir, "tile/entries/000")
	entries[7] = entries[4]
	putBundle(t, dir, "tile/entries/000", entries)
	_, err = r.Entry(t.Context(), head, 7)
	require.ErrorIs(t, err, audit.ErrNotIncluded)
	_, err = r.Entry(t.Context(), head, 8)
	require.NoError(t, err)
	putBundle(t, dir, "tile/entries/000", entries[:5])
	_, err = r.Entry(t.Context(), head, 7)
	require.ErrorIs(t, err, audit.ErrDamaged)
	put(t, dir, "tile/0/000", []byte("short"))
	_, err = r.Entry(t.Context(), head, 256)
	require.NoError(t, err)
	_, err = r.Entry(t.Context(), head, 3)
	require.Error(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "tile")))
	_, err = r.Entry(t.Context(), head, 3)
	require.ErrorIs(t, err, audit.ErrAbsent)
}

func TestBack(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(200)
	r := openDir(t, s.write())
	head, err := r.Head(t.Context(), s.keys())
	require.NoError(t, err)
	next, calls := len(s.leaves), 0
	require.NoError(t, r.Back(t.Context(), head, func(all []audit.Entry) (bool, error) {
		calls++
		next -= len(all)
		for i, e := range all {
			require.EqualValues(t, next+i, e.Index)
			require.Equal(t, s.leaves[next+i], e.Raw)
		}
		return true, nil
	}))
	require.Zero(t, next)
	require.Equal(t, 3, calls)
	require.NoError(t, r.Back(t.Context(), head, func([]audit.Entry) (bool, error) { calls++; return false, nil }))
	require.Equal(t, 4, calls)
}
