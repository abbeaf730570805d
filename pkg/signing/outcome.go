package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// recordTimeout bounds the writes that must happen although the work itself was cancelled.
const recordTimeout = 5 * time.Second

// end closes the last step's clock.
func (r *run) end() { r.enter("") }

// signed is step 8 of the good way.
func (r *run) signed(ctx context.Context, w *work) error {
	out := r.outcome(w.subject.SHA256, ledger.Signed, nil)
	out.Policy, out.Rule, out.PolicySet = w.decision.Policy, w.decision.Rule, w.decision.Grant.SetDigest()
	for _, f := range w.files {
		out.Keys = appendNew(out.Keys, f.key)
		out.Files = append(out.Files, f.name)
	}
	if err := r.Ledger.Finish(ctx, out); err != nil {
		return fmt.Errorf("recording the outcome: %w", err)
	}
	r.metrics.outcomes.WithLabelValues(string(out.State)).Inc()
	r.metrics.eventToSigned.Observe(time.Since(r.event.ReceivedAt).Seconds())
	r.Log.DebugContext(ctx, "signed", slog.String("artifact", r.ref.String()), slog.String("digest", w.subject.SHA256.String()))
	return nil
}

// settle ends an artifact that gets no signature: denied with its reasons on the artifact, or skipped without a trace
// on it.
func (r *run) settle(ctx context.Context, subject artifact.Subject, d policy.Decision) error {
	out := r.outcome(subject.SHA256, ledger.Skipped, d.Denied)
	out.Policy, out.Rule, out.PolicySet = d.Policy, d.Rule, r.Policies().Digest()
	if len(d.Denied) > 0 {
		out.State = ledger.Denied
		if err := r.client.Merge(ctx, r.ref, deniedProperties(d.Denied)); err != nil {
			return &markError{err: err}
		}
	}
	r.enter(stepRecord)
	if err := r.Ledger.Finish(ctx, out); err != nil {
		return fmt.Errorf("recording the outcome: %w", err)
	}
	r.metrics.outcomes.WithLabelValues(string(out.State)).Inc()
	return nil
}

// abandon gives back the intents that were recorded but not fulfilled, so that another job need not wait for them.
func (r *run) abandon(ctx context.Context, w *work, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	for _, in := range w.intents {
		if err := r.Ledger.Abandon(ctx, in.record.ID, cause.Error()); err != nil {
			return errors.Join(cause, fmt.Errorf("abandoning the intent: %w", err))
		}
	}
	return cause
}

// fail turns an error into the ledger's state and the queue's verdict on when to come back.
func (r *run) fail(ctx context.Context, digest artifact.Digest, cause error) error {
	state, why, back := r.judge(cause)
	if state == "" {
		return back
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := r.Ledger.Finish(ctx, r.outcome(digest, state, why)); err != nil {
		return errors.Join(cause, fmt.Errorf("recording the failure: %w", err))
	}
	r.metrics.outcomes.WithLabelValues(string(state)).Inc()
	return back
}

// judge is the table of what can go wrong: the state it leaves, the reason users read, and when the job comes back.
func (r *run) judge(cause error) (ledger.State, []reason.Reason, error) {
	var (
		path    *pathError
		changed *changedError
		said    interface{ reason(*run) reason.Reason }
	)
	switch {
	case errors.Is(cause, artifact.ErrGone):
		return ledger.Gone, []reason.Reason{{Code: reason.ArtifactGone, Message: "the artifact was deleted before it was signed"}}, nil
	case errors.Is(cause, ledger.ErrBusy), errors.Is(cause, ledger.ErrSealed), errors.Is(cause, context.Canceled):
		return "", nil, cause // nothing happened; the job comes back by itself
	case errors.As(cause, &path):
		return ledger.Failed, []reason.Reason{path.reason(r)}, job.Permanent(cause)
	case errors.As(cause, &changed):
		return ledger.Changed, []reason.Reason{changed.reason(r)}, job.After(busyWait, cause)
	case errors.Is(cause, artifactory.ErrChanged):
		return ledger.Changed, []reason.Reason{{Code: reason.ArtifactChanged, Message: "the artifact was replaced before it was signed; its new bytes are decided afresh"}}, job.After(busyWait, cause)
	case errors.As(cause, &said):
		if wait := artifactory.RetryAfter(cause); wait > 0 {
			return ledger.Failed, []reason.Reason{said.reason(r)}, job.After(wait, cause)
		}
		return ledger.Failed, []reason.Reason{said.reason(r)}, cause
	default:
		return ledger.Failed, []reason.Reason{{
			Code: reason.Undecided, Message: "an internal step failed; it is tried again", Found: "see the service's log for this artifact",
			Who: "platform engineers",
		}}, cause
	}
}

func (r *run) outcome(digest artifact.Digest, state ledger.State, why []reason.Reason) ledger.Outcome {
	return ledger.Outcome{
		Ref: r.ref, Subject: digest, State: state, Reasons: why, EventID: r.event.ID,
		ReceivedAt: r.event.ReceivedAt, At: time.Now(),
	}
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}
