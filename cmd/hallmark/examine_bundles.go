package main

import (
	"context"
	"errors"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// keepsBundles reports whether a repository is one of release bundles; r may be zero when it is not there.
func keepsBundles(r artifact.Repository, repo string) bool {
	return artifact.KindOf(r, artifact.Ref{Repo: repo}) == artifact.KindBundle
}

// examineBundles checks a repository of release bundles. Artifactory makes it with the first bundle and lets nobody change
// what is in it, so whether the token may attach evidence there no call without effect tells.
func examineBundles(ctx context.Context, client *artifactory.Client, name, repo string) hsm.Check {
	rights, err := client.Rights(ctx, repo)
	switch {
	case errors.Is(err, artifact.ErrGone):
		return hsm.Check{Name: name, OK: true, Detail: "not there, or closed to the token; Artifactory makes it with the first release bundle"}
	case err != nil:
		return verdict(name, "", err, "grant the token's user read and annotate on "+repo)
	}
	check := hsm.Check{Name: name, OK: true, Detail: "release bundles; read " + string(rights.Read) + ", annotate unknown"}
	if rights.Read == artifactory.No {
		check.OK, check.Fix = false, "grant the token's user read and annotate on "+repo
	}
	return check
}
