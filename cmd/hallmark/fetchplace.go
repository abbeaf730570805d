package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// place puts the signature files, if they are wanted, and then the file where it should be. Whoever sees the file sees all of
// it, and its signatures. When the file cannot be put there, everything is as it was; what was replaced waits in dir until then.
func (d *download) place(t candidate, dir string) error {
	files := []string{t.file}
	if d.signatures {
		files = append(slices.Clone(t.beside), t.file)
	}
	kept := filepath.Join(dir, "replaced")
	if err := os.Mkdir(kept, 0o700); err != nil {
		return fmt.Errorf("putting the file in place: %w", err)
	}
	var placed []placing
	for _, name := range files {
		p := placing{from: name, to: filepath.Join(filepath.Dir(d.to), filepath.Base(name)), old: filepath.Join(kept, filepath.Base(name))}
		if err := p.move(d.overwrite); err != nil {
			for _, done := range slices.Backward(placed) {
				err = errors.Join(err, done.undo())
			}
			return fmt.Errorf("putting %s in place: %w", p.to, err)
		}
		placed = append(placed, p)
	}
	return nil
}

// placing is one file that goes to its place, and where the one goes that it replaces.
type placing struct{ from, to, old string }

// move renames the file. Unless it may overwrite, it replaces nothing, not even what came there a moment ago, where the file
// system can hold to that.
func (p placing) move(overwrite bool) error {
	if overwrite {
		return p.replace()
	}
	err := os.Link(p.from, p.to)
	if err == nil {
		return nil
	}
	if _, missing := os.Lstat(p.to); !errors.Is(missing, fs.ErrNotExist) {
		return fmt.Errorf("%s exists already; --overwrite replaces it", p.to)
	}
	return os.Rename(p.from, p.to) // there are no links here
}

// replace keeps what stands there until the end.
func (p placing) replace() error {
	switch info, err := os.Lstat(p.to); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory", p.to)
	default:
		if os.Link(p.to, p.old) != nil { // there are no links here
			if err := os.Rename(p.to, p.old); err != nil {
				return err
			}
		}
	}
	err := os.Rename(p.from, p.to)
	if err != nil {
		_ = os.Rename(p.old, p.to) // it is still there where there are links
	}
	return err
}

// undo puts back what was replaced, or nothing.
func (p placing) undo() error {
	err := os.Rename(p.old, p.to)
	if errors.Is(err, fs.ErrNotExist) {
		return os.Remove(p.to)
	}
	return err
}

// relocated is the answer with the names that the files have, or would have had.
func relocated(v verification, from, to string) verification {
	old, now := filepath.Join(from, "x"), filepath.Join(to, "x") // clean, as all names below are
	name := func(s string) string {
		return strings.ReplaceAll(s, strings.TrimSuffix(old, "x"), strings.TrimSuffix(now, "x"))
	}
	v.File = name(v.File)
	for i := range v.Signatures {
		v.Signatures[i].File = name(v.Signatures[i].File)
	}
	for i := range v.Reasons {
		r := &v.Reasons[i]
		r.Message, r.Found, r.Expected, r.Fix = name(r.Message), name(r.Found), name(r.Expected), name(r.Fix)
	}
	return v
}
