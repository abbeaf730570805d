package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
)

// measureSweep compares a repository of many files, all in order, with the ledger: every third file an artifact, every
// other one of its two signature files, each of which is verified.
func measureSweep(ctx context.Context, b *bench) error {
	s, err := b.world(ctx, "sweep", sandbox.Config{Sweep: "{off: true}", Standin: func(c *standin.Config) { c.KeepRequests = 1 << 20 }})
	if err != nil {
		return err
	}
	defer s.Stop()
	const first = "app/first.bin"
	if err := s.Artifactory.Put(sandbox.Developer, sandbox.Staging, first, bytes.NewReader(make([]byte, fileSize)), nil); err != nil {
		return err
	}
	if err := awaitSigned(ctx, s, first); err != nil {
		return err
	}
	s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
	// The bytes are the same everywhere, so their signatures are too, and nothing needs the token.
	if err := multiply(s, first, b.items/3); err != nil {
		return err
	}
	client := &api.Client{URL: s.URL, Token: s.Secret("caller")}
	fmt.Printf("\n### A sweep over %d files, all in order\n\n", b.items)
	fmt.Println("| pages of 500 | files | signatures verified | time | files/s | requests | of them for single files | CPU of Hallmark | peak memory |")
	fmt.Println("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, folder := range []string{"app/0", ""} {
		if err := sweepOnce(ctx, s, client, folder); err != nil {
			return err
		}
	}
	return nil
}

func multiply(s *sandbox.Sandbox, first string, n int) error {
	var contents [3][]byte
	suffixes := [3]string{"", ".sigstore.json", ".sig"}
	for i, suffix := range suffixes {
		var err error
		if contents[i], err = s.Artifactory.Content(sandbox.Staging, first+suffix); err != nil {
			return err
		}
	}
	signed, _ := s.Artifactory.File(sandbox.Staging, first)
	for i := range n {
		for j, suffix := range suffixes {
			props := signed.Properties
			if j > 0 {
				props = nil
			}
			if err := s.Artifactory.Put(sandbox.Developer, sandbox.Staging, name("app", i)+suffix, bytes.NewReader(contents[j]), props); err != nil {
				return err
			}
		}
	}
	return nil
}

func sweepOnce(ctx context.Context, s *sandbox.Sandbox, client *api.Client, folder string) error {
	s.Artifactory.ForgetRequests()
	used := cpu(s.PID())
	run, err := client.Sweep(ctx, api.SweepRequest{Repository: sandbox.Staging, Prefix: folder, Full: true})
	for err == nil && run.State != "done" {
		select {
		case <-time.After(20 * time.Millisecond):
			run, err = client.SweepStatus(ctx, run.ID)
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	if bad := run.Items - run.Findings["signed"] - run.Findings["signature-file"]; bad != 0 {
		return fmt.Errorf("%d files are not in order: %v", bad, run.Findings)
	}
	took := run.FinishedAt.Sub(*run.StartedAt)
	queries := s.Artifactory.CountRequests(http.MethodPost, "/artifactory/api/search/aql")
	all := s.Artifactory.CountRequests("", "/")
	where := "whole repository"
	if folder != "" {
		where = "one folder"
	}
	fmt.Printf("| %s | %d | %d | %.1f s | %.0f | %d | %d | %.1f s | %d MiB |\n", where, run.Items, run.Findings["signature-file"], took.Seconds(),
		float64(run.Items)/took.Seconds(), all, all-queries, (cpu(s.PID()) - used).Seconds(), peakRSS(s.PID())>>20)
	return nil
}
