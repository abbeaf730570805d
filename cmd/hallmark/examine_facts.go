package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// examineFacts checks that the token may know what the policies ask about artifacts beyond what every artifact takes.
func examineFacts(ctx context.Context, client *artifactory.Client, instance string, set *policy.Set) []hsm.Check {
	var checks []hsm.Check
	asks := set.Asks(instance)
	if asks&policy.NeedGroups != 0 {
		checks = append(checks, verdict("artifactory "+instance+": groups of users", "readable", client.GroupsKnown(ctx),
			"policies ask for the groups of users: give the service "+artifactory.GroupsNeed))
	}
	if asks&policy.NeedProject != 0 {
		checks = append(checks, examineProjects(ctx, client, instance, set))
	}
	return checks
}

// examineProjects checks that the projects of the repositories that policies name are told.
func examineProjects(ctx context.Context, client *artifactory.Client, instance string, set *policy.Set) hsm.Check {
	signed, guarded := set.Repositories(instance)
	var untold []string
	for _, repo := range append(signed, guarded...) {
		if r, err := client.Repository(ctx, repo); err == nil && !r.ProjectKnown {
			untold = append(untold, repo)
		}
	}
	var err error
	if len(untold) > 0 {
		err = fmt.Errorf("not told for %s", strings.Join(untold, ", "))
	}
	return verdict("artifactory "+instance+": projects of repositories", "readable", err,
		"policies ask for projects: give the service a token that is told whole configurations, an administrator's, or one with the right Manage on these repositories")
}
