package facts

import (
	"context"
	"fmt"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// takeRepositories takes where the bytes stand now, as Artifactory finds them by their SHA-256, and where Hallmark has seen
// them.
func (g *gathering) takeRepositories(ctx context.Context) error {
	if g.subject.SHA256.IsZero() { // bytes that nobody knows have been nowhere
		return nil
	}
	now, err := g.client.Holding(ctx, g.subject.SHA256)
	if err != nil {
		return g.fail(policy.NeedRepositories, "a token that may search with AQL, and the right Read on the repositories in question", err)
	}
	seen, err := g.Ledger.Seen(ctx, g.subject.Ref.Instance, g.subject.SHA256)
	if err != nil {
		return g.fail(policy.NeedRepositories, "", fmt.Errorf("the ledger: %w", err))
	}
	all := append(now, seen...)
	slices.Sort(all)
	g.facts.Repositories = slices.Compact(all)
	return nil
}
