package promotion

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

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
	before, ok := r.sameBundle(ctx)
	if !ok || !r.every(ctx, true, func(seq int, it *item) bool { return r.lookAgain(ctx, seq, it) }) || !r.beginAll(ctx) {
		return false
	}
	r.meter.phase(PhaseCarrying, len(r.items))
	err := r.client.PromoteBundle(ctx, r.bundle, r.req.Bundle.Environment, r.targets, false)
	if err != nil {
		r.Log.WarnContext(ctx, "a release bundle was not promoted", slog.Int64("promotion", r.id), slog.Any("error", err))
		r.reasons = append(r.reasons, r.whyBundle(ctx, err))
	}
	if artifactory.Temporary(err) || ctx.Err() != nil { // it may be going on
		return false
	}
	began, same := r.stillSame(ctx, before, err)
	if err == nil && same {
		return true
	}
	r.meter.phase(PhaseWithdrawing, len(r.items))
	r.each(ctx, false, func(seq int, it *item) bool { return r.recall(ctx, seq, it, began) })
	return false
}

// lookAgain notes what came to the target since the verdict: it is not this promotion's, and is never taken away.
func (r *run) lookAgain(ctx context.Context, seq int, it *item) bool {
	if it.there || it.known {
		return true
	}
	info, err := r.client.Info(ctx, it.target)
	switch {
	case errors.Is(err, artifact.ErrGone):
		return true
	case err == nil && info.SHA256 == it.digest:
		it.there = true
		return true
	case err == nil:
		err = &takenError{at: it.target, is: info.SHA256}
	}
	r.failed(ctx, seq, it, err)
	return false
}

// recall takes away what a promotion that began at a time of Artifactory's has put at the target, and tells what may be
// somebody else's.
func (r *run) recall(ctx context.Context, seq int, it *item, began time.Time) bool {
	if it.known {
		return true
	}
	if it.there {
		return r.settle(ctx, seq, it, ledger.ItemWaiting)
	}
	info, err := r.client.Info(ctx, it.target)
	if errors.Is(err, artifact.ErrGone) {
		return r.settle(ctx, seq, it, ledger.ItemWaiting)
	}
	if err == nil && info.SHA256 != it.digest {
		err = &takenError{at: it.target, is: info.SHA256}
	}
	if err == nil {
		err = r.ours(ctx, info, began)
	}
	switch {
	case err == nil && it.image != nil && tagged(it.target):
		err = r.client.RemoveTag(ctx, it.target, it.digest)
	case err == nil:
		err = r.client.Remove(ctx, it.target, it.digest)
	}
	if err == nil {
		return r.settle(ctx, seq, it, ledger.ItemWithdrawn)
	}
	message := "A FAILED PROMOTION LEFT IT AT THE TARGET, and it could not be taken away again"
	if errors.Is(err, errForeign) {
		message = "it came to the target while the promotion failed, AND MAY BE SOMEBODY ELSE'S, so it was not taken away"
	}
	it.reasons = append(it.reasons, reason.Reason{
		Code: reason.PromotionRefused, Message: message, Found: cmp.Or(answer(err), err.Error()),
		Expected: "nothing at " + it.target.String() + ", or all of the release bundle", Fix: "if nobody else put it there, delete " + it.target.String() + "; then repeat the promotion", Who: "the owners of " + it.target.Repo,
	})
	return r.settle(ctx, seq, it, ledger.ItemFailed)
}

// errForeign: nothing tells that this promotion put it there.
var errForeign = errors.New("nothing tells that this promotion put it there")

// ours is nil for what came to the target after a promotion began there, by the same clock, and that no other promotion on
// record has carried.
func (r *run) ours(ctx context.Context, at artifact.Info, began time.Time) error {
	if began.IsZero() || at.Created.Before(began) {
		return fmt.Errorf("%s was made there at %s by %.100q: %w", at.Ref, at.Created.Format(time.RFC3339), at.CreatedBy, errForeign)
	}
	const skew = time.Minute // between the clocks of replicas
	claimed, err := r.Ledger.Claimed(ctx, at.Ref, r.id, r.at.Add(-skew))
	switch {
	case err != nil:
		r.trouble(ctx, "asking the ledger who promoted "+at.Ref.String(), err)
		return fmt.Errorf("the ledger does not answer: %w", errForeign)
	case claimed:
		return fmt.Errorf("another promotion on record has %s: %w", at.Ref, errForeign)
	}
	return nil
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
