package signing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// recordTimeout bounds the writes that must happen although the work itself was cancelled.
const recordTimeout = 5 * time.Second

// signed is step 8 of the good way.
func (r *run) signed(ctx context.Context, w *work) error {
	out := r.outcome(w.subject.SHA256, ledger.Signed, nil)
	out.Policy, out.Rule, out.PolicySet = w.decision.Policy, w.decision.Rule, w.decision.Grant.SetDigest()
	for _, p := range w.parts {
		out.Keys = append(out.Keys, p.key.Name)
		for _, f := range p.files {
			out.Files = append(out.Files, f.name)
		}
	}
	if err := r.finish(ctx, out); err != nil {
		return err
	}
	if !r.event.ReceivedAt.IsZero() {
		r.metrics.eventToSigned.Observe(time.Since(r.event.ReceivedAt).Seconds())
	}
	return nil
}

// settle ends an artifact that gets no signature: denied with its reasons on the artifact, or skipped without a trace
// on it. What was decided is recorded even when it cannot be written on the artifact.
func (r *run) settle(ctx context.Context, subject artifact.Subject, d policy.Decision) error {
	out := r.outcome(subject.SHA256, ledger.Skipped, nil)
	out.Policy, out.Rule, out.PolicySet = d.Policy, d.Rule, r.policies.Digest()
	var unmarked error
	if len(d.Denied) > 0 {
		out.State, out.Reasons = ledger.Denied, d.Denied
		if err := r.client.Merge(ctx, r.ref, deniedProperties(d.Denied)); errors.Is(err, artifact.ErrGone) {
			return err
		} else if err != nil {
			failed := &storeError{op: "the properties", refused: reason.PropertyRefused, err: err}
			unmarked, out.Reasons = &recordedError{failed}, append(slices.Clone(d.Denied), failed.reason(r))
		}
	} else {
		out.Reasons = []reason.Reason{{
			Code: reason.NoPolicy, Message: d.Skip, Expected: "a signing policy that matches, if the artifact is to be signed",
			Fix: "hallmark policy explain " + r.ref.String(), Who: "the owners of the signing policies",
		}}
	}
	r.enter(stepRecord)
	if err := r.finish(ctx, out); err != nil {
		return err
	}
	return unmarked
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
	return errors.Join(errs...)
}

// fail turns an error into the ledger's state and the queue's verdict on when to come back.
func (r *run) fail(ctx context.Context, digest artifact.Digest, cause error) error {
	state, why, back := r.judge(cause)
	if state == "" {
		return back
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	if err := r.finish(ctx, r.outcome(digest, state, []reason.Reason{why})); err != nil {
		return errors.Join(cause, err)
	}
	return back
}

// judge is the table of what can go wrong: the state it leaves, the reason users read, and when the job comes back.
func (r *run) judge(cause error) (ledger.State, reason.Reason, error) {
	var said interface{ reason(*run) reason.Reason }
	switch {
	case errors.Is(cause, artifact.ErrGone):
		return ledger.Gone, reason.Reason{
			Code: reason.ArtifactGone, Message: "the artifact was deleted before it was signed", Found: "nothing at " + r.ref.String(),
		}, nil
	case errors.Is(cause, ledger.ErrBusy), errors.Is(cause, ledger.ErrNotLive):
		return "", reason.Reason{}, job.After(busyWait, cause) // another job is at it: wait for its signatures
	case errors.Is(cause, ledger.ErrSealed):
		return "", reason.Reason{}, job.After(0, cause) // made in the meantime by another job: look again and reuse
	case errors.Is(cause, context.Canceled):
		return "", reason.Reason{}, cause // the process ends; the job comes back by itself
	case errors.Is(cause, artifactory.ErrPath), errors.Is(cause, artifactory.ErrOtherItem):
		return ledger.Failed, (&pathError{cause}).reason(r), job.Permanent(cause)
	case errors.Is(cause, artifactory.ErrNotFile):
		return ledger.Skipped, reason.Reason{
			Code: reason.NotAFile, Message: "a folder is not signed, only the files in it", Found: r.ref.String() + " is a folder",
			Expected: "a file", Fix: "hallmark sign with the path of a file", Who: "the caller",
		}, nil
	case isA[*ownError](cause):
		return ledger.Skipped, reason.Reason{
			Code: reason.SignatureFile, Message: "a signature file is not signed itself", Found: r.ref.String(),
			Expected: "the artifact that it belongs to", Fix: "hallmark sign with the path of the artifact", Who: "the caller",
		}, nil
	case isA[*recordedError](cause):
		return "", reason.Reason{}, after(cause)
	case isA[*pathError](cause):
		errors.As(cause, &said)
		return ledger.Failed, said.reason(r), job.Permanent(cause)
	case isA[*changedError](cause), errors.Is(cause, artifactory.ErrChanged):
		return ledger.Changed, reason.Reason{
			Code: reason.ArtifactChanged, Message: "the artifact was replaced while it was being signed; its new bytes are decided afresh", Found: cause.Error(),
		}, job.After(busyWait, cause)
	case errors.As(cause, &said):
		return ledger.Failed, said.reason(r), after(cause)
	default:
		return ledger.Failed, reason.Reason{
			Code: reason.Undecided, Message: "an internal step failed; it is tried again", Found: "see the service's log for this artifact",
			Expected: "a ledger that can be read and written", Fix: "hallmark doctor", Who: "platform engineers",
		}, cause
	}
}

// after is the cause, to be tried again no sooner than Artifactory asked for.
func after(cause error) error {
	if wait := artifactory.RetryAfter(cause); wait > 0 {
		return job.After(wait, cause)
	}
	return cause
}

func isA[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
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
		Ref: r.ref, Subject: digest, State: state, Reasons: why, EventID: r.event.ID,
		ReceivedAt: r.event.ReceivedAt, At: time.Now(),
	}
}

// told is the reference as an event told it, fit to be recorded and nothing else: bytes that are not plain text are
// replaced.
func told(ev ledger.Event) artifact.Ref {
	plain := func(s string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsControl(c) {
				return unicode.ReplacementChar
			}
			return c
		}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	}
	return artifact.Ref{Instance: plain(ev.Instance), Repo: plain(ev.Repo), Path: plain(ev.Path)}
}
