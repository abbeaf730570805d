package artifactory

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// streamBuffer is what one download holds in memory.
const streamBuffer = 64 << 10

var (
	// ErrDigest means that the bytes that arrived are not those Artifactory reported.
	ErrDigest = errors.New("bytes are not those that Artifactory reports")
	// ErrChanged is the ErrDigest whose cause is known: another file stands at the path now. Nothing was downloaded.
	ErrChanged = fmt.Errorf("%w: the file was replaced", ErrDigest)
	// ErrTruncated means that fewer bytes arrived than the file has, on every attempt.
	ErrTruncated = errors.New("download ended early")
)

// Pull streams the bytes of the file that info describes through SHA-256 and the given further hashes. It returns nil
// only when exactly info.Size bytes with the digest info.SHA256 arrived; the hashes then hold the sums of exactly those
// bytes. A connection that breaks off is tried again from the start, with the hashes reset; after an error their
// state is undefined. Nothing is kept but a buffer of 64 KiB. A missing file is artifact.ErrGone.
func (c *Client) Pull(ctx context.Context, info artifact.Info, further ...hash.Hash) error {
	if err := c.pull(ctx, info, further); err != nil {
		return fmt.Errorf("pulling %s: %w", info.Ref, err)
	}
	return nil
}

func (c *Client) pull(ctx context.Context, info artifact.Info, further []hash.Hash) error {
	if info.SHA256.IsZero() {
		return fmt.Errorf("%w: it reports no SHA-256", ErrDigest)
	}
	p, err := c.itemPath(info.Ref)
	if err != nil {
		return err
	}
	sha := sha256.New()
	err = c.do(ctx, request{call: callPull, method: http.MethodGet, url: c.base + p}, func(resp *http.Response) error {
		if err := sameFile(resp, info); err != nil {
			return err
		}
		sha.Reset()
		for _, h := range further {
			h.Reset()
		}
		return c.stream(resp.Body, info, sha, further)
	})
	return gone(err)
}

// sameFile compares what the answer's head says with the facts, to spare a download that would be for nothing.
func sameFile(resp *http.Response, info artifact.Info) error {
	if s := resp.Header.Get("X-Checksum-Sha256"); s != "" && !strings.EqualFold(s, info.SHA256.String()) {
		return fmt.Errorf("%w: expected %s, the server now has %s", ErrChanged, info.SHA256, message([]byte(s), ""))
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("server answered a download with HTTP %d", resp.StatusCode)
	}
	return nil
}

func (c *Client) stream(from io.Reader, info artifact.Info, sha hash.Hash, further []hash.Hash) error {
	buf := c.buffers.Get().(*[]byte) // the pool holds nothing else
	defer c.buffers.Put(buf)
	var n int64
	for {
		k, err := from.Read(*buf)
		n += int64(k)
		if n > info.Size {
			return fmt.Errorf("%w: more than the %d bytes it should have", ErrDigest, info.Size)
		}
		chunk := (*buf)[:k]
		sha.Write(chunk) // a hash never returns an error
		for _, h := range further {
			h.Write(chunk)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w at %d of %d bytes: %w", ErrTruncated, n, info.Size, bodyError(err))
		}
	}
	if n < info.Size {
		return fmt.Errorf("%w at %d of %d bytes: %w", ErrTruncated, n, info.Size, bodyError(io.ErrUnexpectedEOF))
	}
	if got := artifact.Digest(sha.Sum(nil)); got != info.SHA256 {
		return fmt.Errorf("%w: expected %s, got %s", ErrDigest, info.SHA256, got)
	}
	return nil
}
