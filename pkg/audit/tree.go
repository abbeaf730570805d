package audit

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"github.com/hallmark-signing/hallmark/pkg/reason"
)

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// trunk computes roots of a growing tree from its leaf hashes, in memory that grows with the logarithm of their number. It is
// nil once a leaf is missing.
type trunk struct {
	r     *compact.Range
	sizes []uint64          // at which roots are wanted, ascending
	roots map[uint64][]byte // those that were passed
}

func newTrunk(sizes []uint64) *trunk {
	return &trunk{r: ranges.NewEmptyRange(0), sizes: sizes, roots: map[uint64][]byte{0: rfc6962.DefaultHasher.EmptyRoot()}}
}

func (t *trunk) append(hash []byte) error {
	if err := t.r.Append(hash, nil); err != nil {
		return fmt.Errorf("growing the tree: %w", err)
	}
	for len(t.sizes) > 0 && t.sizes[0] <= t.r.End() {
		size := t.sizes[0]
		t.sizes = t.sizes[1:]
		if size != t.r.End() {
			continue
		}
		root, err := t.r.GetRootHash(nil)
		if err != nil {
			return fmt.Errorf("computing the root of %d entries: %w", size, err)
		}
		t.roots[size] = root
	}
	return nil
}

// is reports whether the tree of a size has a root.
func (t *trunk) is(size uint64, root []byte) bool {
	return t != nil && bytes.Equal(t.roots[size], root)
}

func (t *trunk) text(size uint64) string {
	if t == nil || t.roots[size] == nil {
		return "no tree of that size"
	}
	return "the root " + hex.EncodeToString(t.roots[size])
}

// difference says in which way the entries of a bundle are not those whose hashes stand in the tile of the tree; nothing
// when they are. It knows no more than the two lists: which of them is right, the root tells.
func difference(first uint64, entries, tile [][]byte) (Finding, bool) {
	at := 0
	for at < len(entries) && at < len(tile) && bytes.Equal(entries[at], tile[at]) {
		at++
	}
	if at == len(entries) && at == len(tile) {
		return Finding{}, false
	}
	r := reason.Reason{
		Code: reason.LogEntryChanged, Message: "an entry is not the one that was logged", Found: "an entry that hashes to " + hashAt(entries, at),
		Expected: "the entry that hashes to " + hashAt(tile, at), Fix: restore, Who: security,
	}
	switch {
	case len(entries) < len(tile):
		r.Code, r.Message = reason.LogEntryRemoved, fmt.Sprintf("%d entries were taken out of the log from here on", len(tile)-len(entries))
	case len(entries) > len(tile):
		r.Message = fmt.Sprintf("%d entries were put into the log that it never had", len(entries)-len(tile))
	case sameHashes(entries, tile):
		r.Code, r.Message = reason.LogEntriesReordered, "entries are in another order than the one they were logged in"
	}
	return about(first+uint64(at), r), true
}

func hashAt(hashes [][]byte, at int) string {
	if at >= len(hashes) {
		return "nothing: there is none"
	}
	return hex.EncodeToString(hashes[at])
}

func sameHashes(a, b [][]byte) bool {
	sorted := func(in [][]byte) [][]byte {
		out := slices.Clone(in)
		slices.SortFunc(out, bytes.Compare)
		return out
	}
	return slices.EqualFunc(sorted(a), sorted(b), bytes.Equal)
}

const (
	security = "security officers"
	restore  = "keep a copy of the log as it is now, find out who could write to its directory, and hold it against exports and kept checkpoints"
)
