package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// maxSignatureFiles bounds how many signature files of one artifact are fetched.
const maxSignatureFiles = 64

// download is one file on its way. It lies in a directory of its own beside its place until it is verified.
type download struct {
	client                *artifactory.Client
	ref                   artifact.Ref
	to                    string
	overwrite, signatures bool
	progress              *progress
}

func (d *download) run(ctx context.Context, c *verifier) (_ verification, err error) {
	info, err := d.client.Info(ctx, d.ref)
	if err != nil {
		return verification{}, err
	}
	unmade, err := makeFolder(filepath.Dir(d.to))
	defer unmade() // unless something is in it by then
	if err != nil {
		return verification{}, fmt.Errorf("making a place for the download: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(d.to), ".hallmark-fetch-")
	if err != nil {
		return verification{}, fmt.Errorf("making a place for the download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	// Names of the repository are never names here: what they hold could lead anywhere.
	t := candidate{file: filepath.Join(dir, filepath.Base(d.to))}
	if t.beside, err = d.readSignatures(ctx, t.file); err != nil {
		return verification{}, err
	}
	if err := d.pull(ctx, info, t.file); err != nil {
		return verification{}, err
	}
	v, err := c.check(ctx, t)
	if err != nil {
		return verification{}, err
	}
	if v.Verified && v.SHA256 != info.SHA256.String() {
		return verification{}, fmt.Errorf("%s was changed while it was checked", t.file)
	}
	if v.Verified {
		if err := ctx.Err(); err != nil {
			return verification{}, context.Cause(ctx)
		}
		if err := d.place(t, dir); err != nil {
			return verification{}, err
		}
	}
	return relocated(v, dir, filepath.Dir(d.to)), nil
}

// makeFolder makes a folder and those above it. What it returns removes those that it made, and that are empty.
func makeFolder(folder string) (unmade func(), err error) {
	var made []string
	for at := folder; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		made = append(made, at)
	}
	return func() {
		for _, at := range made {
			_ = os.Remove(at)
		}
	}, os.MkdirAll(folder, 0o755) // #nosec G301 -- the user's umask decides
}

// readSignatures stores all signature files of the artifact beside the file.
func (d *download) readSignatures(ctx context.Context, file string) (stored []string, err error) {
	folder := path.Dir(d.ref.Path)
	if folder == "." {
		folder = ""
	}
	entries, err := d.client.Folder(ctx, d.ref.Repo, folder)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name, d.ref.Name())
		if _, ok := seal.FormatOf(e.Name); !ok || !ours || e.Folder || !strings.HasPrefix(rest, ".") || strings.ContainsAny(rest, `/\`) {
			continue
		}
		if len(stored) == maxSignatureFiles {
			return nil, fmt.Errorf("%s has more than %d signature files", d.ref, maxSignatureFiles)
		}
		ref, err := artifact.NewRef(d.ref.Instance, d.ref.Repo, path.Join(folder, e.Name))
		if err != nil {
			return nil, err
		}
		content, err := d.client.Read(ctx, ref, maxSignatureFile)
		if errors.Is(err, artifact.ErrGone) || errors.Is(err, artifactory.ErrTooLarge) {
			continue // it proves nothing, and keeps no other file from proving
		}
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(file+rest, content, 0o644); err != nil { // #nosec G306 -- as public as what it signs
			return nil, fmt.Errorf("storing a signature file: %w", err)
		}
		stored = append(stored, file+rest)
	}
	return stored, nil
}

// pull stores the bytes; a connection that breaks off begins anew.
func (d *download) pull(ctx context.Context, info artifact.Info, file string) (err error) {
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666) // #nosec G302 -- as the user's umask has it
	if err != nil {
		return fmt.Errorf("storing the download: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &storing{file: f, failed: cancel}
	stop := d.watch(s, info.Size)
	err = d.client.Pull(ctx, info, s)
	stop()
	if s.err != nil {
		return fmt.Errorf("storing the download: %w", s.err)
	}
	if err != nil {
		return err
	}
	return f.Sync()
}

// watch draws how far the download is, until it is stopped.
func (d *download) watch(s *storing, total int64) (stop func()) {
	if d.progress.w == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				d.progress.clear()
				return
			case <-tick.C:
				d.progress.draw(bytesLine(s.n.Load(), total) + " " + d.ref.Name())
			}
		}
	}()
	return func() { close(done); <-ended }
}
