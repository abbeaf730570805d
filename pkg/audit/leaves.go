package audit

import (
	"context"
	"fmt"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
)

// Leaves hands over every leaf that is in the log by now, from an index on and in order, until each returns an error, which Leaves
// returns. The leaf is each's to keep. What is read is trusted as it stands on disk.
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
		var bundle api.EntryBundle
		if err := bundle.UnmarshalText(raw); err != nil {
			return fmt.Errorf("reading leaves: %w: bundle %d: %w", errTile, ri.Index, err)
		}
		if uint(len(bundle.Entries)) < ri.First+ri.N {
			return fmt.Errorf("reading leaves: %w: bundle %d has %d leaves, expected %d", errTile, ri.Index, len(bundle.Entries), ri.First+ri.N)
		}
		for i, leaf := range bundle.Entries[ri.First : ri.First+ri.N] {
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
