package promotion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// readBundle reads a bundle, and before that the digest of its record, which no second bundle of the name has.
func (r *run) readBundle(ctx context.Context) (artifact.Bundle, artifact.Digest, error) {
	ref, err := r.client.BundleRef(r.req.Bundle.Project, r.req.Bundle.Name, r.req.Bundle.Version)
	if err != nil {
		return artifact.Bundle{}, artifact.Digest{}, err
	}
	record, err := r.client.Info(ctx, ref)
	if err != nil {
		return artifact.Bundle{}, artifact.Digest{}, err
	}
	b, err := r.client.Bundle(ctx, ref)
	return b, record.SHA256, err
}

// sameBundle reads the bundle again, right before Artifactory is asked to promote it: Artifactory takes a name, and whoever
// may delete a bundle can make another one of the same name.
func (r *run) sameBundle(ctx context.Context) (now artifact.Bundle, same bool) {
	now, record, err := r.readBundle(ctx)
	if err != nil {
		r.reasons = append(r.reasons, r.whyBundle(ctx, err))
		return now, false
	}
	if record != r.frozen || len(r.extra(now)) > 0 || len(now.Contents) != len(r.bundle.Contents) {
		why := r.remade("the release bundle was deleted and made again since the gate's verdict; nothing was promoted")
		why.Found = "a record with the digest " + record.String()
		r.reasons = append(r.reasons, why)
		return now, false
	}
	return now, true
}

func (r *run) remade(message string) reason.Reason {
	return reason.Reason{
		Code: reason.ArtifactChanged, Message: message, Expected: "the record that was judged, with the digest " + r.frozen.String(),
		Fix: "find out who made the bundle again; then repeat the promotion", Who: "the bundle's owner",
	}
}

// extra is what a bundle holds and the judged one did not.
func (r *run) extra(now artifact.Bundle) []artifact.Bundled {
	judged := map[artifact.Bundled]bool{}
	for _, c := range r.bundle.Contents {
		judged[c] = true
	}
	extra := map[artifact.Bundled]bool{}
	for _, c := range now.Contents {
		if !judged[c] {
			extra[c] = true
		}
	}
	return slices.SortedFunc(maps.Keys(extra), func(a, b artifact.Bundled) int { return strings.Compare(a.Ref.String(), b.Ref.String()) })
}

// stillSame reads the bundle once more after it was promoted, or failed to be with the given error. What entered and was
// not judged is taken away again, as far as it is certain that this promotion brought it. It returns when the promotion
// began by Artifactory's clock; zero when nothing tells.
func (r *run) stillSame(ctx context.Context, before artifact.Bundle, failure error) (began time.Time, same bool) {
	if failed, ok := errors.AsType[*artifactory.PromotionFailed](failure); ok {
		began = failed.Began
	}
	now, record, err := r.readBundle(ctx)
	switch {
	case err != nil && failure != nil:
		return began, false // what failed is told already
	case errors.Is(err, artifact.ErrGone):
		why := r.remade("the release bundle was deleted while it was promoted, AND NOBODY CAN TELL WHETHER WHAT WAS PROMOTED IS WHAT WAS JUDGED")
		why.Found, why.Fix, why.Who = "no release bundle "+r.req.Bundle.String(), "look for what came to "+r.into()+" since "+r.at.Format(time.RFC3339), "the owners of "+r.into()
		r.reasons = append(r.reasons, why)
		return began, false
	case err != nil:
		r.undecided(ctx, "reading the release bundle once more after its promotion", err)
		return began, false
	case record == r.frozen && len(r.extra(now)) == 0:
		return began, true
	}
	if i := slices.IndexFunc(now.Promotions, func(p artifact.BundlePromotion) bool {
		return p.Environment == r.req.Bundle.Environment && p.Status == "COMPLETED"
	}); i >= 0 && failure == nil && !slices.ContainsFunc(before.Promotions, func(p artifact.BundlePromotion) bool { return p.At.Equal(now.Promotions[i].At) }) {
		began = now.Promotions[i].At
	}
	message := "the release bundle was deleted and made again while it was promoted"
	found := r.expel(ctx, r.extra(now), began)
	if len(found) == 0 {
		found = []string{"a record with the digest " + record.String() + ", and nothing more at the target than was judged"}
	} else {
		message += ", AND WHAT WAS NOT JUDGED CAME TO THE TARGET"
	}
	r.told(reason.ArtifactChanged, message, found, r.remade(""))
	return began, false
}

// expel takes contents that were not judged away from the targets, and names them.
func (r *run) expel(ctx context.Context, extra []artifact.Bundled, began time.Time) (found []string) {
	for _, c := range extra {
		for _, repo := range r.targets {
			at := c.Ref
			at.Repo = repo
			info, err := r.client.Info(ctx, at)
			if errors.Is(err, artifact.ErrGone) || errors.Is(err, artifactory.ErrNotFile) || err == nil && info.SHA256 != c.SHA256 {
				continue
			}
			if err == nil {
				err = r.ours(ctx, info, began)
			}
			if err == nil {
				err = r.client.Remove(ctx, at, c.SHA256)
			}
			if err != nil {
				found = append(found, fmt.Sprintf("%s, WHICH STANDS THERE: %s", at, cmp.Or(answer(err), err.Error())))
				continue
			}
			found = append(found, at.String()+", which was taken away again")
		}
	}
	return found
}
