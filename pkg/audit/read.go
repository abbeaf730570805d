package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"
)

// ErrAbsent means that the log has no such file.
var ErrAbsent = errors.New("the log has no such file")

// What is read of one file of a log, in bytes. A bundle holds 256 entries of at most 65535 bytes.
const (
	maxHead   = 64 << 10
	maxTile   = layout.TileWidth * hashSize
	maxBundle = layout.EntryBundleWidth * (2 + 1<<16)
)

const hashSize = 32

// Reader reads a log as anybody may: in a directory, or over HTTP. What it returns is what stands there, bounded in size
// and otherwise unchecked. It is safe for concurrent use.
type Reader struct {
	where string
	get   func(ctx context.Context, path string, limit int64) ([]byte, error)
	close func() error
}

// ReadDir opens the directory of a log or of a copy. Nothing outside of the directory is read, whatever links lie in it.
func ReadDir(dir string) (*Reader, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	get := func(_ context.Context, path string, limit int64) ([]byte, error) {
		f, err := root.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: %s", ErrAbsent, path)
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return readAtMost(f, path, limit)
	}
	return &Reader{where: dir, get: get, close: root.Close}, nil
}

// ReadHTTP reads the log that is served below the address. The token may be "" for one that is public.
func ReadHTTP(address, token string, client *http.Client) (*Reader, error) {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the log's address is %q, expected https://host/log", address)
	}
	get := func(ctx context.Context, path string, limit int64) ([]byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath(path).String(), nil)
		if err != nil {
			return nil, err
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req) // #nosec G704 -- the address that the user names
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		switch resp.StatusCode {
		case http.StatusOK:
			return readAtMost(resp.Body, path, limit)
		case http.StatusNotFound:
			return nil, fmt.Errorf("%w: %s", ErrAbsent, req.URL)
		case http.StatusUnauthorized, http.StatusForbidden:
			return nil, fmt.Errorf("HTTP %d from %s: the log is for tokens with the role auditor", resp.StatusCode, req.URL)
		default:
			return nil, fmt.Errorf("HTTP %d from %s", resp.StatusCode, req.URL)
		}
	}
	return &Reader{where: u.String(), get: get, close: func() error { client.CloseIdleConnections(); return nil }}, nil
}

func readAtMost(from io.Reader, path string, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%w: %s has more than %d bytes", ErrDamaged, path, limit)
	}
	return content, nil
}

// String is the directory or address.
func (r *Reader) String() string { return r.where }

// Close gives back what the reader holds.
func (r *Reader) Close() error { return r.close() }

// Checkpoint is what the log says of itself now.
func (r *Reader) Checkpoint(ctx context.Context) ([]byte, error) {
	return r.get(ctx, layout.CheckpointPath, maxHead)
}

// tile reads a tile of the tree; p is how many hashes it must have, 0 for all 256. Of a log that grows, a tile that is
// fuller by now may be all that is left.
func (r *Reader) tile(ctx context.Context, level, index uint64, p uint8) ([]byte, error) {
	return r.partial(ctx, p, maxTile, func(p uint8) string { return layout.TilePath(level, index, p) })
}

// bundle reads a bundle of entries, in the same way.
func (r *Reader) bundle(ctx context.Context, index uint64, p uint8) ([]byte, error) {
	return r.partial(ctx, p, maxBundle, func(p uint8) string { return layout.EntriesPath(index, p) })
}

func (r *Reader) partial(ctx context.Context, p uint8, limit int64, path func(uint8) string) ([]byte, error) {
	content, err := r.get(ctx, path(p), limit)
	if p > 0 && errors.Is(err, ErrAbsent) {
		return r.get(ctx, path(0), limit)
	}
	return content, err
}
