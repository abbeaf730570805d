package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the ledger's database is filled behind its back

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/policy/trial"
)

// measureReplay puts a candidate to a ledger's decisions through the service: half on signing, half of the gate. It is
// done with a tenth of them, too: memory must not grow with their number.
func measureReplay(ctx context.Context, b *bench) error {
	fmt.Printf("\n### Replaying decisions with `hallmark policy replay`\n\n")
	fmt.Println("| decisions | time | decisions/s | peak memory of the command | peak memory of Hallmark | ledger |")
	fmt.Println("| ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, n := range []int{b.decisions / 10, b.decisions} {
		if err := replayOnce(ctx, b, n); err != nil {
			return err
		}
	}
	return nil
}

func replayOnce(ctx context.Context, b *bench, n int) error {
	s, err := b.world(ctx, fmt.Sprintf("replay%d", n), sandbox.Config{})
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := s.Terminate(); err != nil {
		return err
	}
	file := s.Path("hallmark.db")
	if err := fill(ctx, file, n); err != nil {
		return err
	}
	if err := s.Serve(ctx); err != nil {
		return err
	}
	now, err := os.ReadFile(s.Path("policies", "release.yaml"))
	if err != nil {
		return err
	}
	candidate := s.Path("candidate")
	if err := os.Mkdir(candidate, 0o700); err != nil {
		return err
	}
	changed := strings.Replace(string(now), `["app/**"]`, `["app/0/**"]`, 1)
	if err := os.WriteFile(filepath.Join(candidate, "release.yaml"), []byte(changed), 0o600); err != nil {
		return err
	}
	var out, errs bytes.Buffer
	cmd := s.Command(ctx, "policy", "replay", "--candidate", candidate, "-o", "json")
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("replaying: %w: %s", err, errs.String())
	}
	took := time.Since(start)
	var r trial.Replayed
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		return err
	}
	if r.Decisions != n || len(r.Effects) != 1 || r.CannotTell != 0 {
		return fmt.Errorf("of %d decisions: %s", n, out.String())
	}
	var size int64
	if info, err := os.Stat(file); err == nil {
		size = info.Size()
	}
	fmt.Printf("| %d | %s | %.0f | %d MiB | %d MiB | %d MiB, %d bytes a decision |\n", n, took.Round(100*time.Millisecond), float64(n)/took.Seconds(),
		maxRSS(cmd)>>20, peakRSS(s.PID())>>20, size>>20, size/int64(n))
	return nil
}

// fill writes decisions as the service would have, over a year.
func fill(ctx context.Context, file string, n int) error {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, `PRAGMA synchronous = OFF`); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	outcome, err := tx.PrepareContext(ctx, `INSERT INTO outcome (repo, path, instance, at, subject, state, reasons, policy, rule, policy_set, event_id, keys, files, received_at, parts, facts, moment)
		VALUES (?, ?, 'main', ?, ?, 'signed', '', 'release-binaries', 'policies/release.yaml:1 (release-binaries)', ?, ?, '["release-2026"]', '["app.tgz.sigstore.json","app.tgz.sig"]', ?, 0, ?, ?)`)
	if err != nil {
		return err
	}
	verdict, err := tx.PrepareContext(ctx, `INSERT INTO verdict (repo, path, instance, at, target_instance, target_repo, target_path, subject, allow, reasons, policy_set, caller, rule, facts, moment)
		VALUES (?, ?, 'main', ?, 'main', ?, ?, ?, 1, '', ?, 'ci', 'policies/release.yaml:9 (libs-release)', ?, ?)`)
	if err != nil {
		return err
	}
	digest, times := strings.Repeat("ab", 32), `"created":"2026-01-02T03:04:05.678Z","modified":"2026-01-02T03:04:05.678Z"`
	signed := `{"kind":"file","size":1048576,` + times + `,"event":"artifact/deployed","granted":[{"key":"` + sandbox.Key + `","formats":["sigstore","raw"]}]}`
	allowed := `{"kind":"file","size":1048576,` + times + `,"evidence":[{"file":"app.tgz.sigstore.json","format":"sigstore","key":"` + sandbox.Key + `","at":"2026-01-02T03:04:05Z","sha256":"` + digest +
		`"}],"looked":{"keys":["` + sandbox.Key + `"],"formats":["sigstore","raw","cosign","cosign-tag","evidence"],"early":true}}`
	began := time.Now().AddDate(-1, 0, 0)
	for i := range n {
		at := began.Add(time.Duration(i) * (364 * 24 * time.Hour) / time.Duration(n)).UnixMicro()
		path := fmt.Sprintf("app/%d/service-%d/app-%d.tgz", i%10, i/1000, i)
		if i%2 == 0 {
			_, err = outcome.ExecContext(ctx, sandbox.Staging, path, at, digest, digest, i, at, signed, at)
		} else {
			_, err = verdict.ExecContext(ctx, sandbox.Staging, path, at, sandbox.Release, path, digest, digest, allowed, at)
		}
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}
