// Package audittest gives tests what a log needs beside its directory.
package audittest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/hallmark-signing/hallmark/pkg/audit"
)

var _ audit.Memory = (*Memory)(nil)

// Memory keeps the last checkpoint of each log, in memory, or in a file that survives the process. It keeps the promises of
// audit.Memory. Safe for concurrent use.
type Memory struct {
	file string

	mu    sync.Mutex
	logs  map[string]Checkpoint
	fault error
	calls int
}

// Checkpoint is what is remembered of one log.
type Checkpoint struct {
	Size uint64
	Root []byte
}

// NewMemory remembers as long as it lives.
func NewMemory() *Memory { return &Memory{logs: map[string]Checkpoint{}} }

// OpenMemory remembers in a file, which is on disk when RememberCheckpoint returns.
func OpenMemory(file string) (*Memory, error) {
	m := &Memory{file: file, logs: map[string]Checkpoint{}}
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return nil, err
	}
	return m, json.Unmarshal(b, &m.logs)
}

// LastCheckpoint implements audit.Memory.
func (m *Memory) LastCheckpoint(_ context.Context, origin string) (uint64, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.logs[origin]
	return c.Size, c.Root, m.fault
}

// RememberCheckpoint implements audit.Memory.
func (m *Memory) RememberCheckpoint(_ context.Context, origin string, size uint64, root []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault != nil {
		return m.fault
	}
	old := m.logs[origin]
	if size < old.Size || size == old.Size && old.Size > 0 && !bytes.Equal(root, old.Root) {
		return fmt.Errorf("%d leaves, root %x are remembered, not %d leaves, root %x", old.Size, old.Root, size, root)
	}
	m.calls++
	m.logs[origin] = Checkpoint{Size: size, Root: bytes.Clone(root)}
	if m.file == "" {
		return nil
	}
	b, err := json.Marshal(m.logs)
	if err != nil {
		return err
	}
	return replace(m.file, b)
}

// Set makes it remember something else: a log that was, or was not.
func (m *Memory) Set(origin string, c Checkpoint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.logs[origin] = c
}

// Fail has every call from now on return the error; nil ends that.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = err
}

// Remembered counts the checkpoints that were remembered.
func (m *Memory) Remembered() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls
}

func replace(file string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), "memory")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), file)
}
