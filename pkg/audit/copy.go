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

// Copy writes the log as it is under the head into a directory that does not exist or is empty, with a tree made anew from
// the entries. The checkpoint is written last, and only when it is signed over these entries.
func (r *Reader) Copy(ctx context.Context, head Head, dir string, progress func(done uint64)) error {
	if err := emptyDir(dir); err != nil {
		return fmt.Errorf("copying the log: %w", err)
	}
	w := newDirWriter(dir, []uint64{head.Size})
	for p := range r.pieces(ctx, head.Size, false) {
		if err := errors.Join(p.err, p.missing); err != nil {
			return fmt.Errorf("copying the log: %w", err)
		}
		for _, e := range p.entries {
			if err := w.add(e.raw); err != nil {
				return fmt.Errorf("copying the log: %w", err)
			}
		}
		if progress != nil {
			progress(p.first + uint64(p.N))
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return fmt.Errorf("copying the log: %w", err)
	}
	if !w.tree.is(head.Size, head.Root) {
		return fmt.Errorf("copying the log: %w: they come to %s, expected %s", ErrNotAsSigned, w.tree.text(head.Size), head)
	}
	if err := w.write(layout.CheckpointPath, head.Text); err != nil {
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
	tree   *trunk
	bundle []byte
	n      uint64 // entries
}

func newDirWriter(dir string, sizes []uint64) *dirWriter {
	w := &dirWriter{dir: dir, tree: newTrunk(sizes)}
	w.tiles.done = func(level, index uint64, p uint8, tile []byte) error {
		return w.write(layout.TilePath(level, index, p), tile)
	}
	return w
}

func (w *dirWriter) add(entry []byte) error {
	hash := rfc6962.DefaultHasher.HashLeaf(entry)
	if err := errors.Join(w.tree.append(hash), w.tiles.append(0, hash)); err != nil {
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
	return os.WriteFile(file, content, 0o600)
}
