package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	formats "github.com/transparency-dev/formats/log"
)

// errNoMemory means that the file of a FileMemory is not there. An empty one is that of a log that has not begun.
var errNoMemory = errors.New("the file that remembers the log's last checkpoint is missing")

// FileMemory is a Memory of one log in a file. It stands on another volume than the log's directory and the ledger, and is not
// put back with them: so it tells a log that was restored together with its ledger from one that went on. It is safe for
// concurrent use by one process.
type FileMemory struct {
	path string
	mu   sync.Mutex
}

// NewFileMemory remembers in the file, whose directory must be there.
func NewFileMemory(path string) *FileMemory { return &FileMemory{path: path} }

// LastCheckpoint implements Memory. A file that is not there is an error.
func (m *FileMemory) LastCheckpoint(_ context.Context, origin string) (size uint64, root []byte, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, err := os.ReadFile(m.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil, fmt.Errorf("%w: %s", errNoMemory, m.path)
	case err != nil || len(text) == 0:
		return 0, nil, err
	}
	var c formats.Checkpoint
	if rest, err := c.Unmarshal(text); err != nil || len(rest) > 0 || len(c.Hash) != hashSize {
		return 0, nil, fmt.Errorf("%s is no checkpoint; expected origin, size and root of a log, a line each", m.path)
	}
	if c.Origin != origin {
		return 0, nil, fmt.Errorf("%w: %s remembers the log %.100q; give each log a file of its own", ErrForeign, m.path, c.Origin)
	}
	return c.Size, c.Hash, nil
}

// RememberCheckpoint implements Memory.
func (m *FileMemory) RememberCheckpoint(ctx context.Context, origin string, size uint64, root []byte) error {
	old, was, err := m.LastCheckpoint(ctx, origin)
	if err != nil && !errors.Is(err, errNoMemory) {
		return err
	}
	if size < old || size == old && old > 0 && !bytes.Equal(root, was) {
		return fmt.Errorf("%s remembers %d leaves, root %x, which %d leaves, root %x contradict", m.path, old, was, size, root)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return replaceFile(m.path, m.path+".new", formats.Checkpoint{Origin: origin, Size: size, Hash: root}.Marshal())
}

// replaceFile is atomic, and durable when it returns.
func replaceFile(path, draft string, content []byte) error {
	f, err := os.OpenFile(draft, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644) // #nosec G302 G304 -- it is for everybody, where the operator says
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft, path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// both remembers twice: the file first, then the other memory. What either remembers holds.
type both struct {
	Memory
	file *FileMemory
}

func (b both) RememberCheckpoint(ctx context.Context, origin string, size uint64, root []byte) error {
	if err := b.file.RememberCheckpoint(ctx, origin, size, root); err != nil {
		return err
	}
	return b.Memory.RememberCheckpoint(ctx, origin, size, root)
}
