// Package signing is the spine of the product: the one way an artifact takes from "something happened there" to
// "signed, and Artifactory says so". Service.Do, run.sign and run.make below read as the eight steps that the README
// numbers.
package signing

import (
	"context"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// Do takes what one event points at through the eight steps. The event is a hint: it decides only where to look.
//
// Do is safe to call any number of times, concurrently and after a crash at any point, with the same event or another
// one about the same bytes: signatures that exist are attached again, not made again, and nothing is marked as signed
// before its signature files are stored and were verified there. It returns nil when the matter is settled (signed, denied, skipped, gone, expanded);
// job.After and job.Permanent errors say when and whether to come back, any other error asks for a retry. Whatever it
// returns, the ledger holds the state and the reason, except while another job is at the same bytes: its outcome counts.
func (s *Service) Do(ctx context.Context, ev ledger.Event) error {
	r := s.start(ev)
	defer r.end(ctx)

	// 1 resolve: which subjects the reference means, with the facts Artifactory itself reports about each.
	r.enter(stepResolve)
	meaning, err := r.resolve(ctx)
	if err != nil {
		return r.fail(ctx, artifact.Digest{}, err)
	}

	// What has parts is done when work on each of them is on order, through these eight steps like any other. They do not
	// wait for what is signed of the whole, nor that for them.
	var unexpanded error
	if r.expands(meaning) {
		unexpanded = r.expand(ctx, meaning)
	}
	for _, subject := range meaning.Subjects {
		if err := r.sign(ctx, subject); err != nil && unexpanded == nil {
			return r.fail(ctx, subject.SHA256, err)
		}
		if r.state == ledger.Denied && subject.Ref != r.whole.Ref {
			return r.denyWhole(ctx)
		}
	}
	if unexpanded != nil {
		return r.fail(ctx, meaning.Whole().SHA256, unexpanded)
	}
	return nil
}

// sign is steps 2 to 8 for one subject.
func (r *run) sign(ctx context.Context, subject artifact.Subject) error {
	r.ref, r.digest = subject.Ref, subject.SHA256

	// 2 decide: pure, over the facts that policies about this artifact ask for, most for none; most events end here and
	// nothing was downloaded.
	r.enter(stepDecide)
	decision, err := r.decide(ctx, subject)
	if err != nil {
		return err
	}
	if decision.Grant == nil {
		return r.settle(ctx, subject, decision)
	}

	// 3 record the intent, in the ledger and in the log, durable before anything can reach a key. Signatures that exist need
	// no key and no intent.
	r.enter(stepIntend)
	w, err := r.intend(ctx, decision)
	if err != nil {
		return r.refuse(ctx, subject, decision, err)
	}
	if err := r.make(ctx, w); err != nil {
		return r.refuse(ctx, subject, decision, r.abandon(ctx, w, err))
	}

	// 7 attach: signature files; then what is stored, read back, and the artifact's digest once more have to satisfy a
	// verifier that is not the signer's; properties last.
	r.enter(stepAttach)
	if err := r.attach(ctx, w); err != nil {
		r.tell(ctx, w)
		return err
	}

	// 8 record the outcome: what the keys were used for, in the log; what became of the artifact, in the ledger.
	r.enter(stepRecord)
	r.tell(ctx, w)
	return r.signed(ctx, w)
}

// make is steps 4 to 6: the only part that touches bytes and keys. Key by key, so that what one key has signed is kept
// when the next one fails.
func (r *run) make(ctx context.Context, w *work) error {
	// 4 pull: the bytes once, as a stream, through the hashes that the grant's keys need.
	r.enter(stepPull)
	if err := r.pull(ctx, w); err != nil {
		return err
	}
	for i := range w.parts {
		// 5 seal: one signature per key, one file per format. With a notary each comes with a certificate, a time-stamp and
		// the proof that the log holds it; without them it does not come out of here.
		r.enter(stepSeal)
		if err := r.seal(ctx, w, &w.parts[i]); err != nil {
			return err
		}

		// 6 check: verify our own files with the pinned public key, and as one does who has nothing but the trusted root; then
		// make them durable before anyone can see them.
		r.enter(stepCheck)
		if err := r.check(ctx, w, &w.parts[i]); err != nil {
			return err
		}
	}
	return nil
}
