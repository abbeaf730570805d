package ledger

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrInUse means that another process has the SQLite ledger open.
var ErrInUse = errors.New("another process has this ledger open")

// lockFile names the file that whoever has the database open keeps locked.
func lockFile(database string) string { return database + ".lock" }

// lock takes the file for this process until unlock is called or the process dies, however it dies.
func lock(path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating the lock file: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: stop it first (fuser %s tells which), or use PostgreSQL to run several", ErrInUse, path)
		}
		return nil, fmt.Errorf("locking the ledger: %w", err)
	}
	return func() error {
		// Given back by hand: a child that is being started at this moment still has the file open.
		return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
	}, nil
}
