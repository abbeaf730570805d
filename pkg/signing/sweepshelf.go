package signing

import (
	"bytes"
	"context"
	"errors"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

// inspectShelf is inspect for what has its signatures elsewhere than in files beside it. A signature of somebody else's is
// held against the artifact only where one that policy wants is not there.
func (p *pass) inspectShelf(ctx context.Context, subject artifact.Subject, orders []policy.Order, kept []ledger.Signature, distrusted distrusts) (*inspection, error) {
	state := &inspection{}
	var q shelf.Query
	for _, o := range orders {
		q.Keys, q.Formats = append(append(q.Keys, o.Key), o.Others...), append(q.Formats, o.Formats...)
	}
	stored, err := p.stored(ctx, subject, q)
	if errors.Is(err, artifactory.ErrTooMany) {
		state.wrong = []string{subject.Ref.Name()}
		state.reasons = []reason.Reason{{
			Code: reason.SignaturesTooMany, Message: "more is attached to the image than is read", Found: err.Error(),
			Expected: "a few signatures and attestations", Fix: "delete the referrers that nobody needs", Who: "the image's owner",
		}}
		return state, nil
	}
	if err != nil {
		return nil, err
	}
	for _, order := range orders {
		key, err := p.Service.maker(order, p.Service.serving(ctx, order, kept, distrusted))
		if err != nil {
			return nil, err
		}
		for _, format := range order.Formats {
			problem := reason.SignatureMissing
			for _, s := range stored {
				if s.format.Name != format || problem == "" {
					continue
				}
				if _, code := p.by(s, subject, []hsm.Public{key}, kept); code == "" {
					if problem = ""; p.Service.lacks(ctx, s.format, key, seal.FromSHA256(subject.SHA256), s.content) {
						problem = reason.TrustLevelLow
					}
				} else if name, _ := p.by(s, subject, p.Service.Keys.Keys(), kept); name == "" {
					problem = code
				}
			}
			state.add(artifactory.Item{Info: subject.Info}, "signature in the format "+format, key.Name, problem)
		}
	}
	return state, nil
}

// standing is a signature that stands with an artifact.
type standing struct {
	name    string
	format  seal.Format
	content []byte // nil when it is no signature at all
}

func (p *pass) stored(ctx context.Context, subject artifact.Subject, q shelf.Query) ([]standing, error) {
	likely, rest, err := shelf.Look(ctx, p.client, subject, q)
	if err != nil {
		return nil, err
	}
	var found []standing
	for _, spot := range append(likely, rest...) {
		content, err := spot.Read(ctx)
		switch {
		case errors.Is(err, artifact.ErrGone):
			continue
		case errors.Is(err, artifactory.ErrTooLarge):
			content = nil
		case err != nil:
			return nil, err
		}
		format, ok := seal.Lookup(spot.Format)
		if ok {
			found = append(found, standing{spot.Name, format, content})
		}
	}
	return found, nil
}

// by says which of the keys made a signature, or what is wrong with it. One that the ledger has kept was verified before.
func (p *pass) by(s standing, subject artifact.Subject, keys []hsm.Public, kept []ledger.Signature) (name string, problem reason.Code) {
	problem = reason.SignatureWrongKey
	for _, k := range keys {
		for _, ours := range kept {
			if ours.KeySPKI == k.SPKI && ours.Format == s.format.Name && bytes.Equal(ours.Content, s.content) {
				return k.Name, ""
			}
		}
		err := s.format.Verify(k.PublicKey, seal.FromSHA256(subject.SHA256), s.content)
		switch code := seal.Problem(err); code {
		case "":
			return k.Name, ""
		case reason.SignatureWrongKey:
		case reason.Undecided:
			problem = reason.SignatureInvalid
		default:
			problem = code
		}
	}
	return "", problem
}
