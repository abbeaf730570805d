package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// examinePromoting checks the second identity, if there is one: it must read, deploy and annotate in every guarded
// repository. Whether it may delete, no call without effect can tell.
func examinePromoting(ctx context.Context, a artifactory.Config, set *policy.Set) []hsm.Check {
	if a.PromotionToken.File == "" {
		return nil
	}
	name := "artifactory " + a.Name + ": promotion token accepted"
	client, err := artifactory.New(a.Promoting(), artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	if err != nil {
		return []hsm.Check{verdict(name, "", err, "correct what the message names")}
	}
	defer client.Close()
	_, err = client.Version(ctx)
	checks := []hsm.Check{verdict(name, a.PromotionToken.File, err, "make a new access token and put it into "+a.PromotionToken.File)}
	if err != nil {
		return checks
	}
	_, guarded := set.Repositories(a.Name)
	for _, repo := range guarded {
		r, err := client.Repository(ctx, repo)
		if errors.Is(err, artifact.ErrGone) {
			continue // its own check says so
		}
		if _, wrong := elsewhere(ctx, client, r, ""); wrong {
			continue // that too
		}
		checks = append(checks, examineTarget(ctx, client, a.Name, repo))
	}
	return checks
}

func examineTarget(ctx context.Context, client *artifactory.Client, instance, repo string) hsm.Check {
	name := fmt.Sprintf("artifactory %s: promotes into %s", instance, repo)
	rights, err := client.Rights(ctx, repo)
	if err != nil {
		return verdict(name, "", err, "see the message")
	}
	check := hsm.Check{Name: name, OK: true, Detail: fmt.Sprintf("read %s, annotate %s, deploy %s, delete %s", rights.Read, rights.Annotate, rights.Deploy, rights.Delete)}
	if slices.Contains([]artifactory.Answer{rights.Read, rights.Annotate, rights.Deploy}, artifactory.No) {
		check.OK, check.Fix = false, "grant the promotion token's user read, annotate, deploy and delete on "+repo
	}
	return check
}
