package signing

import (
	"context"
	"errors"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// bundle judges a file of a repository of release bundles. It costs nothing but for a bundle's record that a policy names:
// the requests of one look at its evidence (a search, and one for each piece of our kind).
func (p *pass) bundle(ctx context.Context, f *finding, known seen) error {
	subject := artifact.Subject{Kind: artifact.KindBundle, Info: f.item.Info}
	if f.name = foundUncovered; !artifact.IsBundleRecord(f.item.Ref) || !p.concerns(subject, known.known[f.item.Ref.Path]) {
		return nil
	}
	err := p.artifact(ctx, f, subject, known)
	if errors.Is(err, artifactory.ErrNoEvidence) {
		f.name, f.reasons = foundUnsigned, []reason.Reason{noEvidence(f.item.Ref, err)}
		return nil
	}
	return err
}
