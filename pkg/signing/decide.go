package signing

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// decide is step 2: it looks up the facts that policies about this artifact ask for, and asks them.
func (r *run) decide(ctx context.Context, subject artifact.Subject) (policy.Decision, error) {
	r.asked = nil
	event := r.event.Domain + "/" + r.event.Type
	known, err := r.facts.Gather(ctx, r.policies.Needs(r.whole.Ref, event), subject, r.whole)
	if unknown, ok := errors.AsType[*facts.Unavailable](err); ok {
		return policy.Decision{}, &factsError{unknown}
	}
	if err != nil {
		return policy.Decision{}, err
	}
	request := policy.Request{Subject: subject, Whole: r.whole.Ref, Event: event, At: time.Now(), Facts: known}
	decision := r.policies.Decide(request)
	r.asked = request.Record(decision)
	return decision, nil
}

// warn tells what a policy that only warns would have refused.
func (r *run) warn(ctx context.Context, d policy.Decision) {
	if len(d.Warnings) == 0 {
		return
	}
	r.metrics.warnings.WithLabelValues(d.Policy).Inc()
	for _, w := range d.Warnings {
		r.Log.WarnContext(ctx, "signed, though a policy that only warns would refuse", slog.String("artifact", r.ref.String()), slog.String("policy", d.Rule),
			slog.String("rule", w.Rule), slog.String("reason", w.String()), slog.String("found", w.Found))
	}
}

// factsError: a fact that a policy looks at could not be learnt.
type factsError struct{ *facts.Unavailable }

func (e *factsError) Unwrap() error { return e.Unavailable }
func (e *factsError) reason(r *run) reason.Reason {
	return e.Unavailable.Reason("hallmark sign " + r.ref.String())
}
