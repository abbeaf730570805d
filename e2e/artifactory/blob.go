package artifactory

import (
	"crypto/md5"  //nolint:gosec // Artifactory reports MD5 and SHA-1 beside SHA-256
	"crypto/sha1" //nolint:gosec // see above
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// blob is one content, stored once however many items have it.
type blob struct {
	sha256, sha1, md5 string // lowercase hexadecimal
	size              int64
	file              string
	refs              int // guarded by blobs.mu
}

// blobs keeps file contents under their SHA-256. A content nobody refers to is deleted.
type blobs struct {
	dir   string
	seq   atomic.Int64
	bufs  sync.Pool
	mu    sync.Mutex
	known map[string]*blob // by SHA-256
	sha1s map[string]*blob
}

func newBlobs(dir string) (*blobs, error) {
	if err := os.MkdirAll(filepath.Join(dir, "incoming"), 0o750); err != nil {
		return nil, fmt.Errorf("stand-in: making the file store: %w", err)
	}
	return &blobs{
		dir: dir, known: map[string]*blob{}, sha1s: map[string]*blob{},
		bufs: sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }},
	}, nil
}

// receive streams a content to disk and returns it with one reference held. Memory does not grow with its size.
func (b *blobs) receive(r io.Reader) (*blob, error) {
	temp := filepath.Join(b.dir, "incoming", strconv.FormatInt(b.seq.Add(1), 10))
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("stand-in: storing a file: %w", err)
	}
	h256, h1, h5 := sha256.New(), sha1.New(), md5.New() //nolint:gosec // see the imports
	buf := b.bufs.Get().(*[]byte)                       //nolint:forcetypeassert // the pool holds nothing else
	defer b.bufs.Put(buf)
	size, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, h256, h1, h5)}, struct{ io.Reader }{r}, *buf)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(temp)
		return nil, fmt.Errorf("stand-in: storing a file: %w", err)
	}
	got := &blob{
		sha256: hex.EncodeToString(h256.Sum(nil)), sha1: hex.EncodeToString(h1.Sum(nil)), md5: hex.EncodeToString(h5.Sum(nil)),
		size: size, refs: 1,
	}
	got.file = filepath.Join(b.dir, got.sha256)
	return b.keep(got, temp)
}

func (b *blobs) keep(got *blob, temp string) (*blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.known[got.sha256]; old != nil {
		old.refs++
		_ = os.Remove(temp)
		return old, nil
	}
	if err := os.Rename(temp, got.file); err != nil {
		_ = os.Remove(temp)
		return nil, fmt.Errorf("stand-in: storing a file: %w", err)
	}
	b.known[got.sha256], b.sha1s[got.sha1] = got, got
	return got, nil
}

// find returns a known content by SHA-256 or SHA-1 with one more reference held, or nil.
func (b *blobs) find(sum string) *blob {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.known[sum]
	if got == nil {
		got = b.sha1s[sum]
	}
	if got != nil {
		got.refs++
	}
	return got
}

// hold adds a reference for one more item.
func (b *blobs) hold(x *blob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x.refs++
}

// release gives a reference back. Open downloads go on: the file disappears when the last of them closes it.
func (b *blobs) release(x *blob) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.refs--; x.refs > 0 {
		return
	}
	delete(b.known, x.sha256)
	if b.sha1s[x.sha1] == x {
		delete(b.sha1s, x.sha1)
	}
	_ = os.Remove(x.file)
}
