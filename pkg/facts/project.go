package facts

import (
	"context"
	"fmt"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// takeProject takes the project that the repository belongs to by its configuration, which may be a few minutes old.
func (g *gathering) takeProject(ctx context.Context) error {
	repo, err := g.repo(ctx)
	if err == nil && !repo.ProjectKnown {
		err = fmt.Errorf("the configuration of %s: %w", repo.Key, errUntold)
	}
	if err != nil {
		return g.fail(policy.NeedProject, "a token that is told the whole configuration of "+g.subject.Ref.Repo+", which takes an administrator's, or the right Manage on the repository", err)
	}
	g.facts.Project = repo.Project
	return nil
}

func (g *gathering) repo(ctx context.Context) (artifact.Repository, error) {
	if g.repository == nil {
		repo, err := g.client.Repository(ctx, g.subject.Ref.Repo)
		if err != nil {
			return artifact.Repository{}, err
		}
		g.repository = &repo
	}
	return *g.repository, nil
}
