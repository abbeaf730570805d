package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// WriteFiles writes an export into a directory, each file whole or not at all, in the order that Files gives. The
// directory is made, or is empty, or holds an earlier export: then keys that are exported no more are removed. Anything
// else is left alone and refused.
func WriteFiles(dir string, files []File) error {
	if err := ours(dir); err != nil {
		return fmt.Errorf("exporting trust: %w", err)
	}
	for _, f := range files {
		if !exportable(f.Name) {
			return fmt.Errorf("exporting trust: %.100q is no name of an exported file", f.Name)
		}
	}
	for _, f := range files {
		if err := writeWhole(filepath.Join(dir, filepath.FromSlash(f.Name)), f.Content); err != nil {
			return fmt.Errorf("exporting trust: %w", err)
		}
	}
	return removeStale(dir, files)
}

// exportable holds names to those that Files gives: what is written may have come from a server.
func exportable(name string) bool {
	key, ok := strings.CutPrefix(name, KeysDir+"/")
	if key, pem := strings.CutSuffix(key, ".pem"); ok {
		return pem && keyName.MatchString(key)
	}
	return slices.Contains([]string{RootFile, TrustFile, CAFile, TimeFile}, name)
}

// ours tells whether an export may be written there.
func ours(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	known := []string{RootFile, TrustFile, CAFile, TimeFile, KeysDir}
	export := false
	for _, e := range entries {
		export = export || e.Name() == TrustFile
		if !slices.Contains(known, e.Name()) && !strings.HasPrefix(e.Name(), draftPrefix) {
			return fmt.Errorf("%s holds %s, which is not part of an export; name another directory, or an empty one", dir, e.Name())
		}
	}
	if !export {
		return fmt.Errorf("%s is not empty and holds no earlier export (%s); name another directory, or an empty one", dir, TrustFile)
	}
	return nil
}

// removeStale removes what an earlier export wrote and this one did not.
func removeStale(dir string, files []File) error {
	wanted := map[string]bool{}
	for _, f := range files {
		wanted[f.Name] = true
	}
	stale := []string{RootFile, CAFile, TimeFile}
	keys, err := filepath.Glob(filepath.Join(dir, KeysDir, "*.pem"))
	if err != nil {
		return fmt.Errorf("exporting trust: %w", err)
	}
	for _, k := range keys {
		stale = append(stale, KeysDir+"/"+filepath.Base(k))
	}
	for _, name := range stale {
		if wanted[name] {
			continue
		}
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("exporting trust: removing what is exported no more: %w", err)
		}
	}
	return nil
}

const draftPrefix = ".hallmark-export-"

// writeWhole puts a file in place after its content is on the disk. Anybody may read it: nothing in it is secret.
func writeWhole(name string, content []byte) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // what verifiers must be able to read
		return err
	}
	f, err := os.CreateTemp(dir, draftPrefix+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a renaming durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if closed := d.Close(); err == nil {
		err = closed
	}
	return err
}
