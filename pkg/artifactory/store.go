package artifactory

import (
	"context"
	"crypto/md5"  //nolint:gosec // Artifactory's own checksum headers; SHA-256 is what counts
	"crypto/sha1" //nolint:gosec // as above
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// ErrStored means that the server took a file but reports another checksum for it than was sent.
var ErrStored = errors.New("stored bytes are not those that were sent")

// ErrTooLarge means that an answer is larger than the caller allows.
var ErrTooLarge = errors.New("larger than allowed")

// Store puts one file beside its subject. It returns nil only when the server reports the file at that path with the
// checksum of the given content. A file that is already there with equal bytes is a success, also where the token may
// not overwrite. A final no is *Refused.
func (c *Client) Store(ctx context.Context, a artifact.Attachment) error {
	if err := c.store(ctx, a); err != nil {
		return fmt.Errorf("storing %s: %w", a.Ref, err)
	}
	return nil
}

func (c *Client) store(ctx context.Context, a artifact.Attachment) error {
	p, err := c.itemPath(a.Ref)
	if err != nil {
		return err
	}
	if err := c.writable(ctx, a.Ref); err != nil {
		return err
	}
	want := a.SHA256()
	content := a.Content
	if content == nil {
		content = []byte{}
	}
	s1, m5 := sha1.Sum(content), md5.Sum(content) //nolint:gosec // see the import
	headers := map[string]string{
		"X-Checksum-Sha256": want.String(),
		"X-Checksum-Sha1":   hex.EncodeToString(s1[:]),
		"X-Checksum-Md5":    hex.EncodeToString(m5[:]),
		"Content-Type":      a.MediaType,
	}
	if a.MediaType == "" {
		headers["Content-Type"] = "application/octet-stream"
	}
	var item itemInfo
	err = c.do(ctx, request{call: callStore, method: http.MethodPut, url: c.base + p, body: content, headers: headers}, item.decode)
	if isStatus(err, http.StatusForbidden) {
		// Without the right to overwrite, a repetition of what has been done is forbidden too.
		if c.stored(ctx, a.Ref, want) == nil {
			return nil
		}
	}
	if err != nil {
		return refusal("storing", err)
	}
	if err := item.isAbout(a.Ref); err != nil {
		return err
	}
	got, err := item.digest()
	switch {
	case err != nil:
		return err
	case got.IsZero():
		return c.stored(ctx, a.Ref, want)
	case got != want:
		return fmt.Errorf("%w: sent %s, the server has %s", ErrStored, want, got)
	}
	return nil
}

// stored asks whether the file is there with the wanted bytes.
func (c *Client) stored(ctx context.Context, ref artifact.Ref, want artifact.Digest) error {
	info, err := c.info(ctx, ref)
	if errors.Is(err, artifact.ErrGone) { // said of the artifact this would mean something else
		return fmt.Errorf("%w: sent %s, the server has no file there", ErrStored, want)
	}
	if err != nil {
		return fmt.Errorf("reading back: %w", err)
	}
	if info.SHA256 != want {
		return fmt.Errorf("%w: sent %s, the server has %s", ErrStored, want, info.SHA256)
	}
	return nil
}

// Read returns a small file whole. A missing one is artifact.ErrGone, one of more than limit bytes ErrTooLarge. The
// bytes are not compared with anything: the caller verifies what it reads.
func (c *Client) Read(ctx context.Context, ref artifact.Ref, limit int64) ([]byte, error) {
	raw, err := c.read(ctx, ref, limit)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", ref, err)
	}
	return raw, nil
}

func (c *Client) read(ctx context.Context, ref artifact.Ref, limit int64) ([]byte, error) {
	p, err := c.itemPath(ref)
	if err != nil {
		return nil, err
	}
	var raw []byte
	err = c.do(ctx, request{call: callRead, method: http.MethodGet, url: c.base + p}, func(resp *http.Response) (err error) {
		raw, err = readAll(resp, limit)
		return err
	})
	return raw, gone(err)
}
