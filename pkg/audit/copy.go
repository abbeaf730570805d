package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api/layout"
)

// ErrNotAsSigned means that the entries of a log are not those that its checkpoint was signed over; Replay says more.
var ErrNotAsSigned = errors.New("the entries are not those that the checkpoint was signed over")

// Entries hands over every entry's index and bytes, in order, without reading what they say. It returns nil only when the
// head is signed over what was handed over.
func (r *Reader) Entries(ctx context.Context, head Head, progress func(done uint64), each func(index uint64, raw []byte) error) error {
	tree := newTrunk([]uint64{head.Size})
	for p := range r.pieces(ctx, head.Size, false) {
		if err := errors.Join(p.err, p.missing); err != nil {
			return fmt.Errorf("reading the log: %w", err)
		}
		for i, e := range p.entries {
			if err := tree.append(p.hashes[i]); err != nil {
				return err
			}
			if err := each(p.first+uint64(i), e.raw); err != nil {
				return err
			}
		}
		if progress != nil {
			progress(p.first + uint64(p.N))
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if !tree.is(head.Size, head.Root) {
		return fmt.Errorf("%w: they come to %s, expected %s", ErrNotAsSigned, tree.text(head.Size), head)
	}
	return nil
}

// Copy writes the log as it is under the head into a directory that does not exist or is empty, with a tree made anew from
// the entries. The checkpoint is written last, and only when it is signed over these entries; all is on the disk then.
func (r *Reader) Copy(ctx context.Context, head Head, dir string, progress func(done uint64)) error {
	if err := emptyDir(dir); err != nil {
		return fmt.Errorf("copying the log: %w", err)
	}
	w := newDirWriter(dir)
	err := r.Entries(ctx, head, progress, func(_ uint64, raw []byte) error { return w.add(raw) })
	if err == nil {
		err = w.finish()
	}
	if err == nil {
		err = syncDirs(dir) // nothing that the checkpoint counts may be missing after a power cut
	}
	if err == nil {
		checkpoint := filepath.Join(dir, layout.CheckpointPath)
		err = replaceSynced(checkpoint+".new", checkpoint, head.Text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("copying the log: %w", err)
	}
	return nil
}

func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("%s is not empty", dir)
	}
	return err
}

// dirWriter writes the files of a log.
type dirWriter struct {
	dir    string
	tiles  tiles
	bundle []byte
	n      uint64 // entries
}

func newDirWriter(dir string) *dirWriter {
	w := &dirWriter{dir: dir}
	w.tiles.done = func(level, index uint64, p uint8, tile []byte) error {
		return w.write(layout.TilePath(level, index, p), tile)
	}
	return w
}

func (w *dirWriter) add(entry []byte) error {
	if err := w.tiles.append(0, rfc6962.DefaultHasher.HashLeaf(entry)); err != nil {
		return err
	}
	w.bundle = appendEntry(w.bundle, entry)
	if w.n++; w.n%layout.EntryBundleWidth > 0 {
		return nil
	}
	return w.flush(w.n/layout.EntryBundleWidth-1, 0)
}

func (w *dirWriter) flush(index uint64, p uint8) error {
	err := w.write(layout.EntriesPath(index, p), w.bundle)
	w.bundle = w.bundle[:0]
	return err
}

func (w *dirWriter) finish() error {
	if p := w.n % layout.EntryBundleWidth; p > 0 {
		if err := w.flush(w.n/layout.EntryBundleWidth, uint8(p)); err != nil {
			return err
		}
	}
	return w.tiles.finish()
}

func (w *dirWriter) write(path string, content []byte) error {
	file := filepath.Join(w.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
		return err
	}
	return writeSynced(file, content, 0o600)
}
