package artifactory

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
)

// packLimit is up to which size contents share one file: opening a file each would cost more than all else.
const packLimit = 64 << 10

// blob is one content, with the three checksums that Artifactory reports, stored once however many items have it.
type blob struct {
	sha256, sha1, md5 string // lowercase hexadecimal
	size              int64
	file              string                   // "" for a small one, which lies in the pack
	offset            int64                    // in the pack
	refs              int                      // guarded by blobs.mu
	parsed            atomic.Pointer[manifest] // once somebody asked and it is one
	items             []*node                  // where it lies in the trees, in no order; guarded by Server.mu
}

// blobs keeps file contents: large ones in a file named by their SHA-256, small ones in a pack. A content nobody refers
// to is forgotten; a large one's file is deleted.
type blobs struct {
	dir  string
	pack *os.File
	end  atomic.Int64 // of the pack
	seq  atomic.Int64
	bufs sync.Pool

	mu    sync.Mutex
	known map[string]*blob // by SHA-256
	sha1s map[string]*blob
}

func newBlobs(dir string) (*blobs, error) {
	if err := os.MkdirAll(filepath.Join(dir, "incoming"), 0o750); err != nil {
		return nil, fmt.Errorf("stand-in: making the file store: %w", err)
	}
	pack, err := os.Create(filepath.Join(dir, "pack"))
	if err != nil {
		return nil, fmt.Errorf("stand-in: making the file store: %w", err)
	}
	return &blobs{
		dir: dir, pack: pack, known: map[string]*blob{}, sha1s: map[string]*blob{},
		bufs: sync.Pool{New: func() any { b := make([]byte, 4*packLimit); return &b }},
	}, nil
}

// receive takes a content to disk and returns it with one reference held. Memory does not grow with its size.
func (b *blobs) receive(r io.Reader) (*blob, error) {
	buf := b.bufs.Get().(*[]byte)
	defer b.bufs.Put(buf)
	n := 0
	for n <= packLimit {
		m, err := r.Read((*buf)[n : packLimit+1])
		n += m
		if errors.Is(err, io.EOF) {
			return b.receiveSmall((*buf)[:n])
		}
		if err != nil {
			return nil, fmt.Errorf("stand-in: storing a file: %w", err)
		}
	}
	head := append([]byte(nil), (*buf)[:n]...)
	return b.receiveLarge(io.MultiReader(bytes.NewReader(head), r), *buf)
}

func (b *blobs) receiveSmall(content []byte) (*blob, error) {
	h256, h1, h5 := sha256.Sum256(content), sha1.Sum(content), md5.Sum(content)
	got := &blob{sha256: hex.EncodeToString(h256[:]), sha1: hex.EncodeToString(h1[:]), md5: hex.EncodeToString(h5[:]), size: int64(len(content)), refs: 1}
	if old := b.find(got.sha256); old != nil {
		return old, nil
	}
	got.offset = b.end.Add(got.size) - got.size
	if _, err := b.pack.WriteAt(content, got.offset); err != nil {
		return nil, fmt.Errorf("stand-in: storing a file: %w", err)
	}
	return b.keep(got, "")
}

func (b *blobs) receiveLarge(r io.Reader, buf []byte) (*blob, error) {
	temp := filepath.Join(b.dir, "incoming", strconv.FormatInt(b.seq.Add(1), 10))
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("stand-in: storing a file: %w", err)
	}
	h256, h1, h5 := sha256.New(), sha1.New(), md5.New()
	size, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, h256, h1, h5)}, struct{ io.Reader }{r}, buf)
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

// open gives a content to read. The caller closes it.
func (b *blobs) open(x *blob) (io.ReadSeekCloser, error) {
	if x.file != "" {
		return os.Open(x.file)
	}
	return struct {
		io.ReadSeeker
		io.Closer
	}{io.NewSectionReader(b.pack, x.offset, x.size), io.NopCloser(nil)}, nil
}

func (b *blobs) keep(got *blob, temp string) (*blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if old := b.known[got.sha256]; old != nil {
		old.refs++
		if temp != "" {
			_ = os.Remove(temp)
		}
		return old, nil
	}
	if temp != "" {
		if err := os.Rename(temp, got.file); err != nil {
			_ = os.Remove(temp)
			return nil, fmt.Errorf("stand-in: storing a file: %w", err)
		}
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

// bySHA256 is the content with this SHA-256, or nil. No reference is taken.
func (b *blobs) bySHA256(sum string) *blob {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[sum]
}

// bySHA1 is the content with this SHA-1, or nil. No reference is taken.
func (b *blobs) bySHA1(sum string) *blob {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sha1s[sum]
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
	if b.known[x.sha256] != x {
		return // a lie about another's bytes, see Corrupt
	}
	delete(b.known, x.sha256)
	if b.sha1s[x.sha1] == x {
		delete(b.sha1s, x.sha1)
	}
	if x.file != "" {
		_ = os.Remove(x.file)
	}
}
