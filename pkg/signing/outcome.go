package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// recordTimeout bounds the writes that must happen although the work itself was cancelled.
const recordTimeout = 5 * time.Second

// signed is step 8 of the good way.
func (r *run) signed(ctx context.Context, w *work) error {
	out := r.outcome(w.subject.SHA256, ledger.Signed, nil)
	out.Policy, out.Rule, out.PolicySet = w.decision.Policy, w.decision.Rule, w.decision.Grant.SetDigest()
	out.Asked, out.Warnings = r.asked, w.decision.Warnings
	for _, p := range w.parts {
		out.Keys = append(out.Keys, p.key.Name)
		for _, f := range p.files {
			out.Files = append(out.Files, f.name)
		}
	}
	if err := r.finish(ctx, out); err != nil {
		return err
	}
	r.warn(ctx, w.decision)
	if !r.event.ReceivedAt.IsZero() {
		r.metrics.eventToSigned.Observe(time.Since(r.event.ReceivedAt).Seconds())
	}
	return nil
}

// settle ends an artifact that gets no signature: denied with its reasons on the artifact, or skipped without a mark on
// it. What was decided is recorded even when it cannot be written on the artifact.
func (r *run) settle(ctx context.Context, subject artifact.Subject, d policy.Decision) error {
	out := r.outcome(subject.SHA256, ledger.Skipped, nil)
	out.Policy, out.Rule, out.PolicySet = d.Policy, d.Rule, r.policies.Digest()
	out.Asked, out.Warnings = r.asked, d.Warnings
	var unmarked error
	switch {
	case len(d.Denied) > 0:
		out.State, out.Reasons = ledger.Denied, append(slices.Clone(d.Denied), r.lacking...)
		if err := r.mark(ctx, deniedProperties(subject.SHA256, d.Denied)); errors.Is(err, artifact.ErrGone) {
			return err
		} else if err != nil {
			failed := &storeError{op: "the properties", refused: reason.PropertyRefused, err: err}
			unmarked, out.Reasons = &recordedError{failed}, append(out.Reasons, failed.reason(r))
		}
	case r.parts > 0:
		out.State = ledger.Expanded
	default:
		out.Reasons = []reason.Reason{{
			Code: reason.NoPolicy, Message: "the artifact was left alone", Found: d.Skip, Expected: "a signing policy that matches, if the artifact is to be signed",
			Fix: "hallmark policy explain " + r.ref.String(), Who: "the owners of the signing policies",
		}}
	}
	if out.State == ledger.Skipped && !subject.SHA256.IsZero() {
		r.unmark(ctx, subject.SHA256)
	}
	r.enter(stepRecord)
	if err := r.finish(ctx, out); err != nil {
		return err
	}
	return unmarked
}

// refuse settles as denied a file whose content may not be signed, and one that a distrusted key would sign; every other
// cause it returns.
func (r *run) refuse(ctx context.Context, subject artifact.Subject, d policy.Decision, cause error) error {
	content, isContent := errors.AsType[*contentError](cause)
	key, isKey := errors.AsType[*distrustError](cause)
	switch {
	case isContent:
		d.Denied = []reason.Reason{content.reason(r)}
	case isKey:
		d.Denied = []reason.Reason{key.reason(d)}
	default:
		return cause
	}
	return r.settle(ctx, subject, d)
}

// denyWhole settles an index as denied because a manifest that it lists was.
func (r *run) denyWhole(ctx context.Context) error {
	refused := r.ref
	r.ref, r.digest, r.asked = r.whole.Ref, r.whole.SHA256, nil // the policies were not asked about it
	err := r.settle(ctx, r.whole, policy.Decision{Denied: []reason.Reason{{
		Code: reason.ImageIncomplete, Message: "a manifest that the index lists may not be signed, so the index is not", Found: refused.String(),
		Expected: "every manifest of the index signed", Fix: "hallmark status " + refused.String(), Who: "the owners of the signing policies",
	}}})
	if err != nil {
		return r.fail(ctx, r.whole.SHA256, err)
	}
	return nil
}

// abandon gives back the intents that were recorded but not fulfilled, so that another job need not wait for them.
func (r *run) abandon(ctx context.Context, w *work, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	errs := []error{cause}
	for _, p := range w.parts {
		if p.intent.ID == 0 {
			continue
		}
		if err := r.Ledger.Abandon(ctx, p.intent.ID, cause.Error()); err != nil {
			errs = append(errs, err)
		}
	}
	r.tell(ctx, w)
	return errors.Join(errs...)
}

// tell has the log know how the uses of keys ended, which the ledger knows by now.
func (r *run) tell(ctx context.Context, w *work) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	var uses []*notary.Use
	for _, p := range w.parts {
		uses = append(uses, p.use)
	}
	r.Notary.Ended(ctx, uses...)
}

// fail turns an error into the ledger's state and the queue's verdict on when to come back.
func (r *run) fail(ctx context.Context, digest artifact.Digest, cause error) error {
	if part := r.ref; r.whole.Ref != (artifact.Ref{}) && r.whole.Ref != part && errors.Is(cause, artifact.ErrGone) {
		cause = &artifact.MissingError{Index: r.whole.Ref, Manifests: []string{part.String()}} // the index is still there
	}
	state, why, back := r.judge(cause)
	if state == "" {
		return back
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if state == ledger.Failed && !artifactory.Temporary(cause) && !digest.IsZero() {
		r.unmark(ctx, truthful(cause, digest))
	}
	if err := r.finish(ctx, r.outcome(digest, state, []reason.Reason{why})); err != nil {
		return errors.Join(cause, err)
	}
	if r.whole.Ref != (artifact.Ref{}) && r.whole.Ref != r.ref { // a manifest of an index: the index is not done either
		r.ref = r.whole.Ref
		if !r.whole.SHA256.IsZero() {
			r.unmark(ctx, truthful(cause, r.whole.SHA256))
		}
		if err := r.finish(ctx, r.outcome(r.whole.SHA256, state, []reason.Reason{why})); err != nil {
			return errors.Join(cause, err)
		}
	}
	return back
}

// truthful is the digest whose mark may stay when an attempt has failed, after it was signed before: that of the bytes at
// hand. When Artifactory was seen not to serve their signature, no mark may.
func truthful(cause error, digest artifact.Digest) artifact.Digest {
	if isA[*unstoredError](cause) {
		return artifact.Digest{}
	}
	return digest
}

// unmark takes away what the properties say of other bytes that stood here before, of all when digest is zero: some servers
// keep properties when a file is overwritten, and "signed" would be a lie about these. It is tried, no more: the work comes
// back.
func (r *run) unmark(ctx context.Context, digest artifact.Digest) {
	if !takesMarks(r.whole.Kind) {
		return
	}
	props, err := r.client.Properties(ctx, r.ref)
	if err != nil || len(props[propState]) == 0 || !digest.IsZero() && slices.Contains(props[propSHA256], digest.String()) {
		return
	}
	if err := r.mark(ctx, noProperties()); err != nil {
		r.Log.WarnContext(ctx, "a mark that does not hold could not be taken away", slog.String("artifact", r.ref.String()), slog.Any("error", err))
	}
}

// finish makes an outcome durable, counts it, and keeps it for the log line.
func (r *run) finish(ctx context.Context, out ledger.Outcome) error {
	if err := r.Ledger.Finish(ctx, out); err != nil {
		return fmt.Errorf("recording the outcome: %w", err)
	}
	r.metrics.outcomes.WithLabelValues(string(out.State)).Inc()
	r.state = out.State
	return nil
}

func (r *run) outcome(digest artifact.Digest, state ledger.State, why []reason.Reason) ledger.Outcome {
	return ledger.Outcome{
		Ref: r.ref, Subject: digest, State: state, Reasons: append(slices.Clone(why), r.lacking...), EventID: r.event.ID,
		ReceivedAt: r.event.ReceivedAt, At: time.Now(), Parts: r.parts, Caller: r.event.Caller,
	}
}
