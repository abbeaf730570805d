package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/transparency-dev/tessera/api/layout"
)

// Handler serves the log read-only to monitors, as C2SP tlog-tiles says: /checkpoint, /tile/L/N and /tile/entries/N, to be
// mounted under any prefix that was stripped. It serves no leaf that no checkpoint covers, and nothing else of the directory.
// What it says about caching lets no shared cache keep what was asked for with an Authorization. It may outlive Close.
func (l *Log) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodGet && req.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the log is read-only", http.StatusMethodNotAllowed)
			return
		}
		f, ok := parseFile(strings.TrimPrefix(req.URL.Path, "/"))
		if !ok || f.leaves() > l.guard.covered.Load() {
			http.NotFound(w, req)
			return
		}
		content, err := os.ReadFile(filepath.Join(l.config.Dir, filepath.FromSlash(f.path)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			http.NotFound(w, req)
			return
		case err != nil:
			l.log.ErrorContext(req.Context(), "reading the log for a monitor", slog.String("path", f.path), slog.Any("error", err))
			http.Error(w, "the log cannot be read", http.StatusInternalServerError)
			return
		}
		f.headers(w.Header(), content)
		http.ServeContent(w, req, "", time.Time{}, bytes.NewReader(content))
	})
}

// file is one resource of a log.
type file struct {
	path    string // below the directory
	level   uint64
	index   uint64
	partial uint8 // entries of a tile or bundle that is not full
	tile    bool  // or bundle; else it is the checkpoint
}

// parseFile knows the paths of tlog-tiles, each in its one spelling, and no other path.
func parseFile(path string) (file, bool) {
	if path == layout.CheckpointPath {
		return file{path: path}, true
	}
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok || len(path) > 100 {
		return file{}, false
	}
	level, index, ok := strings.Cut(rest, "/")
	if !ok {
		return file{}, false
	}
	f := file{tile: true}
	var err error
	if level == "entries" {
		f.index, f.partial, err = layout.ParseTileIndexPartial(index)
		f.path = layout.EntriesPath(f.index, f.partial)
	} else {
		f.level, f.index, f.partial, err = layout.ParseTileLevelIndexPartial(level, index)
		f.path = layout.TilePath(f.level, f.index, f.partial)
	}
	return f, err == nil && f.path == path && f.level < 8 && f.index < 1<<40
}

// leaves is how many leaves a log has at least that has this file.
func (f file) leaves() uint64 {
	if !f.tile {
		return 0
	}
	width := uint64(f.partial)
	if width == 0 {
		width = layout.TileWidth
	}
	whole := f.index*layout.TileWidth + width
	shift := layout.TileHeight * f.level
	if whole > ^uint64(0)>>shift {
		return ^uint64(0)
	}
	return whole << shift
}

func (f file) headers(h http.Header, content []byte) {
	switch {
	case !f.tile:
		sum := sha256.Sum256(content)
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
	case f.partial > 0:
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Cache-Control", "max-age=60")
	default:
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Cache-Control", "max-age=31536000, immutable")
	}
	h.Set("X-Content-Type-Options", "nosniff")
}
