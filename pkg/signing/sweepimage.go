package signing

import (
	"context"
	"errors"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// image judges a file of an image. What it costs: nothing for layers and for what no policy names; for a manifest that the
// ledger knows with these bytes, once policies have answered, the requests of one look at its signatures (the list of referrers, two for each
// bundle in it, one for the older tag); for any other manifest also those of resolving it (two, and one for each manifest
// that an index lists).
func (p *pass) image(ctx context.Context, f *finding, known seen) error {
	at, ok := artifact.ImageAt(f.item.Ref)
	k, claims := known.known[f.item.Ref.Path], known.marks[f.item.Ref.Path].state == "signed"
	subject := artifact.Subject{Kind: artifact.KindImage, Info: f.item.Info, Image: at}
	if f.name = foundUncovered; !ok || !claims && !p.concerns(subject, k) {
		return nil
	}
	if !settled(k, f.item.SHA256) && (k.State != ledger.Signed || k.Subject != f.item.SHA256) { // else it was seen to be an image
		meaning, err := artifact.Resolve(ctx, p.client, f.item.Ref)
		if err != nil {
			return p.unresolved(ctx, f, at.Name, err)
		}
		subject = meaning.Whole()
		f.item.Info = subject.Info
	}
	if err := p.artifact(ctx, f, subject, known); err != nil {
		return err
	}
	if at.Tag == "" && !f.repair { // whether manifests without a tag are announced differs; their index is
		f.lost = false
	}
	return nil
}

// concerns reports whether any policy has something to say about a manifest. Where that takes facts which are not at hand,
// one may have.
func (p *pass) concerns(subject artifact.Subject, k ledger.Known) bool {
	request := policy.Request{Subject: subject, Event: sweepEvent}
	if settled(k, subject.SHA256) {
		p.remembered(&request, k, p.policies.Needs(subject.Ref, sweepEvent))
	}
	d := p.policies.Decide(request)
	_, guarded := p.policies.Demand(subject.Ref)
	return guarded || d.Grant != nil || len(d.Denied) > 0
}

// unresolved judges a manifest that is no image that could be signed.
func (p *pass) unresolved(ctx context.Context, f *finding, image string, err error) error {
	var missing *artifact.MissingError
	var attached *artifact.AttachmentError
	switch {
	case errors.As(err, &attached):
		return p.attached(ctx, f, image, attached.Subject)
	case errors.As(err, &missing):
		f.name, f.repair = foundUnsigned, true
		f.reasons = []reason.Reason{{
			Code: reason.ImageIncomplete, Message: "the index lists manifests that the repository does not hold", Found: missing.Error(),
			Expected: "every manifest that the index lists", Fix: "push the image again, with all its platforms", Who: "the image's owner",
		}}
	case errors.Is(err, artifact.ErrForm):
		f.name = foundRefused
		f.reasons = []reason.Reason{{
			Code: reason.ManifestUnreadable, Message: "the image's manifest cannot be read", Found: err.Error(),
			Expected: "a Docker manifest of schema 2 or an OCI manifest or index", Fix: "push the image again with a current client", Who: "the image's owner",
		}}
	case errors.Is(err, artifact.ErrBytes):
		f.name = foundRefused
		f.reasons = []reason.Reason{{
			Code: reason.DigestMismatch, Message: "the manifest's bytes are not those that Artifactory reports", Found: err.Error(),
			Expected: "bytes with the reported digest", Fix: "run Artifactory's storage consistency check", Who: "platform engineers",
		}}
	case errors.Is(err, artifact.ErrGone), errors.Is(err, artifactory.ErrNotFile), errors.Is(err, artifactory.ErrPath):
		f.name = foundUncovered // since the page was read
	default:
		return err
	}
	return nil
}

// attached judges what belongs to an image: a signature of ours or of others. Its subject must be there.
func (p *pass) attached(ctx context.Context, f *finding, image string, subject artifact.Digest) error {
	f.name = foundSignature
	for _, s := range []*sheet{p.held, p.ahead, p.before} {
		if s == nil {
			continue
		}
		for path, d := range s.files {
			if at, ok := artifact.ImageAt(artifact.Ref{Path: path}); d == subject && ok && at.Name == image {
				return nil
			}
		}
	}
	_, err := p.client.Manifest(ctx, f.item.Ref.Repo, image, subject)
	if !errors.Is(err, artifact.ErrGone) {
		return err
	}
	f.name = foundOrphan
	f.reasons = []reason.Reason{{
		Code: reason.SignatureOrphaned, Message: "what belongs to an image lies there without it", Found: f.item.Ref.String(),
		Expected: "the manifest sha256:" + subject.String() + " of " + image, Fix: "delete it, or bring the image back", Who: "the repository's owner",
	}}
	return nil
}
