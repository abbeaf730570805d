package audit

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// writeSynced writes a file whose content is on the disk when it returns; its name is once the directory was synced.
func writeSynced(name string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode) // #nosec G304 -- in the log's directory
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// replaceSynced puts a file in place at once, and durably. Until then it is a draft in the same file system.
func replaceSynced(draft, name string, content []byte, mode fs.FileMode) error {
	if err := writeSynced(draft, content, mode); err != nil {
		return err
	}
	if err := os.Rename(draft, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- the log's directory
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// syncDirs makes the names below a directory durable, and its own.
func syncDirs(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(path)
	})
	return errors.Join(err, syncDir(filepath.Dir(filepath.Clean(dir))))
}
