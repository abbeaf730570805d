package promotion

import (
	"context"
	"errors"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

// carryImage brings one image to the target: Artifactory promotes its tag, then the signatures that verified are stored
// there, then the properties. The HSM has no part in it.
func (r *run) carryImage(ctx context.Context, it *item) error {
	if !it.there {
		if err := r.copyImage(ctx, it); err != nil {
			return err
		}
	}
	for n, s := range it.image.subjects {
		if err := r.carrySignatures(ctx, s, it.image.at(it.target, n), it.filesOf(n)); err != nil {
			return err
		}
	}
	return r.mark(ctx, it)
}

// takenError: something came to stand at the target since the verdict.
type takenError struct {
	at artifact.Ref
	is artifact.Digest
}

func (e *takenError) Error() string { return fmt.Sprintf("%s has now the digest %s", e.at, e.is) }

// partError: Artifactory carried an image and left something out.
type partError struct{ lacks string }

func (e *partError) Error() string { return "nothing is at " + e.lacks }

var (
	// errStands: bytes that were not judged stand where a promotion may not take them away.
	errStands = errors.New("it stood there before, or nobody can tell")
	// errIndex: an index was taken away again.
	errIndex = errors.New("its tag was taken away again; the manifests that it lists stay under their digests")
)

// copyImage has the tag promoted and believes only what the server reports about the target. What was pushed between the
// verdict and the promotion is taken away again, if nothing stood there before.
func (r *run) copyImage(ctx context.Context, it *item) error {
	now, err := r.manifestAt(ctx, it.source)
	if err != nil {
		return err
	}
	if now.SHA256 != it.digest {
		return &arrivedError{at: now.Ref, was: it.digest, is: now.SHA256}
	}
	before, err := r.manifestAt(ctx, it.target)
	stood := err == nil
	switch {
	case stood && (before.SHA256 != it.digest || before.Ref != it.target):
		return &takenError{at: before.Ref, is: before.SHA256}
	case !stood && !errors.Is(err, artifact.ErrGone):
		return err
	}
	if err := r.straysInSource(ctx, it, false); err != nil {
		return err
	}
	promoted := r.client.PromoteImage(ctx, it.source, it.target)
	arrived := r.arrivedImage(ctx, it, promoted, stood)
	strays := r.dropStrays(ctx, it)
	wrong, foreign := errors.AsType[*strayError](strays)
	_, taken := errors.AsType[*takenError](arrived)
	replaced, other := errors.AsType[*arrivedError](arrived)
	switch {
	case arrived == nil:
		return strays
	case foreign && (taken || wrong.standing == nil || other && replaced.standing != nil):
		return arrived // where another image stands, what lies in the folder is that one's
	case foreign:
		return strays
	}
	return errors.Join(arrived, strays)
}

// arrivedImage looks at what a promotion of the tag has brought to the target. Nothing but the image that was judged stays.
func (r *run) arrivedImage(ctx context.Context, it *item, promoted error, stood bool) error {
	is, err := r.manifestAt(ctx, it.target)
	switch {
	case errors.Is(err, artifact.ErrGone) && promoted == nil:
		return &partError{lacks: it.target.String()}
	case errors.Is(err, artifact.ErrGone):
		return promoted
	case err != nil:
		return fmt.Errorf("looking at what was promoted: %w", errors.Join(promoted, err))
	case (is.SHA256 != it.digest || is.Ref != it.target) && promoted != nil && !stood:
		return r.whose(ctx, it.source, is, it.digest)
	case is.SHA256 != it.digest || is.Ref != it.target:
		return r.withdrawImage(ctx, it, is, stood)
	}
	lacks, layer, err := r.lacking(ctx, it)
	switch {
	case err != nil:
		return err
	case lacks != "" && promoted != nil:
		return promoted
	case lacks != "" && !layer:
		return &partError{lacks: lacks}
	}
	return nil // also when the answer got lost
}

// withdrawImage takes an image away that was not judged.
func (r *run) withdrawImage(ctx context.Context, it *item, is artifact.Info, stood bool) error {
	wrong := &arrivedError{at: is.Ref, was: it.digest, is: is.SHA256}
	switch {
	case stood:
		wrong.standing = errStands
	case is.Ref.Name() == manifestFiles[1]:
		wrong.standing = errIndex
		fallthrough
	default:
		if err := r.client.RemoveTag(ctx, is.Ref, is.SHA256); err != nil {
			wrong.standing = err
		}
	}
	return wrong
}

// carrySignatures stores what the source has of the given signatures at the target.
func (r *run) carrySignatures(ctx context.Context, from, to artifact.Subject, want []file) error {
	var missing []file
	for _, f := range want {
		if !f.there {
			missing = append(missing, f)
		}
	}
	contents, err := r.signaturesOf(ctx, from, missing)
	if err != nil {
		return err
	}
	for _, f := range missing {
		content, ok := contents[f.digest]
		if !ok {
			return fmt.Errorf("signature %s of %s: %w", f.name, from.Ref, artifact.ErrGone)
		}
		format, ok := seal.Lookup(f.format)
		if !ok {
			return fmt.Errorf("signature %s of %s has the unknown format %q", f.name, from.Ref, f.format)
		}
		if _, err := shelf.Put(ctx, r.client, to, f.name, format, content); err != nil {
			return fmt.Errorf("storing a signature of %s: %w", to.Ref, err)
		}
	}
	return nil
}
