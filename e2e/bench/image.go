package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

const (
	ociStaging = "oci-staging-local"
	ociRelease = "oci-release-local"
	imageName  = "team/app"
	imageFiles = imagePlatforms + 1 // manifests of an image that are signed
)

const imagePolicies = `---
kind: SigningPolicy
name: images
owner: release-managers
match: {repositories: [` + ociStaging + `]}
sign: [{key: ` + sandbox.Key + `, formats: [cosign]}]
---
kind: SigningPolicy
name: released-images
owner: release-managers
match: {repositories: [` + ociRelease + `]}
sign: [{key: ` + sandbox.Key + `, formats: [cosign]}]
`

// measureImages pushes images for 20 platforms one after the other, and then has Artifactory promote them by copy, as
// releases of it announce them that tell of every manifest and file, and as releases do that tell of the tag alone.
func measureImages(ctx context.Context, b *bench) error {
	fmt.Printf("\n### %d images, one after the other: an index with %d manifests each\n\n", b.images, imagePlatforms)
	fmt.Println("| announced | what | time until the index is signed, p50 | slowest | images/s | HSM signatures per image | requests per manifest | CPU of Hallmark per image |")
	fmt.Println("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, round := range []struct {
		name   string
		quirks standin.Quirks
	}{
		{"all", standin.Quirks{}},
		{"the tag", standin.Quirks{ImageFiles: "silent", DigestPushes: "silent", PromotionEvents: "promoted"}},
	} {
		if err := b.imagesAnnounced(ctx, round.name, round.quirks); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) imagesAnnounced(ctx context.Context, announced string, quirks standin.Quirks) error {
	s, err := b.world(ctx, "images-"+strings.ReplaceAll(announced, " ", "-"), sandbox.Config{Workers: 64, Policies: imagePolicies, Standin: func(c *standin.Config) {
		c.Quirks, c.KeepRequests = quirks, 1<<18
		c.Repositories = append(c.Repositories, standin.Repository{Key: ociStaging, PackageType: "docker"}, standin.Repository{Key: ociRelease, PackageType: "docker"})
		for _, t := range c.Tokens {
			if t.Rights != nil {
				t.Rights[ociStaging], t.Rights[ociRelease] = "rwa", "rwa"
			}
		}
	}})
	if err != nil {
		return err
	}
	defer s.Stop()
	all := make([]v1.ImageIndex, b.images+1)
	for i := range all {
		if all[i], err = newIndex(); err != nil {
			return err
		}
	}
	for _, step := range []imageStep{
		{"pushed to staging", ociStaging, "images", func(i int) error { return pushIndex(ctx, s, all[i], tag(i)) }},
		{"promoted to the release repository", ociRelease, "released-images", func(i int) error {
			return ask(ctx, s, http.MethodPost, "docker/"+ociStaging+"/v2/promote",
				fmt.Appendf(nil, `{"targetRepo":%q,"dockerRepository":%q,"tag":%q,"copy":true}`, ociRelease, imageName, tag(i)))
		}},
	} {
		if _, err := step.measure(ctx, s, all[:1], 0); err != nil { // connections, sessions and statements exist from now on
			return err
		}
		f, err := step.measure(ctx, s, all[1:], 1)
		if err != nil {
			return err
		}
		n := float64(b.images)
		fmt.Printf("| %s | %s | %.0f ms | %.0f ms | %.1f | %s | %.1f | %.0f ms |\n", announced, step.title, f.p50.Seconds()*1e3, f.slowest.Seconds()*1e3,
			n/f.took.Seconds(), strconv.FormatFloat(float64(f.signatures)/n, 'f', -1, 64), float64(f.requests)/n/float64(imageFiles), f.cpu.Seconds()*1e3/n)
	}
	return nil
}

func tag(i int) string { return fmt.Sprintf("1.%d", i) }

// imageStep is something that happens to an image, after which it is signed in a repository by a policy of that one.
type imageStep struct {
	title, repo, policy string
	happen              func(image int) error
}

// imageFigures are of several images together. Times end when the index is signed; the rest is counted until nothing more
// follows, what Artifactory announces about Hallmark's own pushes included.
type imageFigures struct {
	p50, slowest, took, cpu time.Duration
	signatures              int64
	requests                int
}

func (step imageStep) measure(ctx context.Context, s *sandbox.Sandbox, images []v1.ImageIndex, first int) (f imageFigures, err error) {
	before, err := signatures(ctx, s)
	if err != nil {
		return f, err
	}
	used := cpu(s.PID())
	times := make([]time.Duration, len(images))
	for i, image := range images {
		s.Artifactory.HoldEvents()
		if err := step.happen(first + i); err != nil {
			return f, err
		}
		s.Artifactory.ForgetRequests()
		start := time.Now()
		announce(s)
		if err := await(ctx, s, step.repo, imageName+"/"+tag(first+i)+"/list.manifest.json", "hallmark.policy", step.policy); err != nil {
			return f, err
		}
		times[i] = time.Since(start)
		f.took += times[i]
		requests, err := rest(ctx, s)
		if err != nil {
			return f, err
		}
		f.requests += requests
		if err := step.allSigned(s, image); err != nil {
			return f, err
		}
	}
	after, err := signatures(ctx, s)
	slices.Sort(times)
	f.p50, f.slowest = times[len(times)/2], times[len(times)-1]
	f.signatures, f.cpu = after-before, cpu(s.PID())-used
	return f, err
}

// allSigned fails unless the manifests of every platform are marked, too.
func (step imageStep) allSigned(s *sandbox.Sandbox, image v1.ImageIndex) error {
	m, err := image.IndexManifest()
	if err != nil {
		return err
	}
	for _, d := range m.Manifests {
		f, _ := s.Artifactory.File(step.repo, imageName+"/"+d.Digest.String()+"/manifest.json")
		if !slices.Contains(f.Properties["hallmark.state"], "signed") || !slices.Contains(f.Properties["hallmark.policy"], step.policy) {
			return fmt.Errorf("%s: the index is signed, its manifest %s is not: %v", step.title, d.Digest, f.Properties)
		}
	}
	return nil
}

// rest waits until every webhook is settled and a quarter of a second brought no request to Artifactory, and returns how
// many there were.
func rest(ctx context.Context, s *sandbox.Sandbox) (requests int, err error) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := s.Artifactory.WaitDelivered(ctx); err != nil {
			return 0, err
		}
		requests = s.Artifactory.CountRequests("", "")
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
		if s.Artifactory.CountRequests("", "") == requests {
			return requests, nil
		}
	}
}
