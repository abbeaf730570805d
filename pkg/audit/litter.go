package audit

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/transparency-dev/tessera/api/layout"
)

// Tessera writes a file under its name with a random number behind, and renames it. When the writing fails, on a full disk
// say, or the process ends, that draft stays. Readers never ask for it; it only takes room where there may be none.
var (
	draftOfWhole = regexp.MustCompile(`^[0-9]{4,13}$`) // 000 to 999 are the names of what is whole
	draftOfState = regexp.MustCompile(`^(treeState|gcState|version)[0-9]+$`)
)

func isDraftOfPart(name string) bool {
	n, err := strconv.ParseUint(name, 10, 64)
	return err == nil && n >= layout.TileWidth // 1 to 255 are the names of parts
}

// sweep removes drafts where the last leaves were to be written. Nothing may be writing meanwhile.
func (l *Log) sweep(size uint64) {
	l.sweepIn(privateDir, draftOfState.MatchString)
	index := size / layout.EntryBundleWidth
	for at := index; at <= index+batchSize/layout.EntryBundleWidth+1; at++ {
		l.sweepBy(layout.EntriesPath(at, 0))
		l.sweepBy(layout.TilePath(0, at, 0))
	}
	for level := uint64(1); level < 8; level++ {
		index /= layout.TileWidth
		l.sweepBy(layout.TilePath(level, index, 0))
		l.sweepBy(layout.TilePath(level, index+1, 0))
	}
}

func (l *Log) sweepBy(whole string) {
	l.sweepIn(filepath.Dir(whole), draftOfWhole.MatchString)
	l.sweepIn(whole+".p", isDraftOfPart)
}

func (l *Log) sweepIn(dir string, isDraft func(name string) bool) {
	dir = filepath.Join(l.config.Dir, filepath.FromSlash(dir))
	list, err := os.ReadDir(dir)
	if err != nil {
		return // it is not there, or cannot be read: whoever writes next will say so
	}
	for _, f := range list {
		if f.Type().IsRegular() && isDraft(f.Name()) {
			_ = os.Remove(filepath.Join(dir, f.Name()))
		}
	}
}
