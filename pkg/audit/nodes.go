package audit

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
)

// nodes are the hashes of the tree of one size, read from tiles. Each tile is read and hashed up once, so that many proofs in the
// same tree cost little more than one. It is not safe for concurrent use.
type nodes struct {
	size  uint64
	read  func(ctx context.Context, level, index uint64, p uint8) ([]byte, error)
	tiles map[tileID][][][]byte // rows of hashes: a tile's own, and those that they alone make, up to one
}

type tileID struct{ level, index uint64 }

func newNodes(size uint64, read func(ctx context.Context, level, index uint64, p uint8) ([]byte, error)) *nodes {
	return &nodes{size: size, read: read, tiles: map[tileID][][][]byte{}}
}

// root of the whole tree.
func (n *nodes) root(ctx context.Context) ([]byte, error) {
	if n.size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	hashes, err := n.all(ctx, compact.RangeNodes(0, n.size, nil))
	if err != nil {
		return nil, fmt.Errorf("computing the root of %d leaves: %w", n.size, err)
	}
	root := hashes[len(hashes)-1]
	for i := len(hashes) - 2; i >= 0; i-- {
		root = rfc6962.DefaultHasher.HashChildren(hashes[i], root)
	}
	return root, nil
}

// inclusion proves the leaf of an index.
func (n *nodes) inclusion(ctx context.Context, index uint64) ([][]byte, error) {
	want, err := proof.Inclusion(index, n.size)
	if err != nil {
		return nil, err
	}
	return n.proof(ctx, want)
}

// extends proves that the tree is the one of an earlier size and root, with leaves added and nothing else. It is
// ErrForked when that is not so.
func (n *nodes) extends(ctx context.Context, size uint64, root, whole []byte) error {
	want, err := proof.Consistency(size, n.size)
	if err != nil {
		return err
	}
	hashes, err := n.proof(ctx, want)
	if err != nil {
		return err
	}
	if proof.VerifyConsistency(rfc6962.DefaultHasher, size, n.size, hashes, root, whole) != nil {
		return fmt.Errorf("%w: its %d leaves, root %x, do not begin with the %d leaves of root %x", ErrForked, n.size, whole, size, root)
	}
	return nil
}

func (n *nodes) proof(ctx context.Context, want proof.Nodes) ([][]byte, error) {
	hashes, err := n.all(ctx, want.IDs)
	if err != nil {
		return nil, fmt.Errorf("building a proof: %w", err)
	}
	return want.Rehash(hashes, rfc6962.DefaultHasher.HashChildren)
}

func (n *nodes) all(ctx context.Context, ids []compact.NodeID) ([][]byte, error) {
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		h, err := n.get(ctx, id)
		if err != nil {
			return nil, err
		}
		hashes[i] = h
	}
	return hashes, nil
}

func (n *nodes) get(ctx context.Context, id compact.NodeID) ([]byte, error) {
	level, index, row, at := layout.NodeCoordsToTileAddress(uint64(id.Level), id.Index)
	rows, err := n.tile(ctx, tileID{level, index})
	if err != nil {
		return nil, err
	}
	if row >= uint(len(rows)) || at >= uint64(len(rows[row])) {
		return nil, fmt.Errorf("%w: tile %d/%d has %d hashes, too few for %d leaves", ErrDamaged, level, index, len(rows[0]), n.size)
	}
	return rows[row][at], nil
}

func (n *nodes) tile(ctx context.Context, id tileID) ([][][]byte, error) {
	if rows, ok := n.tiles[id]; ok {
		return rows, nil
	}
	raw, err := n.read(ctx, id.level, id.index, layout.PartialTileSize(id.level, id.index, n.size))
	if err != nil {
		return nil, fmt.Errorf("reading tile %d/%d: %w", id.level, id.index, err)
	}
	if len(raw) == 0 || len(raw)%sha256.Size != 0 || len(raw) > layout.TileWidth*sha256.Size {
		return nil, fmt.Errorf("%w: tile %d/%d has %d bytes", ErrDamaged, id.level, id.index, len(raw))
	}
	row := make([][]byte, 0, len(raw)/sha256.Size)
	for ; len(raw) > 0; raw = raw[sha256.Size:] {
		row = append(row, raw[:sha256.Size:sha256.Size])
	}
	rows := [][][]byte{row}
	for len(row) > 1 {
		above := make([][]byte, len(row)/2)
		for i := range above {
			above[i] = rfc6962.DefaultHasher.HashChildren(row[2*i], row[2*i+1])
		}
		rows, row = append(rows, above), above
	}
	n.tiles[id] = rows
	return rows, nil
}
