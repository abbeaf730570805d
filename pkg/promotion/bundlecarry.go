package promotion

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// promoteBundle is the beginning of step 4: Artifactory carries the contents, all at once. When that fails, what it left
// at the target is taken away again, so that the next run finds the target as this one did: Artifactory does not promote
// over what is there.
func (r *run) promoteBundle(ctx context.Context) bool {
	there := !slices.ContainsFunc(r.items, func(it *item) bool { return !it.there })
	complete := slices.ContainsFunc(r.bundle.Promotions, func(p artifact.BundlePromotion) bool {
		return p.Environment == r.req.Bundle.Environment && p.Status == "COMPLETED"
	})
	if there && complete {
		return true
	}
	r.meter.phase(PhaseCarrying, len(r.items))
	err := r.client.PromoteBundle(ctx, r.bundle, r.req.Bundle.Environment, r.targets, false)
	if err == nil {
		return true
	}
	r.Log.WarnContext(ctx, "a release bundle was not promoted", slog.Int64("promotion", r.id), slog.Any("error", err))
	r.reasons = append(r.reasons, r.whyBundle(ctx, err))
	if !artifactory.Temporary(err) && ctx.Err() == nil { // else it may be going on
		r.meter.phase(PhaseWithdrawing, len(r.items))
		r.each(ctx, false, func(seq int, it *item) bool { return r.recall(ctx, seq, it) })
	}
	return false
}

// recall takes away what a failed promotion has put at the target.
func (r *run) recall(ctx context.Context, seq int, it *item) bool {
	if it.there || it.known {
		return true
	}
	info, err := r.client.Info(ctx, it.target)
	switch {
	case errors.Is(err, artifact.ErrGone):
		return true
	case err == nil && info.SHA256 != it.digest:
		err = &takenError{at: it.target, is: info.SHA256}
	case err == nil && it.image != nil && tagged(it.target):
		err = r.client.RemoveTag(ctx, it.target, it.digest)
	case err == nil:
		err = r.client.Remove(ctx, it.target, it.digest)
	}
	if err == nil {
		return r.settle(ctx, seq, it, ledger.ItemWithdrawn)
	}
	it.reasons = append(it.reasons, reason.Reason{
		Code: reason.PromotionRefused, Message: "A FAILED PROMOTION LEFT IT AT THE TARGET, and it could not be taken away again", Found: cmp.Or(answer(err), err.Error()),
		Expected: "nothing at " + it.target.String() + ", or all of the release bundle", Fix: "delete " + it.target.String() + ", then repeat the promotion", Who: "the owners of " + it.target.Repo,
	})
	return r.settle(ctx, seq, it, ledger.ItemFailed)
}

func tagged(ref artifact.Ref) bool {
	at, ok := artifact.ImageAt(ref)
	return ok && at.Tag != ""
}

func (r *run) whyBundle(ctx context.Context, err error) reason.Reason {
	name, again := r.req.Bundle.String(), "repeat the promotion"
	why := reason.Reason{
		Code: reason.StoreUnavailable, Message: "Artifactory did not promote the release bundle", Found: answer(err),
		Expected: "Artifactory promotes " + name, Fix: again, Who: "the caller",
	}
	failed, ended := errors.AsType[*artifactory.PromotionFailed](err)
	st, _ := errors.AsType[*artifactory.StatusError](err)
	_, refused := errors.AsType[*artifactory.Refused](err)
	switch {
	case errors.Is(err, artifact.ErrGone):
		why.Code, why.Found = reason.ArtifactGone, "release bundle "+name+" is not there any more"
		why.Fix, why.Who = "find out who deleted it", "the bundle's owner"
	case ended:
		why.Code, why.Found = reason.PromotionRefused, failed.Error()
		why.Fix = "mend what Artifactory says; what stands at the target with equal bytes may be in its way; then " + again
	case refused, st != nil && (st.Status == http.StatusForbidden || st.Status == http.StatusUnauthorized):
		why.Code, why.Found, why.Who = reason.PromotionRefused, err.Error(), "Artifactory administrators"
		why.Fix = "grant the promotion identity Read and Promote on release bundles and Deploy on every target, each target in the environment; release bundles need the licence Enterprise+; then " + again
	case why.Found == "":
		why = r.trouble(ctx, "promoting release bundle "+name, err)
		why.Fix = again
	}
	return why
}

// carryBundled completes what Artifactory has carried: it must be what was judged; then the signatures that it did not
// carry, then the properties.
func (r *run) carryBundled(ctx context.Context, it *item) error {
	if it.image != nil {
		lacks, layer, err := r.lacking(ctx, it)
		if err != nil {
			return err
		}
		if lacks != "" && !layer {
			return &partError{lacks: lacks}
		}
		for n, s := range it.image.subjects {
			if err := r.carrySignatures(ctx, s, it.image.at(it.target, n), it.filesOf(n)); err != nil {
				return err
			}
		}
		return r.mark(ctx, it)
	}
	is, err := r.client.Info(ctx, it.target)
	switch {
	case errors.Is(err, artifact.ErrGone):
		return &partError{lacks: it.target.String()}
	case err != nil:
		return err
	case is.SHA256 != it.digest:
		return &takenError{at: it.target, is: is.SHA256}
	case it.signature:
		return nil
	}
	for _, f := range it.files {
		to := it.target.Beside(f.name)
		if now, err := r.client.Info(ctx, to); f.there || err == nil && now.SHA256 == f.digest {
			continue // the bundle held it
		}
		if _, err := r.copyFile(ctx, it.source.Beside(f.name), to, f.digest); err != nil {
			return err
		}
	}
	return r.mark(ctx, it)
}
