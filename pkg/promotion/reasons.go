package promotion

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// withdrawn reports whether other bytes had arrived and nothing of them is left at the target.
func withdrawn(err error) bool {
	wrong, ok := errors.AsType[*arrivedError](err)
	return ok && wrong.standing == nil
}

// undecided notes that something could not be learnt about the promotion as a whole.
func (r *run) undecided(ctx context.Context, doing string, err error) {
	r.reasons = append(r.reasons, r.trouble(ctx, doing, err))
}

// trouble is a failure that says nothing about the artifact. Texts that were not made for callers stay in the log.
func (r *run) trouble(ctx context.Context, doing string, err error) reason.Reason {
	r.Log.WarnContext(ctx, "a step of a promotion failed", slog.String("step", doing), slog.Int64("promotion", r.id), slog.Any("error", err))
	found := "an internal error; see the service's log"
	if said := answer(err); said != "" {
		found = said
	}
	return reason.Reason{
		Code: reason.Undecided, Message: doing + " failed", Found: found, Expected: "Artifactory and the ledger answer, and the token may read there",
		Fix: "try again; if it stays: hallmark doctor", Who: "platform engineers",
	}
}

// answer is what Artifactory said or did not say; "" for errors that are not its own.
func answer(err error) string {
	if no, ok := errors.AsType[*artifactory.Refused](err); ok {
		return no.Error()
	}
	if st, ok := errors.AsType[*artifactory.StatusError](err); ok {
		return "Artifactory answers " + st.Error()
	}
	if artifactory.Temporary(err) {
		return "Artifactory cannot be reached, or did not answer in time"
	}
	return ""
}

// why turns the failure of a step into what users read.
func (r *run) why(ctx context.Context, it *item, err error) reason.Reason {
	again := "repeat the promotion; it goes on where it stopped"
	wrong, replaced := errors.AsType[*arrivedError](err)
	st, _ := errors.AsType[*artifactory.StatusError](err)
	_, refused := errors.AsType[*artifactory.Refused](err)
	if taken, ok := errors.AsType[*takenError](err); ok {
		return occupied(taken.at, "a file with the digest "+taken.is.String()+", which came after the gate's verdict; to come is "+it.digest.String())
	}
	if stray, ok := errors.AsType[*strayError](err); ok {
		return whyStray(it, stray)
	}
	if part, ok := errors.AsType[*partError](err); ok {
		return reason.Reason{
			Code: reason.StoreUnavailable, Message: "Artifactory carried only a part of the image", Found: part.Error(), Expected: "the image with all that it lists, at " + it.target.String(),
			Fix: again, Who: "the caller",
		}
	}
	switch {
	case replaced && wrong.standing != nil:
		r.Log.ErrorContext(ctx, "other bytes stand at the target of a promotion", slog.Int64("promotion", r.id), slog.Any("error", err), slog.Any("standing", wrong.standing))
		return reason.Reason{
			Code: reason.ArtifactChanged, Message: "the file was replaced between the gate and the promotion, AND WHAT WAS COPIED COULD NOT BE TAKEN AWAY AGAIN from " + wrong.at.Repo,
			Found: wrong.Error() + "; " + cmp.Or(answer(wrong.standing), wrong.standing.Error()), Expected: "one and the same file until it is promoted",
			Fix: "delete " + it.target.String() + " and its signature files now; then find out who replaced " + it.source.String(), Who: "the owners of " + it.target.Repo,
		}
	case replaced:
		return reason.Reason{
			Code: reason.ArtifactChanged, Message: "the file was replaced between the gate and the promotion; nothing of it is left at the target", Found: wrong.Error(),
			Expected: "one and the same file until it is promoted", Fix: "find out who replaced it, then repeat the promotion", Who: "the caller",
		}
	case errors.Is(err, artifactory.ErrChanged):
		return reason.Reason{
			Code: reason.ArtifactChanged, Message: "it stands at the target, and its source was replaced meanwhile and is left alone", Found: err.Error(),
			Expected: "the bytes that were promoted", Fix: "promote the new bytes under a new version", Who: "the caller",
		}
	case errors.Is(err, artifact.ErrGone):
		return reason.Reason{
			Code: reason.ArtifactGone, Message: "a file vanished while it was being promoted", Found: err.Error(),
			Expected: "the artifact and its signature files until they are promoted", Fix: "find out who deleted it; upload it again, then repeat the promotion", Who: "the caller",
		}
	case refused, st != nil && (st.Status == http.StatusForbidden || st.Status == http.StatusUnauthorized):
		return reason.Reason{
			Code: reason.PromotionRefused, Message: "Artifactory refused a step of the promotion", Found: err.Error(),
			Expected: "the promoting identity may read, deploy and annotate in " + it.target.Repo + ", and for a move delete in " + it.source.Repo,
			Fix:      "grant the rights and check them with hallmark doctor, then " + again, Who: "Artifactory administrators",
		}
	case answer(err) != "":
		return reason.Reason{
			Code: reason.StoreUnavailable, Message: "Artifactory did not answer as it should", Found: answer(err),
			Expected: "Artifactory answers", Fix: again, Who: "the caller",
		}
	}
	why := r.trouble(ctx, "promoting "+it.source.String(), err)
	why.Fix = again
	return why
}
