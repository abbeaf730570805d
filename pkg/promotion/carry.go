package promotion

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
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
	var bad atomic.Bool
	group := errgroup.Group{}
	group.SetLimit(parallel)
	for seq, it := range r.items {
		group.Go(func() error {
			if brake && bad.Load() || ctx.Err() != nil || !do(seq, it) {
				bad.Store(true)
				return nil
			}
			r.meter.step()
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
		if err := r.copyFile(ctx, it.source.Beside(f.name), it.target.Beside(f.name), f.digest); err != nil {
			return r.withdraw(ctx, it, it.files[:i], err)
		}
	}
	if !it.there {
		if err := r.copyFile(ctx, it.source, it.target, it.digest); err != nil {
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

// copyFile copies one file and believes only what the server reports about the target. Nothing stood there before.
func (r *run) copyFile(ctx context.Context, from, to artifact.Ref, want artifact.Digest) error {
	now, err := r.client.Info(ctx, from)
	if err != nil {
		return err
	}
	if now.SHA256 != want {
		return &arrivedError{at: from, was: want, is: now.SHA256}
	}
	copied := r.client.Copy(ctx, from, to)
	is, err := r.client.Info(ctx, to)
	switch {
	case errors.Is(err, artifact.ErrGone):
		if copied == nil {
			copied = fmt.Errorf("copying %s: Artifactory says that it was done, and nothing is at %s", from, to)
		}
		return copied
	case err != nil:
		return fmt.Errorf("looking at what was copied: %w", errors.Join(copied, err))
	case is.SHA256 == want:
		return nil // also when the answer got lost, and the repetition was refused because it had worked
	}
	wrong := &arrivedError{at: to, was: want, is: is.SHA256}
	if err := r.client.Remove(ctx, to, is.SHA256); err != nil {
		wrong.standing = err
	}
	return wrong
}

// withdraw takes the given signature files away again when the artifact that they are for will not come. After any other
// failure they stay: a second run goes on from there.
func (r *run) withdraw(ctx context.Context, it *item, files []file, cause error) error {
	wrong, ok := errors.AsType[*arrivedError](cause)
	if !ok {
		return cause
	}
	for _, f := range files {
		if f.there {
			continue
		}
		if err := r.client.Remove(ctx, it.target.Beside(f.name), f.digest); err != nil {
			wrong.standing = errors.Join(wrong.standing, err)
		}
	}
	return wrong
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
	follow := r.policies.Decide(policy.Request{
		Subject: it.atTarget(), Event: "request/sign",
	}).Grant != nil
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
