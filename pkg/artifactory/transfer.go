package artifactory

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Copy lets the server copy one file to another place of the same instance, with its properties. An answer says nothing
// about bytes: the source may have been replaced, and a repeated request may be refused because the first one worked.
// Ask Info about the target, whatever Copy returns. A final no is *Refused, a missing source artifact.ErrGone.
func (c *Client) Copy(ctx context.Context, from, to artifact.Ref) error {
	if err := c.copyFile(ctx, from, to); err != nil {
		return fmt.Errorf("copying %s to %s: %w", from, to.Repo, err)
	}
	return nil
}

func (c *Client) copyFile(ctx context.Context, from, to artifact.Ref) error {
	source, err := c.itemPath(from)
	if err != nil {
		return err
	}
	if _, err := c.itemPath(to); err != nil {
		return err
	}
	if err := c.writable(ctx, to); err != nil {
		return err
	}
	// Layouts stay out of it: without this, a server may rename what it copies between repositories of unlike layouts.
	u := c.base + "api/copy/" + source + "?to=" + strings.ReplaceAll(url.QueryEscape("/"+to.String()), "+", "%20") + "&suppressLayouts=1&failFast=1"
	return refusal("copying", gone(c.do(ctx, request{call: callCopy, method: http.MethodPost, url: u}, discard)))
}

// Remove deletes one file, if it has the given bytes; if not, it is ErrChanged and nothing is deleted. Between that look
// and the deletion somebody may still replace the file: there is no conditional deletion. A file that is not there is a
// success. A final no is *Refused.
func (c *Client) Remove(ctx context.Context, ref artifact.Ref, digest artifact.Digest) error {
	if err := c.remove(ctx, ref, digest); err != nil {
		return fmt.Errorf("deleting %s: %w", ref, err)
	}
	return nil
}

func (c *Client) remove(ctx context.Context, ref artifact.Ref, digest artifact.Digest) error {
	p, err := c.itemPath(ref)
	if err != nil {
		return err
	}
	if err := c.writable(ctx, ref); err != nil {
		return err
	}
	info, err := c.info(ctx, ref)
	switch {
	case isGone(err):
		return nil
	case err != nil:
		return err
	case info.SHA256 != digest || digest.IsZero():
		return fmt.Errorf("%w: it has the digest %s, not %s", ErrChanged, info.SHA256, digest)
	}
	err = gone(c.do(ctx, request{call: callRemove, method: http.MethodDelete, url: c.base + p}, discard))
	if isGone(err) {
		return nil
	}
	return refusal("deleting", err)
}
