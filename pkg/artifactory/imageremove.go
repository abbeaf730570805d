package artifactory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// layerPrefix begins the names of layers and configurations beside a manifest; their digests follow.
const layerPrefix = "sha256__"

// RemoveTag deletes a tag of an image with its layers, if its manifest has the given bytes; if not, it is ErrChanged and
// nothing is deleted. ref is of the manifest's file. Nothing but these goes: the folder of the tag app of the image team
// holds the image team/app with all its tags, and where a folder or any other file lies there, the manifest and its layers
// are deleted one by one. The manifests that an index lists stand under their digests and stay: other tags may need them.
// Between the look and the deletion somebody may still push the tag anew: there is no conditional deletion. A tag that is
// not there is a success. A final no is *Refused.
func (c *Client) RemoveTag(ctx context.Context, ref artifact.Ref, digest artifact.Digest) error {
	if err := c.removeTag(ctx, ref, digest); err != nil {
		return fmt.Errorf("deleting the tag of %s: %w", ref, err)
	}
	return nil
}

func (c *Client) removeTag(ctx context.Context, ref artifact.Ref, digest artifact.Digest) error {
	if _, _, err := tagPlace(ref); err != nil {
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
	folder := ref
	folder.Path = ref.Dir()
	p, err := c.itemPath(folder)
	if err != nil {
		return err
	}
	if err := c.writable(ctx, folder); err != nil {
		return err
	}
	entries, err := c.folder(ctx, folder.Repo, folder.Path)
	switch {
	case isGone(err):
		return nil
	case err != nil:
		return fmt.Errorf("listing %s: %w", folder, err)
	case slices.ContainsFunc(entries, func(e Entry) bool { return e.Folder || e.Name != ref.Name() && layerDigest(e.Name).IsZero() }):
		return c.removeTagFiles(ctx, ref, digest, entries)
	}
	err = gone(c.do(ctx, request{call: callRemove, method: http.MethodDelete, url: c.base + p}, discard))
	if isGone(err) {
		return nil
	}
	return refusal("deleting", err)
}

// removeTagFiles deletes the manifest, so that there is no tag any more, then the layers that have the bytes that their
// names say, unless another manifest lies there that may need them.
func (c *Client) removeTagFiles(ctx context.Context, ref artifact.Ref, digest artifact.Digest, entries []Entry) error {
	if err := c.remove(ctx, ref, digest); err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name != ref.Name() && strings.HasSuffix(e.Name, "manifest.json") {
			return nil
		}
	}
	for _, e := range entries {
		d := layerDigest(e.Name)
		if e.Folder || d.IsZero() {
			continue
		}
		if err := c.remove(ctx, ref.Beside(e.Name), d); err != nil && !errors.Is(err, ErrChanged) {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}

// layerDigest is what the name of a layer says; zero for other names.
func layerDigest(name string) artifact.Digest {
	sum, ok := strings.CutPrefix(name, layerPrefix)
	d, err := artifact.ParseDigest(sum)
	if !ok || err != nil {
		return artifact.Digest{}
	}
	return d
}
