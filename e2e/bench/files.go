package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

const fileSize = 10 << 10

// measureFiles signs many small files in three ways: Hallmark, the bare loop, the script.
func measureFiles(ctx context.Context, b *bench) error {
	s, err := b.world(ctx, "files", sandbox.Config{Workers: 64})
	if err != nil {
		return err
	}
	defer s.Stop()

	took, used, err := signWarm(ctx, s, b.files)
	if err != nil {
		return err
	}
	steps, err := stepMeans(ctx, s)
	if err != nil {
		return err
	}
	loop, err := bareLoop(ctx, s, b.files)
	if err != nil {
		return err
	}
	script, err := runScript(ctx, b, s)
	if err != nil {
		return err
	}

	rate := func(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }
	h, l, c := rate(b.files, took), rate(b.files, loop), rate(b.scripts, script)
	fmt.Printf("\n### %d files of 10 KiB, webhook to properties set\n\n", b.files)
	fmt.Println("| way | files/s | per file | goal |")
	fmt.Println("| --- | ---: | ---: | --- |")
	fmt.Printf("| Hallmark | %.0f | %.2f ms CPU | ≤ 1.5 ms CPU |\n", h, used.Seconds()*1e3/float64(b.files))
	fmt.Printf("| bare loop (%.2f × of it reached) | %.0f | | ≥ 0.25 × |\n", h/l, l)
	fmt.Printf("| script (%.0f × of it reached) | %.1f | | ≥ 20 × |\n", h/c, c)
	fmt.Printf("\nMean time in each step (64 at once, waiting included): %s\n", steps)
	return nil
}

// signWarm is signAll below app/run once connections, sessions and statements exist, and the processor time that it took the
// service.
func signWarm(ctx context.Context, s *sandbox.Sandbox, n int) (took, used time.Duration, err error) {
	if _, err := signAll(ctx, s, "app/warm", 100); err != nil {
		return 0, 0, err
	}
	before := cpu(s.PID())
	took, err = signAll(ctx, s, "app/run", n)
	return took, cpu(s.PID()) - before, err
}

// signAll uploads n files, then lets all their webhooks go at once, and returns the time until the last is marked.
func signAll(ctx context.Context, s *sandbox.Sandbox, folder string, n int) (time.Duration, error) {
	s.Artifactory.HoldEvents()
	for i := range n {
		content := make([]byte, fileSize)
		_, _ = rand.Read(content) // never fails: crypto/rand ends the process rather than return an error
		if err := s.Artifactory.Put(sandbox.Developer, sandbox.Staging, name(folder, i), bytes.NewReader(content), nil); err != nil {
			return 0, err
		}
	}
	start := time.Now()
	announce(s)
	for i := n - 1; i >= 0; i-- {
		if err := awaitSigned(ctx, s, name(folder, i)); err != nil {
			return 0, err
		}
	}
	return time.Since(start), nil
}

// announce sends the held events all at once, as a burst of uploads does.
func announce(s *sandbox.Sandbox) {
	var held []standin.Event
	s.Artifactory.ReleaseEvents(func(e []standin.Event) []standin.Event { held = e; return nil })
	for _, e := range held {
		s.Artifactory.Emit(e)
	}
}

func name(folder string, i int) string { return fmt.Sprintf("%s/%d/file-%d.bin", folder, i%50, i) }

// awaitSigned waits until a file of the staging repository is marked as signed.
func awaitSigned(ctx context.Context, s *sandbox.Sandbox, file string) error {
	return await(ctx, s, sandbox.Staging, file, "hallmark.state", "signed")
}

// await polls the stand-in's memory, which costs no request, until a file has a property's value.
func await(ctx context.Context, s *sandbox.Sandbox, repo, file, property, value string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		f, _ := s.Artifactory.File(repo, file)
		if slices.Contains(f.Properties[property], value) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s/%s: %w", repo, file, ctx.Err())
		case <-tick.C:
		}
	}
}

// stepMeans reads hallmark_signing_step_seconds.
func stepMeans(ctx context.Context, s *sandbox.Sandbox) (string, error) {
	exposed, err := scrape(ctx, s)
	if err != nil {
		return "", err
	}
	var out []string
	for _, step := range []string{"resolve", "decide", "intend", "pull", "seal", "check", "attach", "record"} {
		label := `{step="` + step + `"}`
		sum, count := total(exposed, "hallmark_signing_step_seconds_sum"+label), total(exposed, "hallmark_signing_step_seconds_count"+label)
		if count > 0 {
			out = append(out, fmt.Sprintf("%s %.2f ms", step, sum/count*1e3))
		}
	}
	return strings.Join(out, ", "), nil
}
