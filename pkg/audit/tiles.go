package audit

import (
	"github.com/transparency-dev/tessera/api/layout"
)

// tiles makes the tiles of a tree from its leaf hashes, in order, and hands each over once it is full; finish hands over
// those that are not. What it holds does not grow with the log but for one tile a level.
type tiles struct {
	levels [][]byte // hashes of the unfinished tile of each level
	counts []uint64 // tiles finished of each level
	done   func(level, index uint64, p uint8, tile []byte) error
}

func (t *tiles) append(level int, hash []byte) error {
	if level == len(t.levels) {
		t.levels, t.counts = append(t.levels, nil), append(t.counts, 0)
	}
	t.levels[level] = append(t.levels[level], hash...)
	if len(t.levels[level]) < maxTile {
		return nil
	}
	full := t.levels[level]
	if err := t.done(uint64(level), t.counts[level], 0, full); err != nil {
		return err
	}
	t.counts[level]++
	t.levels[level] = nil
	return t.append(level+1, tileRoot(full))
}

func (t *tiles) finish() error {
	for level, tile := range t.levels {
		if len(tile) > 0 {
			if err := t.done(uint64(level), t.counts[level], uint8(len(tile)/hashSize), tile); err != nil {
				return err
			}
		}
	}
	return nil
}

// tileRoot is the hash of a full tile's tree.
func tileRoot(tile []byte) []byte {
	hashes := make([][]byte, 0, layout.TileWidth)
	for ; len(tile) > 0; tile = tile[hashSize:] {
		hashes = append(hashes, tile[:hashSize])
	}
	for n := len(hashes); n > 1; n /= 2 {
		for i := range n / 2 {
			hashes[i] = ranges.Hash(hashes[2*i], hashes[2*i+1])
		}
	}
	return hashes[0]
}
