package artifactory

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

// copiesAtOnce is how many contents one query asks for, as long as their paths are of the usual length.
const copiesAtOnce = 24

// Copies hands each file to found, once, that has the path and the bytes of one of some contents, in whatever repository:
// also the one that they came from. Where a content's bytes are unknown its path is enough. Answers come in pages that
// continue from a place, like those of Items, one query at a time. An error of found ends it and is returned. Files whose
// paths artifact.NewRef refuses are artifact.ErrUnnamed and an ErrPath, after all others were handed over.
func (c *Client) Copies(ctx context.Context, of []artifact.Bundled, found func(artifact.Info) error) error {
	f := builtFiles{client: c, found: found, seen: map[string]bool{}}
	for some := range slices.Chunk(of, copiesAtOnce) {
		either := make([]object, len(some))
		for i, x := range some {
			all := []object{{"path": path.Dir(x.Ref.Path)}, {"name": x.Ref.Name()}}
			if !x.SHA256.IsZero() {
				all = append(all, object{"sha256": x.SHA256.String()})
			}
			either[i] = object{"$and": all}
		}
		if err := f.pages(ctx, either, place{}); err != nil {
			return fmt.Errorf("looking for the contents of a release bundle: %w", err)
		}
	}
	if len(f.refused) > 0 {
		return fmt.Errorf("looking for the contents of a release bundle: %w: %w: %d of them, such as %q", ErrPath, artifact.ErrUnnamed, len(f.refused), f.refused[0])
	}
	return nil
}
