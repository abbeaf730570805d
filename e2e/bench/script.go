package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

//go:embed script.sh
var script []byte

// runScript signs files the way people do it today: curl, cosign with the key in the token, curl, curl.
func runScript(ctx context.Context, b *bench, s *sandbox.Sandbox) (time.Duration, error) {
	module, err := sandbox.Module()
	if err != nil {
		return 0, err
	}
	file := filepath.Join(b.dir, "script.sh")
	if err := os.WriteFile(file, script, 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "bash", file, strconv.Itoa(b.scripts))
	cmd.Env = append(os.Environ(),
		"SOFTHSM2_CONF="+s.Path("softhsm2.conf"), "HOME="+b.dir, "COSIGN="+filepath.Join(b.bin, "cosign"),
		"BASE="+s.Artifactory.URL()+"/artifactory", "REPO="+sandbox.Staging, "TOKEN="+s.Secret("artifactory"),
		"COSIGN_PKCS11_PIN="+s.Secret("pin"), "COSIGN_PASSWORD=", "PUB="+s.Path("release.pub"), "WORK="+filepath.Join(b.dir, "script"),
		fmt.Sprintf("KEY=pkcs11:token=hallmark;object=%s?module-path=%s", sandbox.Key, module))
	start := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("running the script: %w\n%s", err, out)
	}
	return time.Since(start), nil
}
