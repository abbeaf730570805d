package promotion

import (
	"context"
	"errors"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// parallel bounds how many artifacts of one promotion are worked on at once.
const parallel = 8

// judge is step 2. It changes nothing.
func (r *run) judge(ctx context.Context) {
	r.meter.phase(PhaseJudging, len(r.items))
	r.until = time.Now().Add(r.req.Wait)
	group := errgroup.Group{}
	group.SetLimit(parallel)
	for _, it := range r.items {
		group.Go(func() error {
			if it.known {
				r.remember(ctx, it)
			} else {
				r.ask(ctx, it)
			}
			r.meter.step()
			return nil
		})
	}
	_ = group.Wait() // what went wrong stands in the items
}

// ask has the gate judge an artifact, and looks at what stands at the target if it may go.
func (r *run) ask(ctx context.Context, it *item) {
	v := r.Gate(ctx, gate.Request{Artifact: it.source, Target: it.target, Caller: r.req.Caller, Policies: r.policies, All: true, Wait: max(0, time.Until(r.until))})
	it.digest, it.rule, it.reasons = v.SHA256, v.Policy, v.Reasons
	switch {
	case !v.Decided:
		it.verdict = StateUndecided
		return
	case !v.Allow:
		it.verdict = StateRefused
		return
	}
	if it.signature { // the verdict on a signature file is about what it belongs to
		info, err := r.client.Info(ctx, it.source)
		if err != nil {
			it.verdict, it.reasons = StateUndecided, []reason.Reason{r.trouble(ctx, "looking at "+it.source.String(), err)}
			return
		}
		it.digest = info.SHA256
	}
	if !it.want.IsZero() && it.digest != it.want {
		it.verdict, it.reasons = StateRefused, []reason.Reason{r.way.other(r, it)}
		return
	}
	it.verdict = StateAllowed
	for _, s := range v.Signatures {
		if s.Along && !it.signature {
			it.files = append(it.files, file{name: s.File, digest: s.SHA256, format: s.Format})
			if !slices.Contains(it.keys, s.Key) {
				it.keys = append(it.keys, s.Key)
			}
		}
	}
	look := r.look
	if it.image != nil {
		look = r.lookImage
	}
	if err := look(ctx, it); err != nil {
		it.verdict, it.reasons = StateUndecided, append(it.reasons, r.trouble(ctx, "looking at "+it.target.String(), err))
	}
	if it.verdict == StateAllowed && len(it.reasons) > 0 {
		it.verdict = StateRefused
	}
}

// look finds out what stands at the target. Anything else than what is to come there is a refusal.
func (r *run) look(ctx context.Context, it *item) error {
	beside, err := r.folders.attachments(ctx, r, it.source)
	if err != nil {
		return err
	}
	for _, name := range beside {
		if !it.takes(name) {
			it.left = append(it.left, name)
		}
	}
	info, err := r.client.Info(ctx, it.target)
	switch {
	case errors.Is(err, artifact.ErrGone):
	case errors.Is(err, artifactory.ErrNotFile):
		it.reasons = append(it.reasons, occupied(it.target, "a folder"))
		return nil
	case err != nil:
		return err
	case info.SHA256 != it.digest:
		it.reasons = append(it.reasons, occupied(it.target, "a file with the digest "+info.SHA256.String()+"; to come is "+it.digest.String()))
		return nil
	default:
		it.there = true
	}
	return r.lookBeside(ctx, it)
}

// lookBeside compares the signature files at the target. Those of an artifact that is not there are for other bytes,
// unless they are the very files that are to come.
func (r *run) lookBeside(ctx context.Context, it *item) error {
	beside, err := r.folders.attachments(ctx, r, it.target)
	if err != nil {
		return err
	}
	for _, name := range beside {
		if !it.takes(name) {
			if !it.there {
				it.reasons = append(it.reasons, occupied(it.target.Beside(name), "a signature file of other bytes"))
			}
			continue
		}
		info, err := r.client.Info(ctx, it.target.Beside(name))
		if errors.Is(err, artifact.ErrGone) {
			continue
		}
		if err != nil {
			return err
		}
		for i := range it.files {
			switch f := &it.files[i]; {
			case f.name != name:
			case f.digest == info.SHA256:
				f.there = true
			default:
				it.reasons = append(it.reasons, occupied(it.target.Beside(name), "another signature file than the one that verified at "+it.source.Beside(name).String()))
			}
		}
	}
	return nil
}

// remember judges what an earlier promotion has brought to the target: it must stand there still. The gate let it in
// then, and there is no source any more that it could look at.
func (r *run) remember(ctx context.Context, it *item) {
	info, err := r.client.Info(ctx, it.target)
	switch {
	case errors.Is(err, artifact.ErrGone):
		it.verdict, it.reasons = StateRefused, []reason.Reason{{
			Code: reason.ArtifactGone, Message: "an earlier promotion moved it, and it is not at the target any more", Found: "nothing at " + it.source.String() + " and at " + it.target.String(),
			Expected: "the artifact at one of the two", Fix: "find out who deleted it; the ledger keeps the record of the promotion", Who: "the owners of " + it.target.Repo,
		}}
	case err != nil:
		it.verdict, it.reasons = StateUndecided, []reason.Reason{r.trouble(ctx, "looking at "+it.target.String(), err)}
	case info.SHA256 != it.digest:
		it.verdict, it.reasons = StateRefused, []reason.Reason{occupied(it.target, "a file with the digest "+info.SHA256.String()+"; promoted was "+it.digest.String())}
	default:
		it.verdict, it.there = StateAllowed, true
	}
}

func (it *item) takes(name string) bool {
	return slices.ContainsFunc(it.files, func(f file) bool { return f.name == name })
}

// occupied says that something stands where a promotion would write.
func occupied(at artifact.Ref, found string) reason.Reason {
	return reason.Reason{
		Code: reason.TargetOccupied, Message: "something else stands at " + at.String() + "; a promotion overwrites nothing", Found: found,
		Expected: "nothing, or the same bytes", Fix: "promote under another version; or, if it is to go, delete " + at.String(), Who: "the owners of " + at.Repo,
	}
}
