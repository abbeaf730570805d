package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Files in the log's private directory, which is not served. Tessera has its own there.
const (
	privateDir = ".state"
	lockName   = "hallmark.lock"
	treeState  = "treeState"      // Tessera's: it exists once the log does
	treeLock   = "treeState.lock" // Tessera's: opened for each batch
)

// lock makes this process the only writer of the directory, until release or its end. Tessera itself locks for the length of one
// write, which keeps two writers from tearing files, but not from signing two histories.
func lock(dir string) (release func() error, err error) {
	if err := os.MkdirAll(filepath.Join(dir, privateDir), 0o755); err != nil { // #nosec G301 -- monitors may be other users
		return nil, err
	}
	name := filepath.Join(dir, privateDir, lockName)
	f, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 100))
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w by %s: one process writes to a log, every replica has its own", ErrLocked, strings.TrimSpace(string(holder)))
		}
		return nil, fmt.Errorf("locking: %w", err)
	}
	host, _ := os.Hostname()
	if err := os.WriteFile(name, fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("the log directory cannot be written: %w", err), f.Close())
	}
	return f.Close, nil
}

// writable opens what Tessera opens for each batch. Tessera ends the process when it cannot.
func writable(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, privateDir, treeLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("the log directory cannot be written: %w", err)
	}
	return f.Close()
}
