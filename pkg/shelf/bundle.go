package shelf

import (
	"context"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// bundles: the evidence service keeps signatures with the bundle's record. They come in one look; the key that one names
// is a claim.
var bundles = shelf{kind: artifact.KindBundle, look: lookInEvidence, put: attest}

func lookInEvidence(ctx context.Context, c *artifactory.Client, s artifact.Subject, q Query) (likely, rest []Spot, err error) {
	if !slices.Contains(q.Formats, artifactory.EvidenceFormat) {
		return nil, nil, nil
	}
	found, err := c.Attestations(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range found {
		likely = append(likely, inHand(f))
	}
	return likely, nil, nil
}

func attest(ctx context.Context, c *artifactory.Client, s artifact.Subject, _ string, f seal.Format, content []byte) (string, error) {
	return c.Attest(ctx, s, f.Name, content)
}
