package signing

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// pull is step 4. The stream ends in hash functions; nothing is kept. Bytes are not needed when every signature exists
// and is over the digest that Artifactory reports. A file whose signature could be passed off as another thing's is a
// contentError.
func (r *run) pull(ctx context.Context, w *work) error {
	needed := false
	further := make(map[crypto.Hash]hash.Hash)
	for _, p := range w.parts {
		needed = needed || len(p.missing) > 0
		if h := p.key.Hash; w.overBytes() && h != crypto.SHA256 && further[h] == nil {
			needed, further[h] = true, h.New()
		}
	}
	w.digests = seal.FromSHA256(w.subject.SHA256)
	if !needed {
		return nil
	}
	ctx, release := r.hold(ctx, w)
	defer release()
	var lookalike seal.Lookalike
	if err := r.client.Pull(ctx, w.subject.Info, append(slices.Collect(maps.Values(further)), &lookalike)...); err != nil {
		return &storeError{op: "pulling the artifact", refused: reason.StoreRefused, err: err}
	}
	if what := lookalike.Found(); what != "" && w.overBytes() {
		return &contentError{what}
	}
	for h, sum := range further {
		w.digests[h] = sum.Sum(nil)
	}
	return nil
}

// hold prolongs the leases of the work's intents until release is called, for a pull may take longer than a lease. The
// context it returns ends when another job has taken one over: then the key must not be used here.
func (r *run) hold(ctx context.Context, w *work) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(max(r.Ledger.Lease()/3, time.Millisecond))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			for _, p := range w.parts {
				if p.intent.ID == 0 {
					continue
				}
				if err := r.Ledger.Renew(ctx, p.intent.ID); errors.Is(err, ledger.ErrNotLive) {
					cancel(fmt.Errorf("holding the lease on key %s: %w", p.key.Name, err))
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// seal is step 5. The grant opens the key; one signature serves all formats.
func (r *run) seal(ctx context.Context, w *work, p *part) error {
	if len(p.missing) == 0 {
		return nil
	}
	signer, err := r.Keys.Signer(w.decision.Grant, p.key.Name)
	if err != nil {
		return &keyError{key: p.key.Name, err: err}
	}
	about := p.use.Context()
	about.Summary = r.summary(w)
	made, err := seal.SealAll(ctx, signer, w.digests, p.missing, about)
	if unattested(err) {
		return &attestError{key: p.key.Name, err: err}
	}
	if err != nil {
		return &keyError{key: p.key.Name, err: err}
	}
	for i, f := range p.files {
		if f.content == nil {
			p.files[i].content = made[f.format.Name]
		}
	}
	return nil
}

// check is step 6. A file that does not verify with the pinned key never leaves the process, also one that the ledger has
// kept; one that the ledger does not hold neither.
func (r *run) check(ctx context.Context, w *work, p *part) error {
	files := make(map[string][]byte, len(p.files))
	for _, f := range p.files {
		files[f.format.Name] = f.content
	}
	err := seal.VerifyAll(p.key.PublicKey, w.digests, files)
	if err == nil {
		err = r.believe(ctx, w, p)
	}
	if err != nil {
		r.metrics.selfCheckFailures.Inc()
		if len(p.missing) == 0 {
			return &keptError{key: p.key.Name, err: err}
		}
		return &keyError{key: p.key.Name, err: fmt.Errorf("checking our own files: %w", err)}
	}
	if len(p.missing) == 0 {
		return nil
	}
	now := time.Now()
	rows := make([]ledger.Signature, len(p.missing))
	for i, f := range p.missing {
		rows[i] = ledger.Signature{
			Subject: w.subject.SHA256, KeyName: p.key.Name, KeySPKI: p.key.SPKI, Format: f.Name,
			Content: files[f.Name], MadeAt: now, IntentID: p.intent.ID, Replaces: p.intent.Replaces[f.Name],
		}
	}
	// When another job took the lease over, these signatures were stored nevertheless, unless its own were first.
	if err := r.Ledger.Sealed(ctx, p.intent.ID, rows); err != nil && !errors.Is(err, ledger.ErrNotLive) {
		return fmt.Errorf("recording the signatures of key %s: %w", p.key.Name, err)
	}
	return nil
}

// attach is step 7. Properties come last: they say "signed" only when every file that is stored was read back and verified,
// and the bytes are still the same.
func (r *run) attach(ctx context.Context, w *work) error {
	for i := range w.parts {
		p := &w.parts[i]
		for j := range p.files {
			f := &p.files[j]
			if err := r.store(ctx, w, p, f); err != nil {
				return &storeError{op: "storing " + f.String(), refused: reason.StoreRefused, err: err}
			}
		}
	}
	if err := r.reread(ctx, w); err != nil {
		return err
	}
	now, err := r.client.Info(ctx, r.ref)
	if err != nil {
		return &storeError{op: "reading the artifact's digest again", refused: reason.StoreRefused, err: err}
	}
	if now.SHA256 != w.subject.SHA256 {
		return &changedError{was: w.subject.SHA256, is: now.SHA256}
	}
	if err := r.prove(ctx, w, now.SHA256); err != nil {
		return err
	}
	if err := r.mark(ctx, signedProperties(w)); err != nil {
		return &storeError{op: "the properties", refused: reason.PropertyRefused, err: err}
	}
	return nil
}
