package audit_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func replaceSignature(t testing.TB, body, old, now []byte) []byte {
	t.Helper()
	from, to := []byte(base64.StdEncoding.EncodeToString(old)), []byte(base64.StdEncoding.EncodeToString(now))
	require.Equal(t, 1, bytes.Count(body, from))
	return bytes.Replace(body, from, to, 1)
}

// bundleOf reads the entries of a bundle on disk.
func bundleOf(t testing.TB, dir, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, path))
	require.NoError(t, err)
	entries, err := audit.SplitBundle(b, 256)
	require.NoError(t, err)
	return entries
}

func putBundle(t testing.TB, dir, path string, entries [][]byte) {
	t.Helper()
	var b []byte
	for _, e := range entries {
		b = audit.AppendEntry(b, e)
	}
	put(t, dir, path, b)
}

// Whoever can write to the log's directory, and has not its key, is caught, and what he changed is named.
func TestAttacksOnDisk(t *testing.T) {
	t.Parallel()
	const whole, part = "tile/entries/000", "tile/entries/001.p/45" // 301 entries
	index := func(i uint64) *uint64 { return &i }
	for name, c := range map[string]struct {
		attack func(t *testing.T, s *story, dir string)
		code   reason.Code
		index  *uint64
	}{
		"changed": {func(t *testing.T, _ *story, dir string) {
			e := bundleOf(t, dir, whole)
			e[17] = bytes.Replace(e[17], []byte("libs"), []byte("liBs"), 1)
			if bytes.Equal(e[17], bundleOf(t, dir, whole)[17]) {
				e[17] = e[20]
			}
			putBundle(t, dir, whole, e)
		}, reason.LogEntryChanged, index(17)},
		"removed": {func(t *testing.T, _ *story, dir string) {
			e := bundleOf(t, dir, whole)
			putBundle(t, dir, whole, append(e[:100:100], e[101:]...))
		}, reason.LogEntryRemoved, index(100)},
		"removed from the end": {func(t *testing.T, _ *story, dir string) {
			e := bundleOf(t, dir, part)
			putBundle(t, dir, part, e[:40])
		}, reason.LogEntryRemoved, index(296)},
		"reordered": {func(t *testing.T, _ *story, dir string) {
			e := bundleOf(t, dir, whole)
			e[5], e[200] = e[200], e[5]
			putBundle(t, dir, whole, e)
		}, reason.LogEntriesReordered, index(5)},
		"a bundle removed": {func(t *testing.T, _ *story, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, whole)))
		}, reason.LogEntryRemoved, index(0)},
		"cut off": {func(t *testing.T, _ *story, dir string) {
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "tile/entries/001.p")))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "tile/0/001.p")))
		}, reason.LogIncomplete, index(256)},
		"cut off within a bundle": {func(t *testing.T, _ *story, dir string) {
			require.NoError(t, os.Truncate(filepath.Join(dir, part), 1001))
			require.NoError(t, os.RemoveAll(filepath.Join(dir, "tile/0/001.p")))
		}, reason.LogIncomplete, index(256)},
		"changed, with the tree": {func(t *testing.T, s *story, dir string) {
			s.leaves[17] = s.leaves[20]
			_, err := audit.WriteDir(dir, s.leaves)
			require.NoError(t, err)
		}, reason.LogRewritten, nil},
		"removed, with the tree": {func(t *testing.T, s *story, dir string) {
			_, err := audit.WriteDir(dir, append(append(s.leaves[:17:17], s.leaves[18:]...), s.leaves[3]))
			require.NoError(t, err)
		}, reason.LogRewritten, nil},
		"a tile changed": {func(t *testing.T, _ *story, dir string) {
			put(t, dir, "tile/0/000", make([]byte, 256*32))
		}, reason.LogTileDamaged, nil},
		"a tile removed": {func(t *testing.T, _ *story, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "tile/0/000")))
		}, reason.LogTileDamaged, nil},
		"an upper tile changed": {func(t *testing.T, _ *story, dir string) {
			put(t, dir, "tile/1/000.p/1", make([]byte, 32))
		}, reason.LogTileDamaged, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t).uses(100)
			s.t = t
			dir := s.write()
			require.Empty(t, s.replay(dir, audit.Replay{}).All)
			c.attack(t, s, dir)
			report := s.replay(dir, audit.Replay{})
			var found []audit.Finding
			for _, f := range report.All {
				if f.Code == c.code {
					found = append(found, f)
				}
			}
			require.Len(t, found, 1, "%v", codesOf(report))
			require.True(t, found[0].Alarm)
			require.Equal(t, c.index, found[0].Index)
			require.NotEmpty(t, found[0].Fix)
		})
	}
}

// Whoever has the log's key, too, is caught by a checkpoint that was kept where he does not come to.
func TestAttacksWithTheKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attack func(s *story)
		code   reason.Code
	}{
		"another history of the same size": {func(s *story) { s.leaves[10] = s.leaves[13] }, reason.LogForked},
		"another history, longer":          {func(s *story) { s.leaves[10] = s.leaves[13]; s.uses(200) }, reason.LogForked},
		"an entry taken out, longer":       {func(s *story) { s.leaves = append(s.leaves[:10:10], s.leaves[11:]...); s.uses(2) }, reason.LogForked},
		"the directory of before":          {func(s *story) { s.leaves = s.leaves[:31] }, reason.LogRolledBack},
		"an empty log":                     {func(s *story) { s.leaves = nil }, reason.LogRolledBack},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t).uses(100)
			s.t = t
			last := kept(s.head(len(s.leaves)))
			first := kept(s.head(1))
			require.Empty(t, s.replay(s.write(), audit.Replay{Kept: []audit.Kept{last, first}}).All)
			c.attack(s)
			report := s.replay(s.write(), audit.Replay{Kept: []audit.Kept{first, last}})
			require.Positive(t, report.Counts[c.code], "%v", codesOf(report))
		})
	}
}

// A checkpoint counts when the log's key signed it for this log.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	s := newStory(t).uses(2)
	root := s.head(7).Root
	other := newKey(t)
	good := s.checkpoint(rigOrigin, 7, root)
	h, err := audit.ParseHead(good, s.keys())
	require.NoError(t, err)
	require.EqualValues(t, 7, h.Size)
	require.Equal(t, root, h.Root)

	for name, c := range map[string]struct {
		text []byte
		err  error
	}{
		"another origin":          {s.checkpoint("other.example", 7, root), audit.ErrOrigin},
		"another key":             {signCheckpoint(t, other, rigOrigin, 7, root), audit.ErrCheckpoint},
		"another size":            {bytes.Replace(good, []byte("\n7\n"), []byte("\n6\n"), 1), audit.ErrCheckpoint},
		"no signature":            {good[:bytes.Index(good, []byte("\n\n"))+2], audit.ErrCheckpoint},
		"a short root":            {s.checkpoint(rigOrigin, 7, root[:20]), audit.ErrCheckpoint},
		"no checkpoint":           {[]byte(rigOrigin + "\n"), audit.ErrCheckpoint},
		"nothing":                 {nil, audit.ErrOrigin},
		"more than any":           {append(good, make([]byte, 1<<20)...), audit.ErrCheckpoint},
		"signed for another name": {bytes.Replace(s.checkpoint("other.example", 7, root), []byte("other.example"), []byte(rigOrigin), 1), audit.ErrCheckpoint},
	} {
		_, err := audit.ParseHead(c.text, s.keys())
		require.ErrorIs(t, err, c.err, name)
		require.ErrorIs(t, err, audit.ErrCheckpoint, name)
	}
	_, err = audit.ParseHead(good, []audit.Key{{Origin: rigOrigin, Public: other.Public()}, s.keys()[0]})
	require.NoError(t, err, "any of the keys")
}
