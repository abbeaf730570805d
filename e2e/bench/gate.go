package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

const releasedImages = `---
kind: GatePolicy
name: oci-release
owner: release-managers
target: {repositories: [` + ociRelease + `]}
require: {signatures: [{lane: release}]}
`

// gateClients is how many ask at once where many do.
const gateClients = 8

// measureGate asks the running service over HTTP, its record in the ledger included: first about what it has never judged,
// then again about the same, whose signatures it has verified before. What stands in Artifactory is looked at both times.
func measureGate(ctx context.Context, b *bench) error {
	s, err := b.world(ctx, "gate", sandbox.Config{Workers: 64, Policies: imagePolicies + releasedImages, Standin: func(c *standin.Config) {
		c.KeepRequests = 1 << 18
		c.Repositories = append(c.Repositories, standin.Repository{Key: ociStaging, PackageType: "docker"}, standin.Repository{Key: ociRelease, PackageType: "docker"})
		for _, t := range c.Tokens {
			if t.Rights != nil {
				t.Rights[ociStaging], t.Rights[ociRelease], t.Rights["artifactory-build-info"] = "rwa", "rwa", "rw"
			}
		}
	}})
	if err != nil {
		return err
	}
	defer s.Stop()
	token, err := os.ReadFile(s.Path("secrets", "caller"))
	if err != nil {
		return err
	}
	g := &gateBench{world: s, client: &api.Client{URL: s.URL, Token: strings.TrimSpace(string(token)), HTTP: &http.Client{Timeout: promotion.Timeout}}}
	files, images, err := g.prepare(ctx, b)
	if err != nil {
		return err
	}

	fmt.Printf("\n### Verdicts of the gate over HTTP\n\n")
	fmt.Println("| what | asked | p50 | p99 | verdicts/s | requests to Artifactory per verdict |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: |")
	for _, round := range []gateRound{
		{"one file, one after the other", files[:len(files)/2], sandbox.Release, 1},
		{fmt.Sprintf("%d files, %d at once", len(files)-len(files)/2, gateClients), files[len(files)/2:], sandbox.Release, gateClients},
		{fmt.Sprintf("an image, an index with %d manifests", imagePlatforms), images, ociRelease, 1},
	} {
		for _, asked := range []string{"for the first time", "again"} {
			if err := g.ask(ctx, round, asked); err != nil {
				return err
			}
		}
	}
	fmt.Printf("\nA build of %d artifacts, all at once by a dry run of its promotion:", b.judged)
	for _, asked := range []string{"for the first time", "again"} {
		if err := g.dryRun(ctx, b.judged, asked); err != nil {
			return err
		}
	}
	fmt.Println()
	return nil
}

type gateBench struct {
	world  *sandbox.Sandbox
	client *api.Client
}

// prepare uploads what is asked about, and waits until it is signed.
func (g *gateBench) prepare(ctx context.Context, b *bench) (files, images []string, err error) {
	s := g.world
	if _, err := signAll(ctx, s, "app/gate", 2*b.judged); err != nil {
		return nil, nil, err
	}
	for i := range 2 * b.judged {
		if err := awaitSigned(ctx, s, name("app/gate", i)); err != nil {
			return nil, nil, err
		}
		files = append(files, sandbox.Staging+"/"+name("app/gate", i))
	}
	if err := publish(ctx, s, "app", b.judged); err != nil {
		return nil, nil, err
	}
	for i := range b.judged {
		if err := awaitSigned(ctx, s, name("app", i)); err != nil {
			return nil, nil, err
		}
	}
	for i := range b.images {
		var index v1.ImageIndex
		if index, err = newIndex(); err != nil {
			return nil, nil, err
		}
		if err := pushIndex(ctx, s, index, tag(i)); err != nil {
			return nil, nil, err
		}
		at := imageName + "/" + tag(i) + "/list.manifest.json"
		if err := await(ctx, s, ociStaging, at, "hallmark.policy", "images"); err != nil {
			return nil, nil, err
		}
		images = append(images, ociStaging+"/"+at)
	}
	_, err = rest(ctx, s)
	return files, images, err
}

// gateRound is many verdicts of one sort.
type gateRound struct {
	title     string
	artifacts []string
	target    string
	clients   int
}

func (g *gateBench) ask(ctx context.Context, round gateRound, asked string) error {
	g.world.Artifactory.ForgetRequests()
	took := make([]time.Duration, len(round.artifacts))
	start := time.Now()
	group, inside := errgroup.WithContext(ctx)
	group.SetLimit(round.clients)
	for i, artifact := range round.artifacts {
		group.Go(func() error {
			begun := time.Now()
			v, err := g.client.Gate(inside, api.GateRequest{Artifact: artifact, Target: round.target})
			took[i] = time.Since(begun)
			if err == nil && !v.Allow {
				err = fmt.Errorf("%s may not enter %s: %v", artifact, round.target, v.Reasons)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	all := time.Since(start)
	slices.Sort(took)
	n := len(took)
	fmt.Printf("| %s | %s | %.1f ms | %.1f ms | %.0f | %.1f |\n", round.title, asked, took[n/2].Seconds()*1e3, took[n*99/100].Seconds()*1e3,
		float64(n)/all.Seconds(), float64(g.world.Artifactory.CountRequests("", ""))/float64(n))
	return nil
}

// dryRun judges a build as a whole.
func (g *gateBench) dryRun(ctx context.Context, n int, asked string) error {
	g.world.Artifactory.ForgetRequests()
	start := time.Now()
	r, err := g.client.Promote(ctx, api.PromotionRequest{Build: &promotion.Build{Name: "app", Number: "1"}, Target: sandbox.Release}, nil)
	if err != nil {
		return err
	}
	if r.State != promotion.StateAllowed || len(r.Items) != n {
		return fmt.Errorf("the dry run ended %s with %d artifacts: %v", r.State, len(r.Items), r.Reasons)
	}
	fmt.Printf(" %s %.2f s, %.1f requests per artifact.", asked, time.Since(start).Seconds(), float64(g.world.Artifactory.CountRequests("", ""))/float64(n))
	return nil
}
