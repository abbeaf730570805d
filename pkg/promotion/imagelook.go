package promotion

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

// image is what an item has besides a file: the manifests that an index lists, and last the one that stands for all.
type image struct {
	subjects []artifact.Subject // in the source
	parcels  []parcel           // of each of them, where Artifactory promotes the tag
}

// at is one of the manifests, at the target. Those without a tag stand under their digests on either side.
func (i *image) at(target artifact.Ref, n int) artifact.Subject {
	if len(i.subjects) == 0 { // an earlier promotion's
		return artifact.Subject{Kind: artifact.KindImage, Info: artifact.Info{Ref: target}}
	}
	s := i.subjects[n]
	if n < len(i.subjects)-1 {
		s.Ref.Repo = target.Repo
		return s
	}
	s.Ref, s.Image.Tag = target, tagIn(target)
	return s
}

func tagIn(ref artifact.Ref) string { return ref.Dir()[strings.LastIndexByte(ref.Dir(), '/')+1:] }

// lookImage finds out what the image consists of, which signatures of its parts count at the target, and what stands
// there.
func (r *run) lookImage(ctx context.Context, it *item) error {
	m, err := artifact.Resolve(ctx, r.client, it.source)
	if err != nil {
		return err
	}
	if m.Whole().SHA256 != it.digest {
		it.reasons = append(it.reasons, otherTag(m.Whole().SHA256, it.digest))
		return nil
	}
	it.image.subjects = m.Subjects
	whole := len(m.Subjects) - 1
	for i := range it.files {
		it.files[i].of = whole
	}
	if err := r.inspectParts(ctx, it); err != nil || len(it.reasons) > 0 {
		return err
	}
	if err := r.lookAtTag(ctx, it); err != nil || len(it.reasons) > 0 || r.way.kind != KindImage {
		return err
	}
	return r.lookForStrays(ctx, it)
}

// inspectParts finds the signatures of an index's manifests that count at the target. A manifest may have none: the
// index, which the gate let in, vouches for it.
func (r *run) inspectParts(ctx context.Context, it *item) error {
	parts := it.image.subjects[:len(it.image.subjects)-1]
	found, taken := make([][]file, len(parts)), make([]artifact.Info, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for n := range parts {
		group.Go(func() (err error) {
			found[n], err = r.inspectPart(ctx, it, n)
			if err != nil {
				return err
			}
			taken[n], err = r.client.Info(ctx, it.image.at(it.target, n).Ref)
			return ignoreGone(err)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for n, part := range parts {
		it.files = append(it.files, found[n]...)
		if is := taken[n].SHA256; !is.IsZero() && is != part.SHA256 {
			it.reasons = append(it.reasons, occupied(taken[n].Ref, "a file with the digest "+is.String()))
		}
	}
	return nil
}

func (r *run) inspectPart(ctx context.Context, it *item, n int) ([]file, error) {
	part, target := it.image.subjects[n], it.image.at(it.target, n)
	v := r.Inspect(ctx, gate.Request{Artifact: part.Ref, Target: target.Ref, Caller: r.req.Caller, Policies: r.policies, All: true})
	if !v.Decided {
		return nil, fmt.Errorf("inspecting %s: %w", part.Ref, errUndecided)
	}
	if v.SHA256 != part.SHA256 {
		return nil, nil // nothing guards its place; under its digest it cannot change
	}
	var found []file
	for _, s := range v.Signatures {
		if s.Along {
			found = append(found, file{name: s.File, digest: s.SHA256, format: s.Format, of: n})
		}
	}
	return found, nil
}

var errUndecided = errors.New("the gate could not learn what it needs")

// lookAtTag finds out what stands under the target's tag. Anything else than this image is a refusal.
func (r *run) lookAtTag(ctx context.Context, it *item) error {
	info, err := r.manifestAt(ctx, it.target)
	switch {
	case errors.Is(err, artifact.ErrGone):
		return nil
	case errors.Is(err, artifactory.ErrNotFile):
		it.reasons = append(it.reasons, occupied(it.target, "a folder"))
		return nil
	case err != nil:
		return err
	case info.SHA256 != it.digest || info.Ref != it.target:
		it.reasons = append(it.reasons, occupied(info.Ref, "an image with the digest sha256:"+info.SHA256.String()+"; to come is sha256:"+it.digest.String()))
		return nil
	}
	if lacks, _, err := r.lacking(ctx, it); err != nil || lacks != "" {
		return err
	}
	it.there = true
	for n := range it.image.subjects {
		has, err := r.signaturesOf(ctx, it.image.at(it.target, n), it.filesOf(n))
		if err != nil {
			return err
		}
		for i := range it.files {
			f := &it.files[i]
			f.there = f.there || f.of == n && has[f.digest] != nil
		}
	}
	return nil
}

// filesOf are the signatures of one of the item's manifests.
func (it *item) filesOf(n int) []file {
	return slices.DeleteFunc(slices.Clone(it.files), func(f file) bool { return f.of != n })
}

// signaturesOf reads those of the given signatures that a manifest has, by their digests.
func (r *run) signaturesOf(ctx context.Context, s artifact.Subject, want []file) (map[artifact.Digest][]byte, error) {
	found := map[artifact.Digest][]byte{}
	if len(want) == 0 {
		return found, nil
	}
	q := shelf.Query{Keys: r.Keys}
	for _, f := range want {
		if !slices.Contains(q.Formats, f.format) {
			q.Formats = append(q.Formats, f.format)
		}
	}
	likely, rest, err := shelf.Look(ctx, r.client, s, q)
	if err != nil {
		return nil, fmt.Errorf("looking for the signatures of %s: %w", s.Ref, err)
	}
	for _, spot := range append(likely, rest...) {
		content, err := spot.Read(ctx)
		if err != nil {
			continue // what cannot be read is not there; whom that is not enough will miss it
		}
		digest := artifact.Digest(sha256.Sum256(content))
		if slices.ContainsFunc(want, func(f file) bool { return f.digest == digest }) {
			found[digest] = content
		}
	}
	return found, nil
}

// lacking names what the target lacks of the image: a manifest, or a layer beside one. Layers are compared by the names
// that Artifactory gives them, which are their digests; it may keep one elsewhere, so that a layer that is not beside its
// manifest says little.
func (r *run) lacking(ctx context.Context, it *item) (what string, layer bool, err error) {
	for n, s := range it.image.subjects {
		target := it.image.at(it.target, n)
		info, err := r.client.Info(ctx, target.Ref)
		if errors.Is(err, artifact.ErrGone) {
			return target.Ref.String(), false, nil
		}
		if err != nil {
			return "", false, err
		}
		if info.SHA256 != s.SHA256 {
			return "", false, &arrivedError{at: target.Ref, was: s.SHA256, is: info.SHA256, standing: errStands}
		}
		here, err := r.client.Folder(ctx, s.Ref.Repo, s.Ref.Dir())
		if err != nil {
			return "", false, err
		}
		there, err := r.client.Folder(ctx, target.Ref.Repo, target.Ref.Dir())
		if err != nil && !errors.Is(err, artifact.ErrGone) {
			return "", false, err
		}
		for _, e := range here {
			if strings.HasPrefix(e.Name, "sha256__") && !slices.Contains(there, e) {
				what, layer = target.Ref.Beside(e.Name).String(), true
			}
		}
	}
	return what, layer, nil
}
