package artifactory

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// Named answers which file a reference means that a person wrote. In a repository of images, repository/image:tag and
// repository/image@sha256:digest mean the manifest's file; every other reference means itself, without a request. In a virtual
// repository it is the file that is shown there. Where no manifest is found for a name, it answers where one would be.
func (c *Client) Named(ctx context.Context, ref artifact.Ref) (artifact.Ref, error) {
	n, ok := artifact.ParseImage(ref)
	if !ok {
		return ref, nil
	}
	found, err := c.named(ctx, n, ref)
	if err != nil {
		return artifact.Ref{}, fmt.Errorf("looking for the image %s: %w", ref, err)
	}
	return found, nil
}

func (c *Client) named(ctx context.Context, n artifact.RegistryName, ref artifact.Ref) (artifact.Ref, error) {
	repo, err := c.Repository(ctx, ref.Repo)
	if err != nil {
		return ref, err
	}
	if !artifact.IsRegistry(repo) {
		return ref, nil
	}
	files := n.Files()
	for _, f := range files {
		if repo.Class == artifact.Virtual {
			f, err = c.Locate(ctx, f)
		} else {
			_, err = c.Info(ctx, f)
		}
		if err == nil {
			return f, nil
		} else if !errors.Is(err, artifact.ErrGone) && !errors.Is(err, ErrNotFile) {
			return ref, err
		}
	}
	if !n.Digest.IsZero() { // pushed under a tag alone
		tagged, err := c.Manifest(ctx, ref.Repo, n.Image, n.Digest)
		if err == nil || !errors.Is(err, artifact.ErrGone) {
			return tagged, err
		}
	}
	return files[0], nil
}

// Manifest finds a manifest of an image by its digest, under whichever tag it stands; artifact.ErrGone when there is none.
func (c *Client) Manifest(ctx context.Context, repo, image string, d artifact.Digest) (artifact.Ref, error) {
	where, err := criteriaText([]object{
		{"type": "file"}, {"repo": repo}, {"sha256": d.String()}, {"path": object{"$match": image + "/*"}},
		{"$or": []object{{"name": "manifest.json"}, {"name": "list.manifest.json"}}},
	})
	if err != nil {
		return artifact.Ref{}, err
	}
	results, err := c.findItems(ctx, `items.find(`+where+`).include("repo","path","name","sha256").sort({"$asc":["path","name"]}).limit(100)`)
	if err != nil {
		return artifact.Ref{}, err
	}
	for _, r := range results {
		ref, err := artifact.NewRef(c.name, r.Repo, r.path())
		if err != nil || ref.Repo != repo || r.SHA256 != d.String() {
			continue
		}
		if at, ok := artifact.ImageAt(ref); ok && at.Name == image {
			return ref, nil
		}
	}
	return artifact.Ref{}, fmt.Errorf("%s/%s@sha256:%s: %w", repo, image, d, artifact.ErrGone)
}
