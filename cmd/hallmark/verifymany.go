package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// verifications is the answer of hallmark verify. As JSON it is the one verification when a single file was asked for.
type verifications struct {
	Verified bool           `json:"verified"` // every file is
	Files    []verification `json:"files"`
	Unsigned []string       `json:"unsigned"` // files of directories that have no signature files, and were not checked

	single bool
	failed error // of files that could not be checked
}

// MarshalJSON implements json.Marshaler.
func (v verifications) MarshalJSON() ([]byte, error) {
	if v.single {
		return json.Marshal(v.Files[0])
	}
	type plain verifications
	return json.Marshal(plain(v))
}

// paths checks files, and directories with all below them.
func (c *verifier) paths(ctx context.Context, names []string, all bool, p *progress) (verifications, error) {
	answer := verifications{Unsigned: []string{}, Files: []verification{}}
	var candidates []candidate
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return answer, fmt.Errorf("reading the file: %w", err)
		}
		if !info.IsDir() {
			t := candidate{file: name, beside: []string{c.bundle}}
			if c.bundle == "" {
				if t.beside, err = beside(name); err != nil {
					return answer, err
				}
			}
			candidates = append(candidates, t)
			continue
		}
		if c.bundle != "" {
			return answer, fmt.Errorf("%s is a directory: --bundle is of one file", name)
		}
		found, unsigned, err := below(ctx, name)
		if err != nil {
			return answer, err
		}
		candidates, answer.Unsigned = append(candidates, found...), append(answer.Unsigned, unsigned...)
		answer.single = false
		if len(found) == 0 && !all {
			return answer, fmt.Errorf("no file in %s has signature files beside it: there is nothing to check", name)
		}
		names = append(names, "") // more than one file was asked for, however many there are
	}
	answer.single = len(names) == 1
	if all {
		for _, name := range answer.Unsigned {
			candidates = append(candidates, candidate{file: name})
		}
		answer.Unsigned = []string{}
	}
	return c.each(ctx, answer, candidates, p)
}

// below lists the files in a directory and everything below it that have signature files, and those that have none. Each
// signature file belongs to the file with the longest name that it can be of. Symbolic links to directories are not followed.
func below(ctx context.Context, root string) (candidates []candidate, unsigned []string, err error) {
	folders := map[string][]string{}
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.IsDir() {
			return nil
		}
		if e.Type()&fs.ModeSymlink != 0 {
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				return nil //nolint:nilerr // a link that leads nowhere, or to a directory, is no file
			}
		} else if !e.Type().IsRegular() {
			return nil
		}
		folders[filepath.Dir(path)] = append(folders[filepath.Dir(path)], e.Name())
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("looking for files: %w", err)
	}
	for folder, names := range folders {
		owners := map[string][]string{}
		for _, name := range names {
			if !seal.IsAttachment(name) {
				owners[name] = nil
			}
		}
		for _, name := range names {
			if owner := ownerIn(owners, name); seal.IsAttachment(name) && owner != "" {
				owners[owner] = append(owners[owner], filepath.Join(folder, name))
			}
		}
		for name, signatures := range owners {
			path := filepath.Join(folder, name)
			if len(signatures) == 0 {
				unsigned = append(unsigned, path)
				continue
			}
			slices.Sort(signatures)
			candidates = append(candidates, candidate{file: path, beside: signatures})
		}
	}
	slices.Sort(unsigned)
	slices.SortFunc(candidates, func(a, b candidate) int { return strings.Compare(a.file, b.file) })
	return candidates, unsigned, nil
}

// ownerIn is the longest name of a file that a signature file's name begins with, before a dot.
func ownerIn(owners map[string][]string, name string) string {
	for i := strings.LastIndexByte(name, '.'); i > 0; i = strings.LastIndexByte(name[:i], '.') {
		if _, ok := owners[name[:i]]; ok {
			return name[:i]
		}
	}
	return ""
}

// list checks the files in a list of checksums, or those of them that are named. A signature of the list speaks for all that
// is in it.
func (c *verifier) list(ctx context.Context, file string, only []string, p *progress) (verifications, error) {
	answer := verifications{Files: []verification{}, Unsigned: []string{}}
	in, err := os.Open(file)
	if err != nil {
		return answer, fmt.Errorf("reading the list of checksums: %w", err)
	}
	entries, err := readChecksums(in)
	_ = in.Close()
	if err != nil {
		return answer, fmt.Errorf("reading the list of checksums %s: %w", file, err)
	}
	proof, err := c.provenList(ctx, file)
	if err != nil {
		return answer, err
	}
	folder := filepath.Dir(file)
	wanted := map[string]bool{}
	for _, name := range only {
		wanted[filepath.Clean(name)] = true
	}
	var candidates []candidate
	for _, e := range entries {
		t := candidate{file: e.name, want: e.digest, list: proof}
		if !filepath.IsAbs(e.name) {
			t.file = filepath.Join(folder, e.name)
		}
		if clean := filepath.Clean(t.file); len(only) > 0 {
			if !wanted[clean] {
				continue
			}
			delete(wanted, clean)
		}
		if !c.nobody {
			t.beside, _ = beside(t.file) // a folder that cannot be read is one of a file that cannot be
		}
		candidates = append(candidates, t)
	}
	for name := range wanted {
		return answer, fmt.Errorf("%s is not in the list %s", name, file)
	}
	return c.each(ctx, answer, candidates, p)
}

// provenList is what the list's own signatures prove; nil when there are none, or none that is good.
func (c *verifier) provenList(ctx context.Context, file string) (*verify.Finding, error) {
	if c.nobody {
		return nil, nil //nolint:nilnil // nothing is proven, and nothing went wrong
	}
	names, err := beside(file)
	if err != nil {
		return nil, err
	}
	quiet := &verifier{believed: c.believed, level: verify.LevelKey}
	v, err := quiet.check(ctx, candidate{file: file, beside: names})
	if err != nil || !v.Verified {
		return nil, err
	}
	return v.Proof, nil
}

// each checks candidates, as many at a time as there are processors, and answers in their order.
func (c *verifier) each(ctx context.Context, answer verifications, candidates []candidate, p *progress) (verifications, error) {
	answer.Files = make([]verification, len(candidates))
	failed := make([]error, len(candidates))
	stop := c.watch(candidates, p)
	defer stop()
	var workers sync.WaitGroup
	next := make(chan int)
	for range min(runtime.GOMAXPROCS(0), len(candidates)) {
		workers.Go(func() {
			for i := range next {
				answer.Files[i], failed[i] = c.check(ctx, candidates[i])
			}
		})
	}
	for i := range candidates {
		next <- i
	}
	close(next)
	workers.Wait()
	stop()
	if err := ctx.Err(); err != nil {
		return answer, fmt.Errorf("not all was checked: %w", context.Cause(ctx))
	}
	if answer.single && failed[0] != nil {
		return answer, failed[0]
	}
	answer.Verified = true
	for i := range answer.Files {
		if v := &answer.Files[i]; failed[i] != nil {
			v.Verified, v.Reasons = false, append(v.Reasons, reason.Reason{Code: reason.Undecided, Message: v.File + " could not be checked", Found: failed[i].Error(), Fix: "fetch it, or make it readable"})
		}
		answer.Verified = answer.Verified && answer.Files[i].Verified
	}
	answer.failed = errors.Join(failed...)
	return answer, nil
}

// watch draws how far the checks are, until it is stopped.
func (c *verifier) watch(candidates []candidate, p *progress) (stop func()) {
	if p.w == nil {
		return func() {}
	}
	var total int64
	for _, t := range candidates {
		if info, err := os.Stat(t.file); err == nil {
			total += info.Size()
		}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				p.clear()
				return
			case <-tick.C:
				p.draw(bytesLine(c.read.Load(), total) + fmt.Sprintf(" of %d files", len(candidates)))
			}
		}
	}()
	var once sync.Once
	return func() { once.Do(func() { close(done); <-ended }) }
}

// bytesLine is a bar of bytes.
func bytesLine(done, total int64) string {
	share := 1.0
	if total > 0 {
		share = float64(done) / float64(total)
	}
	return fmt.Sprintf("%s %s of %s", bar(share), size(done), size(total))
}

// size is a number of bytes as people read it.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, u := float64(n), 0
	for v >= 1000 && u < len(units)-1 {
		v, u = v/1000, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[u])
}
