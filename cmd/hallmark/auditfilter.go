package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
)

// auditFilter says which entries of a log are listed.
type auditFilter struct {
	key   string
	spki  artifact.Digest // of key, when it is given as sha256:…
	path  string
	kind  string
	since time.Time
}

func newAuditFilter(key, path, kind string, since time.Time) (auditFilter, error) {
	f := auditFilter{key: key, path: path, kind: kind, since: since}
	if hex, ok := strings.CutPrefix(key, "sha256:"); ok {
		var err error
		if f.spki, err = artifact.ParseDigest(hex); err != nil {
			return f, fmt.Errorf("--key: %w", err)
		}
	}
	if !doublestar.ValidatePattern(path) {
		return f, fmt.Errorf("--path %q is no pattern; write repository/path, with * and **", path)
	}
	return f, nil
}

// takes reports whether the entry is listed, as far as its key does not matter.
func (f auditFilter) takes(e audit.Entry) bool {
	if e.Leaf == nil {
		return f == auditFilter{since: f.since} // what nobody knows is of no kind, key or path
	}
	if f.kind != "" && e.Leaf.Kind() != f.kind {
		return false
	}
	in, isIntent := e.Leaf.(audit.Intent)
	if f.path != "" && (!isIntent || !doublestar.MatchUnvalidated(f.path, in.Repo+"/"+in.Path)) {
		return false
	}
	at := audit.At(e.Leaf)
	return at.IsZero() || !at.Before(f.since)
}

// reaches reports whether what stands before these entries can be late enough. Entries are in order of time but for those
// that were under way together.
func (f auditFilter) reaches(entries []audit.Entry) bool {
	if f.since.IsZero() {
		return true
	}
	told := false
	for _, e := range entries {
		if at := audit.At(e.Leaf); !at.IsZero() {
			if !at.Before(f.since.Add(-audit.Grace)) {
				return true
			}
			told = true
		}
	}
	return !told
}
