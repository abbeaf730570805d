package promotion

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// clearAll is step 5. It begins only when everything stands at the target and the ledger says so; then
// one source that cannot be deleted does not hold up the others.
func (r *run) clearAll(ctx context.Context) bool {
	r.meter.phase(PhaseDeleting, len(r.items))
	return r.each(ctx, false, func(seq int, it *item) bool {
		if err := r.clear(ctx, it); err != nil {
			r.stuck(ctx, seq, it, err)
			return false
		}
		return r.settle(ctx, seq, it, ledger.ItemDone)
	})
}

// clear deletes one source: the artifact first, so that nothing unsigned stays behind, then the signature files that were
// taken along. Each file is deleted only when the same bytes stand at the target now.
func (r *run) clear(ctx context.Context, it *item) error {
	there, err := r.client.Info(ctx, it.target)
	switch {
	case err != nil:
		return err
	case there.SHA256 != it.digest:
		return &arrivedError{at: it.target, was: it.digest, is: there.SHA256}
	case it.image != nil && !tagged(it.source):
		return nil // other tags may share what stands under a digest
	case it.image != nil:
		return r.client.RemoveTag(ctx, it.source, it.digest) // its signatures are the manifest's, which other tags may have
	}
	if err := r.client.Remove(ctx, it.source, it.digest); err != nil {
		return err
	}
	for _, f := range it.files {
		there, err := r.client.Info(ctx, it.target.Beside(f.name))
		if errors.Is(err, artifact.ErrGone) {
			it.left = append(it.left, f.name)
			continue
		}
		if err != nil {
			return fmt.Errorf("looking at the copy of %s: %w", f.name, err)
		}
		switch err := r.client.Remove(ctx, it.source.Beside(f.name), there.SHA256); {
		case errors.Is(err, artifactory.ErrChanged):
			it.left = append(it.left, f.name)
		case err != nil:
			return err
		}
	}
	return nil
}
