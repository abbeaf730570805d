package signing

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// sweepEvent is what the sweep tells policies: it cannot know which event was lost.
const sweepEvent = "sweep/repair"

// hopeful is how long a denial is looked at again by full sweeps: builds are published and properties set after uploads,
// and the event that tells of it may be lost.
const hopeful = 7 * 24 * time.Hour

// settled reports whether policies have answered about these very bytes.
func settled(k ledger.Known, digest artifact.Digest) bool {
	return k.Asked != nil && k.Subject == digest && slices.Contains([]ledger.State{ledger.Signed, ledger.Denied, ledger.Skipped}, k.State)
}

// decide asks the policies. What is settled is decided with the facts of its outcome, and so costs no request; what was
// signed, or left alone, also by the clock of then. All else is decided with fresh facts.
func (p *pass) decide(ctx context.Context, f *finding, subject artifact.Subject, k ledger.Known) (policy.Decision, error) {
	request := policy.Request{Subject: subject, Event: sweepEvent, At: time.Now()}
	needs := p.policies.Needs(subject.Ref, sweepEvent)
	if settled(k, subject.SHA256) && !p.again(f, k) && p.remembered(&request, k, needs) {
		return p.policies.Decide(request), nil
	}
	var err error
	if request.Facts, err = p.Service.facts.Gather(ctx, needs, subject, artifact.Subject{}); err != nil {
		return policy.Decision{}, err
	}
	return p.policies.Decide(request), nil
}

// remembered puts the facts of an outcome into a request; false when they are not those that are needed.
func (p *pass) remembered(request *policy.Request, k ledger.Known, needs policy.Needs) bool {
	then := k.Asked.Facts
	then.Known &^= k.Asked.Cut
	if needs&^then.Known != 0 {
		return false
	}
	request.Facts, request.Subject.Image.Platform = then, k.Asked.Platform
	if k.State != ledger.Denied { // which another hour of the week may change
		request.At = k.Asked.At
	}
	return true
}

// again reports whether fresh facts are worth their requests for what is settled: of what was denied, when somebody asks,
// and in full sweeps while the file is young.
func (p *pass) again(f *finding, k ledger.Known) bool {
	switch {
	case k.State != ledger.Denied || p.run.Kind == SweepPeriodic:
		return false
	case p.run.Kind == SweepFull:
		return time.Since(f.item.Updated) < hopeful
	}
	return true
}

// unknown judges what could not be decided for want of a fact. Work on it would end in the same way, once, so that its
// status says why. A passing trouble it returns.
func (p *pass) unknown(f *finding, k ledger.Known, err error) error {
	without, ok := errors.AsType[*facts.Unavailable](err)
	switch {
	case errors.Is(err, artifact.ErrGone):
		f.name = foundUncovered // since the page was read
	case !ok || artifactory.Temporary(err):
		return err
	default:
		f.name, f.reasons = foundRefused, []reason.Reason{without.Reason("hallmark sign " + f.item.Ref.String())}
		f.repair = k.State != ledger.Failed || k.Subject != f.item.SHA256
	}
	return nil
}
