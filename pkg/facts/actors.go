package facts

import (
	"context"
	"errors"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// takeActors takes who brought the artifact, on Artifactory's word: who created the file and wrote it last, and who had its
// build promoted into the repository where it stands, or its release bundle promoted, last. With them come the groups that
// they are in now.
func (g *gathering) takeActors(ctx context.Context) error {
	add := func(user, role string) {
		if user != "" {
			g.facts.Actors = append(g.facts.Actors, policy.Actor{User: user, Role: role})
		}
	}
	add(g.subject.CreatedBy, policy.Creator)
	add(g.subject.ModifiedBy, policy.Modifier)
	promoter, err := g.promoter(ctx)
	if err != nil {
		return g.fail(policy.NeedActors, g.read()+", and on the repositories of build-info and release bundles", err)
	}
	add(promoter, policy.Promoter)
	if g.needs&policy.NeedGroups == 0 {
		return nil
	}
	for i := range g.facts.Actors {
		a := &g.facts.Actors[i]
		if a.Groups, err = g.client.Groups(ctx, a.User); err != nil {
			return g.fail(policy.NeedGroups, artifactory.GroupsNeed, err)
		}
	}
	return nil
}

// completed is the status of a promotion of a release bundle that has brought its contents.
const completed = "COMPLETED"

// promoter is the user of the newest promotion on record; "" when there is none.
func (g *gathering) promoter(ctx context.Context) (string, error) {
	if g.subject.Kind == artifact.KindBundle {
		promotions, err := g.client.BundlePromotions(ctx, g.subject.Ref)
		i := slices.IndexFunc(promotions, func(p artifact.BundlePromotion) bool { return p.Status == completed })
		if err != nil || i < 0 {
			return "", err
		}
		return promotions[i].By, nil
	}
	b, err := g.findBuild(ctx)
	if err != nil || b == nil {
		return "", err
	}
	for _, p := range b.Promotions { // the newest first
		if p.Repo == "" || p.At.Before(b.Started) {
			continue // its status alone changed, or it is an earlier run's
		}
		here, err := g.leadsHere(ctx, p.Repo)
		if err != nil {
			return "", err
		}
		if here {
			return p.By, nil
		}
	}
	return "", nil
}

// leadsHere reports whether what is promoted into a repository may stand where the artifact does: it is that repository, or
// a virtual one with it among its members.
func (g *gathering) leadsHere(ctx context.Context, repo string) (bool, error) {
	if repo == g.subject.Ref.Repo {
		return true, nil
	}
	holders, err := g.client.Holders(ctx, repo)
	if errors.Is(err, artifact.ErrGone) || errors.Is(err, artifactory.ErrPath) {
		return false, nil
	}
	return slices.Contains(holders, g.subject.Ref.Repo), err
}
