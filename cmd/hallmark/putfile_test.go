package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file is made, and replaced behind its link with the mode that it has; nothing is left beside it.
func TestPutFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "kept"), filepath.Join(dir, "link")
	require.NoError(t, putFile(target, []byte("one"), 0o600))
	info, err := os.Stat(target)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, os.Chmod(target, 0o640))
	require.NoError(t, os.Symlink("kept", link))
	require.NoError(t, putFile(link, []byte("two"), 0o600))
	content, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "two", string(content))
	info, err = os.Lstat(target)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
	require.ErrorIs(t, putFile(filepath.Join(dir, "nowhere", "kept"), nil, 0o600), fs.ErrNotExist)
	require.ErrorIs(t, writeNew(target, []byte("three"), false), fs.ErrExist)
}

// When the new content cannot be written, the old one stands and nothing is left beside it.
func TestPutFileFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "a.yaml")
	require.NoError(t, os.Mkdir(target, 0o700)) // a rename onto a directory fails
	require.Error(t, replaceFile(target, []byte("x")))
	require.Error(t, putFile(target, []byte("x"), 0o600))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Error(t, replaceFile(filepath.Join(dir, "nowhere"), []byte("x")))
}
