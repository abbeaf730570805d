package audit

// WriteDir makes the directory of a log with these entries, whatever they are, and returns the root of its tree. For
// hostile logs: what Tessera writes is tested beside the log itself.
func WriteDir(dir string, entries [][]byte) (root []byte, err error) {
	w := newDirWriter(dir, []uint64{uint64(len(entries))})
	for _, e := range entries {
		if err := w.add(e); err != nil {
			return nil, err
		}
	}
	if err := w.finish(); err != nil {
		return nil, err
	}
	return w.tree.roots[uint64(len(entries))], nil
}

// The decoders of what a log's files hold.
var (
	SplitBundle = splitBundle
	SplitTile   = splitTile
	AppendEntry = appendEntry
)

// Bits and Recent are the sets that a replay remembers in.
type Bits = bits

// LongLog is WriteDir for a log that is not to be held.
type LongLog struct{ w *dirWriter }

// NewLongLog begins one.
func NewLongLog(dir string) *LongLog { return &LongLog{newDirWriter(dir, nil)} }

// Add adds an entry.
func (l *LongLog) Add(entry []byte) error { return l.w.add(entry) }

// Finish returns the root.
func (l *LongLog) Finish() ([]byte, error) {
	if err := l.w.finish(); err != nil {
		return nil, err
	}
	return l.w.tree.r.GetRootHash(nil)
}
