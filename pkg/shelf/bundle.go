package shelf

import (
	"context"
	"errors"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// bundles: the evidence service keeps signatures with the bundle's record. They come in one look; the key that one names
// is a claim.
var bundles = shelf{kind: artifact.KindBundle, look: lookInEvidence, put: attest, back: backInEvidence}

func lookInEvidence(ctx context.Context, c *artifactory.Client, s artifact.Subject, q Query) (likely, rest []Spot, err error) {
	if !slices.Contains(q.Formats, artifactory.EvidenceFormat) {
		return nil, nil, nil
	}
	found, err := c.Attestations(ctx, s)
	if err != nil && !errors.Is(err, artifactory.ErrTooMany) {
		return nil, nil, err
	}
	for _, f := range found {
		likely = append(likely, inHand(f))
	}
	if err != nil { // it matters to whom those that were read are not enough
		rest = []Spot{{Name: "more evidence", Format: artifactory.EvidenceFormat, Read: func(context.Context) ([]byte, error) { return nil, err }}}
	}
	return likely, rest, nil
}

func attest(ctx context.Context, c *artifactory.Client, s artifact.Subject, _ string, f seal.Format, content []byte) (string, error) {
	return c.Attest(ctx, s, f.Name, content)
}

// backInEvidence reads the very file that the service said it keeps: a search may not know of it yet. Where the service did
// not say, the search has to.
func backInEvidence(ctx context.Context, c *artifactory.Client, s artifact.Subject, name, format string) ([]Spot, error) {
	ref, err := artifact.ParseRef(s.Ref.Instance, name)
	if err != nil || ref.Repo != s.Ref.Repo {
		found, rest, err := lookInEvidence(ctx, c, s, Query{Formats: []string{format}})
		return append(found, rest...), err
	}
	return []Spot{{Name: name, Format: format, Read: func(ctx context.Context) ([]byte, error) { return c.Read(ctx, ref, MaxSignature) }}}, nil
}
