package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// measureTrust signs the same number of files bare and with certificate, log and time-stamp, each in a world of its own, twice
// and in turn, so that a busy machine slows both alike. Then what the second world published is verified offline.
func measureTrust(ctx context.Context, b *bench) error {
	fmt.Printf("\n### %d files of 10 KiB, bare and proven\n\n", b.files)
	fmt.Println("| signed | files/s | processor time of Hallmark per file | peak memory |")
	fmt.Println("| --- | ---: | ---: | ---: |")
	for round := range 2 {
		for _, proven := range []bool{false, true} {
			if err := b.signProven(ctx, round, proven); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) signProven(ctx context.Context, round int, proven bool) error {
	what := map[bool]string{false: "bare", true: "with certificate, log and time-stamp"}[proven]
	s, err := b.world(ctx, fmt.Sprintf("trust-%d-%t", round, proven), sandbox.Config{Workers: 64, Trust: proven})
	if err != nil {
		return err
	}
	defer s.Stop()
	took, used, err := signWarm(ctx, s, b.files)
	if err != nil {
		return err
	}
	fmt.Printf("| %s | %.0f | %.2f ms | %d MiB |\n", what, float64(b.files)/took.Seconds(), used.Seconds()*1e3/float64(b.files), peakRSS(s.PID())>>20)
	if !proven || round == 0 {
		return nil
	}
	steps, err := stepMeans(ctx, s)
	if err != nil {
		return err
	}
	fmt.Printf("\nMean time in each step, proven (64 at once, waiting included): %s\n", steps)
	return b.verifyOffline(ctx, s)
}

// verifyOffline runs hallmark verify over a folder with all the files and their bundles.
func (b *bench) verifyOffline(ctx context.Context, s *sandbox.Sandbox) error {
	dir, trust := s.Path("work", "published"), s.Path("work", "trust")
	for i := range b.files {
		for _, suffix := range []string{"", ".sigstore.json"} {
			file := name("app/run", i) + suffix
			content, err := s.Artifactory.Content(sandbox.Staging, file)
			if err != nil {
				return err
			}
			to := filepath.Join(dir, filepath.FromSlash(file))
			if err := os.MkdirAll(path.Dir(to), 0o700); err != nil {
				return err
			}
			if err := os.WriteFile(to, content, 0o600); err != nil {
				return err
			}
		}
	}
	if out, code, err := s.Run(ctx, "trust", "export", trust); err != nil || code != 0 {
		return fmt.Errorf("exporting trust: %w\n%s", err, out)
	}
	cmd := s.Command(ctx, "verify", dir, "--trust", trust, "--min-level", "3", "--all", "-o", "json")
	start := time.Now()
	out, err := cmd.Output()
	took := time.Since(start)
	if err != nil {
		return fmt.Errorf("verifying: %w\n%.1000s", err, out)
	}
	var said struct {
		Files []struct{ Level int } `json:"files"`
	}
	if err := json.Unmarshal(out, &said); err != nil || len(said.Files) != b.files {
		return fmt.Errorf("%d files were verified, expected %d: %w", len(said.Files), b.files, err)
	}
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("\n`hallmark verify` over all of them, offline, level 3: %.1f s, %.0f files/s, %.2f ms of processor time per file, %d MiB\n",
		took.Seconds(), float64(b.files)/took.Seconds(), used.Seconds()*1e3/float64(b.files), maxRSS(cmd)>>20)
	return nil
}
