package artifactory

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// imagePromotion is the body of a promotion that copies one tag.
type imagePromotion struct {
	TargetRepo  string `json:"targetRepo"`
	Image       string `json:"dockerRepository"`
	TargetImage string `json:"targetDockerRepository"`
	Tag         string `json:"tag"`
	TargetTag   string `json:"targetTag"`
	Copy        bool   `json:"copy"`
}

// PromoteImage has Artifactory copy what stands under a tag of an image into another repository: the manifest, its
// layers, and for an index the manifests that it lists. Both references are of a manifest's file: <image>/<tag>/<file>.
// Repeating it changes nothing. An answer says nothing about bytes, and a failure may leave some of it at the target: ask
// Info about the target, whatever PromoteImage returns. A final no is *Refused, a missing tag artifact.ErrGone.
func (c *Client) PromoteImage(ctx context.Context, from, to artifact.Ref) error {
	if err := c.promoteImage(ctx, from, to); err != nil {
		return fmt.Errorf("promoting image %s to %s: %w", from, to.Repo, err)
	}
	return nil
}

func (c *Client) promoteImage(ctx context.Context, from, to artifact.Ref) error {
	for _, ref := range []artifact.Ref{from, to} {
		if _, err := c.itemPath(ref); err != nil {
			return err
		}
	}
	image, tag, err := tagPlace(from)
	if err != nil {
		return err
	}
	targetImage, targetTag, err := tagPlace(to)
	if err != nil {
		return err
	}
	body, err := json.Marshal(imagePromotion{TargetRepo: to.Repo, Image: image, TargetImage: targetImage, Tag: tag, TargetTag: targetTag, Copy: true})
	if err != nil {
		return err
	}
	return refusal("promoting", gone(c.do(ctx, request{
		call: callPromote, method: http.MethodPost, url: c.base + "api/docker/" + segment(from.Repo) + "/v2/promote", body: body,
		headers: map[string]string{"Content-Type": "application/json"},
	}, discard)))
}

// tagPlace takes the place of a tagged manifest apart.
func tagPlace(ref artifact.Ref) (image, tag string, err error) {
	dir := ref.Dir()
	i := strings.LastIndexByte(dir, '/')
	if i <= 0 || strings.Contains(dir[i+1:], ":") || ref.Name() != "manifest.json" && ref.Name() != "list.manifest.json" {
		return "", "", fmt.Errorf("%w: %s is not the manifest of a tag", ErrPath, ref)
	}
	return dir[:i], dir[i+1:], nil
}
