package artifactory

import (
	"context"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Referred reads again what Refer has stored of a format and returned the place of: one signature of a format that is
// kept as a referrer, or none when it is not listed any more; of the format cosign-tag all that share the tag. Nothing else that is
// attached to the manifest is read. What Signatures says of damaged ones, and its errors, hold here, too.
func (c *Client) Referred(ctx context.Context, image artifact.Subject, format, where string) ([]StoredSignature, error) {
	found, err := c.referred(ctx, image, format, where)
	if err != nil {
		return nil, fmt.Errorf("reading a signature of %s again: %w", image.Ref, err)
	}
	return found, nil
}

func (c *Client) referred(ctx context.Context, image artifact.Subject, format, where string) ([]StoredSignature, error) {
	r, err := c.registry(ctx, image)
	if err != nil {
		return nil, err
	}
	if format == formatCosignTag {
		found, _, err := r.tagged()
		return found, err
	}
	index, err := r.referrers()
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(index.Manifests, func(d v1.Descriptor) bool { return d.Digest.String() == where })
	if i < 0 {
		return nil, nil
	}
	s, ok, err := r.bundle(index.Manifests[i])
	if err != nil || !ok {
		return nil, err
	}
	return []StoredSignature{s}, nil
}
