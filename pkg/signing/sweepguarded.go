package signing

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// unclaimed judges what no signing policy wants signed: a gate may guard the place, and properties may lie.
func (p *pass) unclaimed(ctx context.Context, f *finding, subject artifact.Subject, claims bool) error {
	f.name = foundUncovered
	if demand, guarded := p.policies.Demand(f.item.Ref); guarded {
		found, refused, err := p.Standing(ctx, demand, subject)
		if err != nil {
			return err
		}
		f.name, f.reasons = foundSigned, refused
		if len(refused) > 0 {
			f.name = foundUnsigned
			if slices.ContainsFunc(found, func(e policy.Evidence) bool { return e.Problem != "" }) {
				f.name = foundWrong
			}
		}
		return nil
	}
	if !claims {
		return nil
	}
	known, err := p.Service.facts.Gather(ctx, policy.NeedSignatures, subject, subject)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(known.Signatures, bears) {
		f.name, f.reasons = foundLying, []reason.Reason{falseProperty(f.item, mark{state: "signed"})}
	}
	return nil
}

// bears reports whether a signature bears out a mark that says signed, or may: nobody could read it.
func bears(e policy.Evidence) bool {
	return e.Problem == reason.Undecided || e.Problem == "" && !slices.Contains(seal.Apart(), e.Format)
}

// signatureFile judges a file that is named like a signature file: its artifact must be there.
func (p *pass) signatureFile(ctx context.Context, f *finding) error {
	owners := seal.Owners(f.item.Ref.Name(), p.keyNames())
	f.name = foundSignature
	for _, o := range owners {
		if _, ok := p.near(f.item.Ref.Beside(o).Path); ok {
			return nil
		}
	}
	for _, o := range owners {
		_, err := p.client.Info(ctx, f.item.Ref.Beside(o))
		switch {
		case err == nil:
			return nil
		case errors.Is(err, artifact.ErrGone), errors.Is(err, artifactory.ErrNotFile), errors.Is(err, artifactory.ErrPath):
		default:
			return err
		}
	}
	f.name = foundOrphan
	f.reasons = []reason.Reason{{
		Code: reason.SignatureOrphaned, Message: "a signature file lies there without its artifact", Found: f.item.Ref.String(),
		Expected: f.item.Ref.Beside(owners[0]).String() + " beside it", Fix: "delete it, or bring the artifact back", Who: "the repository's owner",
	}}
	return nil
}

func falseProperty(item artifactory.Item, m mark) reason.Reason {
	found := propState + "=" + m.state + " without signature files that verify"
	if len(m.sha256) > 0 && !slices.Equal(m.sha256, []string{item.SHA256.String()}) {
		found = propSHA256 + "=" + plain(strings.Join(m.sha256, ",")) + ", and the bytes are " + item.SHA256.String()
	}
	return reason.Reason{
		Code: reason.PropertyFalse, Message: "the artifact's properties say that it is signed, which is not so", Found: found,
		Expected: "properties as Hallmark sets them; the gate never believes them", Fix: "find out who may annotate there, then: hallmark sign " + item.Ref.String(),
		Who: "the repository's owner",
	}
}
