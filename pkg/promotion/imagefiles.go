package promotion

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// maxManifest bounds a manifest in bytes, as registries do.
const maxManifest = 4 << 20

// parcel is what belongs into the folder of one manifest, by name: itself, its configuration, its layers. Artifactory
// promotes the folder, whatever lies in it.
type parcel map[string]artifact.Digest

// packed reads what belongs to each of the image's manifests.
func (r *run) packed(ctx context.Context, subjects []artifact.Subject) ([]parcel, error) {
	parcels := make([]parcel, len(subjects))
	err := eachManifest(ctx, len(subjects), func(ctx context.Context, n int) error {
		s := subjects[n]
		content, err := r.client.Read(ctx, s.Ref, maxManifest)
		if err != nil {
			return err
		}
		if sha256.Sum256(content) != s.SHA256 {
			return fmt.Errorf("%w: %s", artifact.ErrBytes, s.Ref)
		}
		blobs, index, err := artifact.Blobs(content)
		if err == nil && index != (s.Ref.Name() == manifestFiles[1]) {
			err = fmt.Errorf("%w: an index is kept as %s, and an image is not; what it lists would not be looked at", artifact.ErrForm, manifestFiles[1])
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Ref, err)
		}
		parcels[n] = parcel{s.Ref.Name(): s.SHA256}
		for _, d := range blobs {
			parcels[n]["sha256__"+d.String()] = d
		}
		return nil
	})
	return parcels, err
}

// eachManifest does one thing for each of n manifests, several at once, until one fails.
func eachManifest(ctx context.Context, n int, do func(ctx context.Context, n int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}

// stray is what lies in the folder of a manifest and is none of its files, or not with the bytes that its name says. A
// folder has no digest.
type stray struct {
	ref    artifact.Ref
	digest artifact.Digest
	folder bool
}

// strays lists them in the folder of a manifest's file; without deep by their names alone. A folder that is not there has
// none.
func (r *run) strays(ctx context.Context, manifest artifact.Ref, p parcel, deep bool) ([]stray, error) {
	entries, err := r.client.Folder(ctx, manifest.Repo, manifest.Dir())
	if err != nil {
		return nil, ignoreGone(err)
	}
	var found []stray
	for _, e := range entries {
		s := stray{ref: manifest.Beside(e.Name), folder: e.Folder}
		want, ok := p[e.Name]
		if ok && !e.Folder && !deep {
			continue
		}
		if !e.Folder {
			info, err := r.client.Info(ctx, s.ref)
			if errors.Is(err, artifact.ErrGone) || errors.Is(err, artifactory.ErrNotFile) {
				continue
			}
			if err != nil {
				return nil, err
			}
			s.digest = info.SHA256
		}
		if e.Folder || !ok || s.digest != want {
			found = append(found, s)
		}
	}
	return found, nil
}

// strayError: files that are none of the image's would come, or came, with it.
type strayError struct {
	at       []artifact.Ref
	standing error // why those at the target could not be taken away again; nil when they were, or never came
}

func (e *strayError) Error() string {
	const most = 3
	var names []string
	for _, ref := range e.at[:min(most, len(e.at))] {
		names = append(names, ref.String())
	}
	if n := len(e.at) - most; n > 0 {
		names = append(names, fmt.Sprintf("%d more", n))
	}
	return strings.Join(names, ", ")
}
func (e *strayError) Unwrap() error { return e.standing }

// lookForStrays refuses an image in whose folders, on either side, lies anything else. A folder matters in the source:
// nobody promises that Artifactory leaves it behind.
func (r *run) lookForStrays(ctx context.Context, it *item) (err error) {
	it.image.parcels, err = r.packed(ctx, it.image.subjects)
	if errors.Is(err, artifact.ErrForm) {
		it.reasons = append(it.reasons, reason.Reason{
			Code: reason.ManifestUnreadable, Message: "a manifest of the image is not what it is listed as", Found: err.Error(),
			Expected: "manifests of the media types that the index lists", Fix: "push the image again", Who: "the image's owner",
		})
		return nil
	}
	if err != nil {
		return err
	}
	err = r.straysInSource(ctx, it, true)
	if wrong, ok := errors.AsType[*strayError](err); ok {
		it.reasons = append(it.reasons, whyStray(it, wrong))
		return nil
	}
	if err != nil {
		return err
	}
	there, err := r.straysAtTarget(ctx, it)
	for _, s := range there {
		it.reasons = append(it.reasons, occupied(s.ref, "a file that is none of the image's, with the digest "+s.digest.String()))
	}
	return err
}

// straysInSource is strayError when there are any.
func (r *run) straysInSource(ctx context.Context, it *item, deep bool) error {
	var mu sync.Mutex
	wrong := &strayError{}
	err := eachManifest(ctx, len(it.image.subjects), func(ctx context.Context, n int) error {
		found, err := r.strays(ctx, it.image.subjects[n].Ref, it.image.parcels[n], deep)
		mu.Lock()
		defer mu.Unlock()
		for _, s := range found {
			wrong.at = append(wrong.at, s.ref)
		}
		return err
	})
	if err != nil || len(wrong.at) == 0 {
		return err
	}
	slices.SortFunc(wrong.at, func(a, b artifact.Ref) int { return strings.Compare(a.Path, b.Path) })
	return wrong
}

// straysAtTarget are files only: a folder there may be another image, which was there before.
func (r *run) straysAtTarget(ctx context.Context, it *item) (all []stray, err error) {
	var mu sync.Mutex
	err = eachManifest(ctx, len(it.image.subjects), func(ctx context.Context, n int) error {
		found, err := r.strays(ctx, it.image.at(it.target, n).Ref, it.image.parcels[n], true)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, slices.DeleteFunc(found, func(s stray) bool { return s.folder })...)
		return err
	})
	return all, err
}

// dropStrays takes away what came to the target with an image and is none of its files: what the source has beside the
// manifest with the same bytes. Anything else there is somebody's own; it stays and is told.
func (r *run) dropStrays(ctx context.Context, it *item) error {
	found, err := r.straysAtTarget(ctx, it)
	if err != nil {
		return fmt.Errorf("looking for what came with the image: %w", err)
	}
	if len(found) == 0 {
		return nil
	}
	wrong := &strayError{}
	for _, s := range found {
		wrong.at = append(wrong.at, s.ref)
		err := errStands
		for n, sub := range it.image.subjects {
			if it.image.at(it.target, n).Ref.Dir() != s.ref.Dir() {
				continue
			}
			if from, bad := r.client.Info(ctx, sub.Ref.Beside(s.ref.Name())); bad == nil && from.SHA256 == s.digest {
				err = r.client.Remove(ctx, s.ref, s.digest)
			}
		}
		if err != nil {
			wrong.standing = errors.Join(wrong.standing, err)
		}
	}
	if wrong.standing != nil {
		r.Log.ErrorContext(ctx, "files that were not judged stand at the target of a promotion", slog.Int64("promotion", r.id), slog.String("files", wrong.Error()), slog.Any("error", wrong.standing))
	}
	return wrong
}

func whyStray(it *item, wrong *strayError) reason.Reason {
	why := reason.Reason{
		Code: reason.ImageForeign, Message: "files lie in the folder of the image that are none of its own; Artifactory promotes whatever lies there", Found: wrong.Error(),
		Expected: "one manifest, its configuration and its layers, each with the digest that it is named by", Fix: "delete or move away what does not belong there, then repeat the promotion", Who: "the owners of " + it.source.Repo,
	}
	if wrong.standing != nil {
		why.Message = "files that were not judged stand in the folder of the image at the target AND COULD NOT BE TAKEN AWAY"
		why.Fix, why.Who = "delete "+wrong.Error()+"; then find out who put it there", "the owners of "+it.target.Repo
	}
	return why
}
