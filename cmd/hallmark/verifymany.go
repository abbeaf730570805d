package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/hallmark-signing/hallmark/pkg/reason"
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
