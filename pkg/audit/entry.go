package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/client"
)

// ErrNotIncluded means that an entry is not the one that the signed tree has at its place.
var ErrNotIncluded = errors.New("the log does not hold this entry there")

// Entry is one entry as the log serves it.
type Entry struct {
	Index uint64
	Raw   []byte
	Leaf  Leaf  // nil when it is of no known kind
	Err   error // why it is none
}

// Entry reads one entry. It is ErrNotIncluded unless the tree's own proof shows that the head was signed over it.
func (r *Reader) Entry(ctx context.Context, head Head, index uint64) (Entry, error) {
	e, err := r.entry(ctx, head, index)
	if err != nil {
		return Entry{}, fmt.Errorf("reading entry %d: %w", index, err)
	}
	return e, nil
}

func (r *Reader) entry(ctx context.Context, head Head, index uint64) (Entry, error) {
	if index >= head.Size {
		return Entry{}, fmt.Errorf("%w: the log has %d entries, the first is number 0", ErrAbsent, head.Size)
	}
	width := layout.PartialTileSize(0, index/layout.EntryBundleWidth, head.Size)
	bundle, err := r.bundle(ctx, index/layout.EntryBundleWidth, width)
	if err != nil {
		return Entry{}, err
	}
	at := int(index % layout.EntryBundleWidth)
	entries, err := splitBundle(bundle, at+1)
	if err != nil {
		return Entry{}, err
	}
	if len(entries) <= at {
		return Entry{}, fmt.Errorf("%w: its bundle has %d entries", ErrDamaged, len(entries))
	}
	builder, err := client.NewProofBuilder(ctx, head.Size, r.tile)
	if err != nil {
		return Entry{}, err
	}
	path, err := builder.InclusionProof(ctx, index)
	if err != nil {
		return Entry{}, fmt.Errorf("making its proof: %w", err)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, index, head.Size, rfc6962.DefaultHasher.HashLeaf(entries[at]), path, head.Root); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrNotIncluded, err)
	}
	e := Entry{Index: index, Raw: entries[at]}
	e.Leaf, e.Err = ParseLeaf(e.Raw)
	return e, nil
}

// Back hands over the log's entries from its newest to its oldest, a bundle at a time, until a call wishes no more. A bundle's
// entries are in their order. What is handed over is not held against the tree: see Replay.
func (r *Reader) Back(ctx context.Context, head Head, each func([]Entry) (more bool, err error)) error {
	for left := head.Size; left > 0; {
		index := (left - 1) / layout.EntryBundleWidth
		first := index * layout.EntryBundleWidth
		bundle, err := r.bundle(ctx, index, layout.PartialTileSize(0, index, head.Size))
		var raw [][]byte
		if err == nil {
			raw, err = splitBundle(bundle, int(left-first))
		}
		if err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		entries := make([]Entry, len(raw))
		for i, b := range raw {
			entries[i] = Entry{Index: first + uint64(i), Raw: b}
			entries[i].Leaf, entries[i].Err = ParseLeaf(b)
		}
		if more, err := each(entries); err != nil || !more {
			return err
		}
		left = first
	}
	return nil
}
