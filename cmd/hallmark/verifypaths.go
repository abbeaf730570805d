package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/seal"
)

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
