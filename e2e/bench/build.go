package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" // #nosec G505 -- build-info speaks it
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"time"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

const releaseBuilds = `---
kind: SigningPolicy
name: release-builds
owner: release-managers
match: {repositories: [` + sandbox.Release + `], events: [build/promoted]}
sign: [{key: ` + sandbox.Key + `, formats: [sigstore, raw]}]
`

// measureBuild promotes builds by copy, as Artifactory itself does, and takes the time from the one event about each until
// its last artifact is signed in the release repository: one that staging has signed with the right key, and one that
// nobody has signed.
func measureBuild(ctx context.Context, b *bench) error {
	s, err := b.world(ctx, "build", sandbox.Config{Workers: 64, Policies: releaseBuilds, Standin: func(c *standin.Config) {
		c.Quirks.PromotionEvents = "promoted" // no event about a single file
		for _, t := range c.Tokens {
			if t.Rights != nil {
				t.Rights[sandbox.Release], t.Rights["artifactory-build-info"] = "rwa", "rw"
			}
		}
	}})
	if err != nil {
		return err
	}
	defer s.Stop()
	fmt.Printf("\n### A build of %d artifacts, promoted by Artifactory\n\n", b.built)
	fmt.Println("| in staging | time until all are signed in the target | artifacts/s | HSM signatures | CPU of Hallmark per artifact | peak memory |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: |")
	for _, round := range []struct{ name, folder string }{{"signed by the release key", "app"}, {"not signed", "unsigned"}} {
		if err := promoteOnce(ctx, s, round.name, round.folder, b.built); err != nil {
			return err
		}
	}
	return nil
}

func promoteOnce(ctx context.Context, s *sandbox.Sandbox, title, folder string, n int) error {
	s.Artifactory.HoldEvents()
	if err := publish(ctx, s, folder, n); err != nil {
		return err
	}
	announce(s)
	for i := range n {
		if folder != "app" {
			break
		}
		if err := awaitSigned(ctx, s, name(folder, i)); err != nil {
			return err
		}
	}
	if err := s.Artifactory.WaitDelivered(ctx); err != nil {
		return err
	}
	s.Artifactory.HoldEvents()
	if err := ask(ctx, s, http.MethodPost, "build/promote/"+folder+"/1", []byte(`{"status":"released","targetRepo":"`+sandbox.Release+`","copy":true}`)); err != nil {
		return err
	}
	used := cpu(s.PID())
	before, err := signatures(ctx, s)
	if err != nil {
		return err
	}
	start := time.Now()
	announce(s)
	for i := range n {
		if err := await(ctx, s, sandbox.Release, name(folder, i), "hallmark.policy", "release-builds"); err != nil {
			return err
		}
	}
	took := time.Since(start)
	after, err := signatures(ctx, s)
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %.1f s | %.0f | %d | %.2f ms | %d MiB |\n", title, took.Seconds(), float64(n)/took.Seconds(), after-before,
		(cpu(s.PID())-used).Seconds()*1e3/float64(n), peakRSS(s.PID())>>20)
	return nil
}

// publish uploads the files of a build and its build-info.
func publish(ctx context.Context, s *sandbox.Sandbox, build string, n int) error {
	type artifact struct {
		Name string `json:"name"`
		SHA1 string `json:"sha1"`
	}
	artifacts := make([]artifact, n)
	for i := range artifacts {
		content := make([]byte, fileSize)
		_, _ = rand.Read(content) // never fails: crypto/rand ends the process rather than return an error
		sum := sha1.Sum(content)  // #nosec G401 -- as above
		artifacts[i] = artifact{path.Base(name(build, i)), hex.EncodeToString(sum[:])}
		props := map[string][]string{"build.name": {build}, "build.number": {"1"}}
		if err := s.Artifactory.Put(sandbox.Developer, sandbox.Staging, name(build, i), bytes.NewReader(content), props); err != nil {
			return err
		}
	}
	info, err := json.Marshal(map[string]any{
		"name": build, "number": "1", "started": time.Now().UTC().Format("2006-01-02T15:04:05.000-0700"), "modules": []any{map[string]any{"id": build, "artifacts": artifacts}},
	})
	if err != nil {
		return err
	}
	return ask(ctx, s, http.MethodPut, "build", info)
}

// ask sends a request as a developer does.
func ask(ctx context.Context, s *sandbox.Sandbox, method, call string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, s.Artifactory.URL()+"/artifactory/api/"+call, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+sandbox.Developer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: HTTP %d: %s", method, call, resp.StatusCode, said)
	}
	return err
}
