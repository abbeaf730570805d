package promotion

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/signing"
)

// copyAll is step 4. After a failure nothing new is begun.
func (r *run) copyAll(ctx context.Context) bool {
	next := ledger.ItemDone
	if r.req.Move {
		next = ledger.ItemCopied
	}
	r.meter.phase(PhaseCarrying, len(r.items))
	return r.each(ctx, true, func(seq int, it *item) bool {
		if it.state == ledger.ItemWaiting && !r.settle(ctx, seq, it, ledger.ItemBegun) {
			return false
		}
		if err := r.carry(ctx, it); err != nil {
			r.failed(ctx, seq, it, err)
			return false
		}
		return r.settle(ctx, seq, it, next)
	})
}

// each does one thing to every item, several at once; with brake, only until one fails. What went well counts as a step of
// the phase; it reports whether all did.
func (r *run) each(ctx context.Context, brake bool, do func(seq int, it *item) bool) bool {
	return r.every(ctx, brake, func(seq int, it *item) bool {
		ok := do(seq, it)
		if ok {
			r.meter.step()
		}
		return ok
	})
}

// every is each without counting.
func (r *run) every(ctx context.Context, brake bool, do func(seq int, it *item) bool) bool {
	var bad atomic.Bool
	group := errgroup.Group{}
	group.SetLimit(parallel)
	for seq, it := range r.items {
		group.Go(func() error {
			if brake && bad.Load() || ctx.Err() != nil || !do(seq, it) {
				bad.Store(true)
			}
			return nil
		})
	}
	_ = group.Wait()
	return !bad.Load()
}

// carry brings one artifact to the target: its signature files, then itself, then its properties. When other bytes than
// those of the verdict arrive, everything that this run has put there is taken away again.
func (r *run) carry(ctx context.Context, it *item) error {
	switch {
	case it.known:
		return nil
	case r.way.kind == KindBundle:
		return r.carryBundled(ctx, it)
	case it.image != nil:
		return r.carryImage(ctx, it)
	}
	for i := range it.files {
		f := &it.files[i]
		if f.there {
			continue
		}
		came, err := r.copyFile(ctx, it.source.Beside(f.name), it.target.Beside(f.name), f.digest)
		if err != nil {
			return r.withdraw(ctx, it, it.files[:i], err)
		}
		f.there = !came
	}
	if !it.there {
		if _, err := r.copyFile(ctx, it.source, it.target, it.digest); err != nil {
			return r.withdraw(ctx, it, it.files, err)
		}
	}
	return r.mark(ctx, it)
}

// arrivedError: what arrived at the target is not what was judged.
type arrivedError struct {
	at       artifact.Ref
	was, is  artifact.Digest
	standing error // why it could not be taken away again; nil when it was, or never arrived
}

func (e *arrivedError) Error() string {
	return fmt.Sprintf("%s was judged with the digest %s and now has %s", e.at, e.was, e.is)
}
func (e *arrivedError) Unwrap() error { return e.standing }

// copyFile copies one file and believes only what the server reports about the target. It overwrites nothing: other bytes
// that came to stand there since the verdict are takenError, and stay. Only what the server says that it copied is taken
// away again. came is false where the very bytes stood there already. Between the look and the copy somebody may still put
// a file there: there is no conditional copy.
func (r *run) copyFile(ctx context.Context, from, to artifact.Ref, want artifact.Digest) (came bool, err error) {
	now, err := r.client.Info(ctx, from)
	if err != nil {
		return false, err
	}
	if now.SHA256 != want {
		return false, &arrivedError{at: from, was: want, is: now.SHA256}
	}
	before, err := r.client.Info(ctx, to)
	switch {
	case err == nil && before.SHA256 == want:
		return false, nil
	case err == nil:
		return false, &takenError{at: to, is: before.SHA256}
	case !errors.Is(err, artifact.ErrGone):
		return false, err
	}
	copied := r.client.Copy(ctx, from, to)
	is, err := r.client.Info(ctx, to)
	switch {
	case errors.Is(err, artifact.ErrGone):
		if copied == nil {
			copied = fmt.Errorf("copying %s: Artifactory says that it was done, and nothing is at %s", from, to)
		}
		return false, copied
	case err != nil:
		return false, fmt.Errorf("looking at what was copied: %w", errors.Join(copied, err))
	case is.SHA256 == want:
		return true, nil // also when the answer got lost, and the repetition was refused because it had worked
	case copied != nil:
		return false, r.whose(ctx, from, is, want)
	}
	wrong := &arrivedError{at: to, was: want, is: is.SHA256}
	if err := r.client.Remove(ctx, to, is.SHA256); err != nil {
		wrong.standing = err
	}
	return true, wrong
}

// whose tells what stands at the target after a step that the server did not say to have done: what somebody else has put
// there, if the source has still the bytes of the verdict; else nobody can tell. It stays in either case.
func (r *run) whose(ctx context.Context, from artifact.Ref, is artifact.Info, want artifact.Digest) error {
	if now, err := r.client.Info(ctx, from); err == nil && now.SHA256 == want {
		return &takenError{at: is.Ref, is: is.SHA256}
	}
	return &arrivedError{at: is.Ref, was: want, is: is.SHA256, standing: errStands}
}

// withdraw takes the given signature files away again, of which this run copied those that are not marked as there, when
// the artifact that they are for will not come. After any other failure they stay: a second run goes on from there.
func (r *run) withdraw(ctx context.Context, it *item, files []file, cause error) error {
	wrong, replaced := errors.AsType[*arrivedError](cause)
	_, taken := errors.AsType[*takenError](cause)
	if !replaced && !taken {
		return cause
	}
	var left error
	for _, f := range files {
		if f.there {
			continue
		}
		if err := r.client.Remove(ctx, it.target.Beside(f.name), f.digest); err != nil {
			left = errors.Join(left, err)
		}
	}
	if replaced {
		wrong.standing = errors.Join(wrong.standing, left)
		return wrong
	}
	return errors.Join(cause, left)
}

// atTarget is the subject that the item is at the target.
func (it *item) atTarget() artifact.Subject {
	if it.image != nil {
		return it.image.at(it.target, len(it.image.subjects)-1)
	}
	return artifact.Subject{Kind: artifact.KindFile, Info: artifact.Info{Ref: it.target, SHA256: it.digest}}
}

// mark sets the properties at the target: those of the source, for not every server lets them follow, and Hallmark's own.
// Where a signing policy covers the target, that policy is carried out instead, like after any other event.
func (r *run) mark(ctx context.Context, it *item) error {
	props, err := r.client.Properties(ctx, it.source)
	if err != nil {
		return err
	}
	has, err := r.client.Properties(ctx, it.target)
	if err != nil {
		return err
	}
	set := map[string][]string{}
	for key, values := range props {
		if _, ok := has[key]; !ok && !signing.IsMark(key) && artifactory.Faithful(key, values) {
			set[key] = values
		}
	}
	follow, err := r.follows(ctx, it)
	if err != nil {
		return err
	}
	if !follow {
		demand, _ := r.policies.Demand(it.target)
		for key, values := range signing.Mark(it.digest, it.keys, strings.ReplaceAll(demand.Policy(), ", ", " ")) {
			set[key] = values
		}
	}
	if len(set) > 0 {
		if err := r.client.Merge(ctx, it.target, set); err != nil {
			return err
		}
	}
	if follow {
		return r.Follow(ctx, it.target, r.req.Caller)
	}
	return nil
}

// follows reports whether a signing policy covers what stands at the target now. Only where policies want to know more of it
// is Artifactory asked. Where facts cannot be learnt, one may: then the signing tells, which looks again.
func (r *run) follows(ctx context.Context, it *item) (bool, error) {
	const event = "request/sign"
	request := policy.Request{Subject: it.atTarget(), Event: event, At: time.Now()}
	needs := r.policies.Needs(it.target, event)
	if d := r.policies.Decide(request); needs == 0 && (d.Grant != nil || d.Rule == "") {
		return d.Grant != nil, nil
	}
	info, err := r.client.Info(ctx, it.target) // its size and times, and who brought it
	if err != nil {
		return false, err
	}
	if info.SHA256 != request.Subject.SHA256 {
		return false, &arrivedError{at: it.target, was: request.Subject.SHA256, is: info.SHA256, standing: errStands}
	}
	request.Subject.Info = info
	request.Facts, err = r.Facts(ctx, needs, request.Subject, request.Subject)
	if _, unknown := errors.AsType[*facts.Unavailable](err); unknown {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return r.policies.Decide(request).Grant != nil, nil
}
