package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What is written here is on the disk, under its name, when a call returns nil; whoever reads a file meanwhile, such as a
// running service, sees all of the old or all of the new. After an error what was there stands.

// putFile gives a file its content, whether there is one by that name or not. A new one has the mode.
func putFile(name string, content []byte, mode fs.FileMode) error {
	if _, err := os.Stat(name); err == nil {
		return replaceFile(name, content)
	}
	draft, err := writeDraft(name, content, mode)
	if err != nil {
		return err
	}
	return rename(draft, name)
}

// replaceFile gives a file new content. The file behind a symbolic link is replaced, not the link.
func replaceFile(name string, content []byte) (err error) {
	if name, err = filepath.EvalSymlinks(name); err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	draft, err := writeDraft(name, content, info.Mode().Perm())
	if err != nil {
		return err
	}
	return rename(draft, name)
}

// writeNew gives a new file its content, and refuses when there is one by that name: fs.ErrExist. With replace it takes
// the place of what is there. Certificates are public.
func writeNew(name string, content []byte, replace bool) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { // #nosec G301 -- certificates are public
		return err
	}
	if replace {
		return putFile(name, content, 0o644)
	}
	draft, err := writeDraft(name, content, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft) }()
	if err := os.Link(draft, name); err != nil { // unlike a renaming, it never replaces
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s is there already; move it away, or name another file: %w", name, fs.ErrExist)
		}
		return err
	}
	return syncDir(filepath.Dir(name))
}

// writeDraft puts the content on the disk, beside where it is to be. Hidden files are no policies.
func writeDraft(name string, content []byte, mode fs.FileMode) (draft string, err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func rename(draft, name string) error {
	if err := os.Rename(draft, name); err != nil {
		return errors.Join(err, os.Remove(draft))
	}
	return syncDir(filepath.Dir(name))
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir) // #nosec G304 -- where the user has a file written
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
