package facts

import (
	"context"
	"slices"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// The properties that say which build's record to read. Anybody who may annotate can set them.
const (
	propBuildName   = "build.name"
	propBuildNumber = "build.number"
)

// maxBuilds bounds how many builds, by name and number, are looked into for one artifact.
const maxBuilds = 8

// takeBuild takes the build whose record lists the artifact's bytes; of several, the one that began last.
func (g *gathering) takeBuild(ctx context.Context) error {
	b, err := g.findBuild(ctx)
	if err != nil {
		return g.fail(policy.NeedBuild, g.read()+", and on the repositories of build-info", err)
	}
	if b != nil {
		g.facts.Build = &policy.BuildFacts{Name: b.Name, Number: b.Number, Project: b.Project, Started: b.Started}
	}
	return nil
}

// findBuild looks into the builds that the properties name, in the project of the repository and outside of projects: who
// may publish builds elsewhere has no say here. A record that does not list the bytes is not the artifact's build.
func (g *gathering) findBuild(ctx context.Context) (*artifact.Build, error) {
	if g.built {
		return g.build, nil
	}
	props, err := g.props(ctx)
	if err != nil {
		return nil, err
	}
	projects := []string{""}
	if len(props[propBuildName]) > 0 && len(props[propBuildNumber]) > 0 {
		repo, err := g.repo(ctx)
		if err != nil {
			return nil, err
		}
		if repo.Project != "" {
			projects = []string{repo.Project, ""}
		}
	}
	looked := 0
	for _, name := range props[propBuildName] {
		for _, number := range props[propBuildNumber] {
			if looked++; looked > maxBuilds {
				break
			}
			for _, project := range projects {
				err := g.client.Runs(ctx, project, name, number, func(b artifact.Build) bool {
					if !g.listed(b) {
						return false
					}
					if g.build == nil || b.Started.After(g.build.Started) {
						g.build = &b
					}
					return true
				})
				if err != nil {
					return nil, err
				}
			}
		}
	}
	g.built = true
	return g.build, nil
}

// listed reports whether a build made these very bytes, or the index that commits to them. A SHA-1 counts only where the
// record has no SHA-256.
func (g *gathering) listed(b artifact.Build) bool {
	return slices.ContainsFunc(b.Artifacts, func(a artifact.Built) bool {
		return slices.ContainsFunc([]artifact.Subject{g.subject, g.whole}, func(s artifact.Subject) bool {
			if !a.SHA256.IsZero() {
				return a.SHA256 == s.SHA256
			}
			return a.SHA1 != "" && a.SHA1 == s.SHA1
		})
	})
}
