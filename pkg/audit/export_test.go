package audit

import (
	"errors"

	"github.com/transparency-dev/merkle/rfc6962"
)

// WriteDir makes the directory of a log with these entries, whatever they are, and returns the root of its tree. For
// hostile logs: what Tessera writes is tested beside the log itself.
func WriteDir(dir string, entries [][]byte) (root []byte, err error) {
	l := NewLongLog(dir)
	for _, e := range entries {
		if err := l.Add(e); err != nil {
			return nil, err
		}
	}
	return l.Finish()
}

// The decoders of what a log's files hold.
var (
	SplitBundle = splitBundle
	SplitTile   = splitTile
	AppendEntry = appendEntry
)

// LongLog is WriteDir for a log that is not to be held.
type LongLog struct {
	w    *dirWriter
	tree *trunk
}

// NewLongLog begins one.
func NewLongLog(dir string) *LongLog { return &LongLog{newDirWriter(dir), newTrunk(nil)} }

// Add adds an entry.
func (l *LongLog) Add(entry []byte) error {
	return errors.Join(l.w.add(entry), l.tree.append(rfc6962.DefaultHasher.HashLeaf(entry)))
}

// Finish returns the root.
func (l *LongLog) Finish() ([]byte, error) {
	if err := l.w.finish(); err != nil {
		return nil, err
	}
	if l.tree.r.End() == 0 {
		return l.tree.roots[0], nil
	}
	return l.tree.r.GetRootHash(nil)
}
