package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
)

// What to do, for people.
const (
	putBack = "put back the newest copy of the directory; if there is none, keep this one for the auditors and begin a log with another directory, origin and key, " +
		"and list both in the trusted root"
)

// lastSigned is the newest checkpoint known to be ours: remembered, or standing in the directory. It refuses a directory that
// is another log's, and one that holds nothing of what was checkpoint, before anything is written there.
func (l *Log) lastSigned(ctx context.Context) (remembered []checkpoint, err error) {
	size, root, err := l.guard.memory.LastCheckpoint(ctx, l.config.Origin)
	if err != nil {
		return nil, fmt.Errorf("reading which checkpoint was signed last: %w", err)
	}
	if size > 0 {
		remembered = append(remembered, checkpoint{size: size, root: root})
	}
	published, err := l.published()
	if err != nil {
		return nil, err
	}
	if published.size > 0 {
		remembered = append(remembered, published)
	}
	_, err = os.Stat(filepath.Join(l.config.Dir, privateDir, treeState))
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if remembered, err = l.filed(ctx, remembered, there); err != nil {
		return nil, err
	}
	if !there && len(remembered) > 0 {
		return nil, fmt.Errorf("%w: the directory holds no log, and a checkpoint over %s was signed. If that was another replica, each needs its own origin; else %s", ErrRolledBack, remembered[0], putBack)
	}
	return remembered, nil
}

// filed adds what the file remembers. It may be missing only while there is no log.
func (l *Log) filed(ctx context.Context, remembered []checkpoint, there bool) ([]checkpoint, error) {
	if l.file == nil {
		return remembered, nil
	}
	size, root, err := l.file.LastCheckpoint(ctx, l.config.Origin)
	switch {
	case errors.Is(err, errNoMemory) && !there && len(remembered) == 0:
		return nil, nil
	case errors.Is(err, errNoMemory):
		return nil, fmt.Errorf("%w; see whether its volume is there. Only if this log never had such a file, make an empty one", err)
	case err != nil:
		return nil, fmt.Errorf("reading which checkpoint was signed last: %w", err)
	case size > 0:
		remembered = append(remembered, checkpoint{size: size, root: root})
	}
	return remembered, nil
}

// published reads the checkpoint that stands in the directory; its size is 0 when there is none.
func (l *Log) published() (checkpoint, error) {
	text, err := os.ReadFile(filepath.Join(l.config.Dir, layout.CheckpointPath))
	if errors.Is(err, fs.ErrNotExist) {
		return checkpoint{}, nil
	}
	if err != nil {
		return checkpoint{}, err
	}
	c, err := ParseHead(text, []Key{{Origin: l.config.Origin, Public: l.guard.key.Public()}})
	if err != nil {
		return checkpoint{}, fmt.Errorf("%w: %w; give every log its own directory, and begin a new log, with another origin, for a new key", ErrForeign, err)
	}
	return checkpoint{size: c.Size, root: c.Root, text: string(text)}, nil
}

// agree holds the tree in the directory against each checkpoint that was checkpoint, and the leaves that came after them against the
// tree.
func (l *Log) agree(ctx context.Context, before []checkpoint) error {
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return err
	}
	tree := l.tree(size)
	root, err := tree.root(ctx)
	if err != nil {
		return fmt.Errorf("%w: %s", err, putBack)
	}
	for _, s := range before {
		if size < s.size {
			return fmt.Errorf("%w: it has %d leaves, and a checkpoint over %s was signed: %s", ErrRolledBack, size, s, putBack)
		}
		if err := same(ctx, tree, root, s); err != nil {
			return fmt.Errorf("%w: %s", err, putBack)
		}
		if s.size >= l.guard.last.size {
			l.guard.know(s)
		}
	}
	if err := l.tailHolds(ctx, tree); err != nil {
		return fmt.Errorf("%w: %s", err, putBack)
	}
	l.sweep(size)
	l.metrics.size.Set(float64(size))
	l.metrics.signedSize.Set(float64(l.guard.last.size))
	return nil
}

func same(ctx context.Context, tree *nodes, root []byte, s checkpoint) error {
	if tree.size > s.size {
		return tree.extends(ctx, s.size, s.root, root)
	}
	if !bytes.Equal(root, s.root) {
		return fmt.Errorf("%w: its %d leaves have the root %x, and a checkpoint over %s was signed", ErrForked, tree.size, root, s)
	}
	return nil
}

// tailHolds hashes the leaves that no checkpoint covers yet, with the rest of their bundles, and those of the last bundle, which the next leaf is
// going to be written behind. The whole log is for `hallmark audit verify`.
func (l *Log) tailHolds(ctx context.Context, tree *nodes) error {
	if tree.size == 0 {
		return nil
	}
	first := min(l.guard.last.size, tree.size-1) / layout.EntryBundleWidth
	for ri := range layout.Range(first*layout.EntryBundleWidth, tree.size, tree.size) {
		raw, err := l.reader.ReadEntryBundle(ctx, ri.Index, ri.Partial)
		if err != nil {
			return fmt.Errorf("reading leaves: %w", err)
		}
		leaves, err := splitBundle(raw, layout.EntryBundleWidth)
		if err != nil {
			return fmt.Errorf("bundle %d: %w", ri.Index, err)
		}
		rows, err := tree.tile(ctx, tileID{0, ri.Index})
		if err != nil {
			return err
		}
		for i := range ri.N {
			if i >= uint(len(leaves)) || i >= uint(len(rows[0])) || !bytes.Equal(rfc6962.DefaultHasher.HashLeaf(leaves[i]), rows[0][i]) {
				return fmt.Errorf("%w: the leaf at index %d is missing or is not the one that was logged", ErrDamaged, ri.Index*layout.EntryBundleWidth+uint64(i))
			}
		}
	}
	return nil
}
