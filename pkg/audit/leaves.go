package audit

import (
	"context"
	"fmt"

	"github.com/transparency-dev/tessera/api/layout"
)

// Leaves hands over every leaf that is in the log by now, from an index on and in order, until each returns an error, which Leaves
// returns. What is read is trusted as it stands on disk.
func (l *Log) Leaves(ctx context.Context, from uint64, each func(index uint64, leaf []byte) error) error {
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil || from >= size {
		return err
	}
	for ri := range layout.Range(from, size-from, size) {
		raw, err := l.reader.ReadEntryBundle(ctx, ri.Index, ri.Partial)
		if err != nil {
			return fmt.Errorf("reading leaves: %w", err)
		}
		leaves, err := splitBundle(raw, int(ri.First+ri.N))
		if err != nil {
			return fmt.Errorf("reading leaves: bundle %d: %w", ri.Index, err)
		}
		if uint(len(leaves)) < ri.First+ri.N {
			return fmt.Errorf("reading leaves: %w: bundle %d has %d leaves, expected %d", ErrDamaged, ri.Index, len(leaves), ri.First+ri.N)
		}
		for i, leaf := range leaves[ri.First:] {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if err := each(ri.Index*layout.EntryBundleWidth+uint64(ri.First)+uint64(i), leaf); err != nil {
				return err
			}
		}
	}
	return nil
}
