// Package tooltest finds and runs the programs of other people that judge our output in tests. A missing program fails
// the test and names the command that installs it; nothing is skipped.
package tooltest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// module is the first line of the repository's own go.mod; modules nested in the repository have longer names.
const module = "module github.com/hallmark-signing/hallmark\n"

// runLimit bounds one run of a program. It is generous: only a program that waits for something hits it.
const runLimit = 2 * time.Minute

// RepoRoot returns the directory of the repository that the test runs in.
func RepoRoot(t testing.TB) string {
	t.Helper()
	start, err := os.Getwd()
	if err != nil {
		t.Fatalf("finding the repository: %v", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.HasPrefix(string(b), module) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("finding the repository: no directory above %s is it", start)
		}
	}
}

// Cosign returns the path of cosign: $HALLMARK_COSIGN, else bin/cosign of the repository, else the one on $PATH.
func Cosign(t testing.TB) string {
	t.Helper()
	return tool(t, "cosign", "HALLMARK_COSIGN")
}

// Helm returns the path of helm: $HALLMARK_HELM, else bin/helm of the repository, else the one on $PATH.
func Helm(t testing.TB) string {
	t.Helper()
	return tool(t, "helm", "HALLMARK_HELM")
}

// OPA returns the path of opa: $HALLMARK_OPA, else bin/opa of the repository, else the one on $PATH.
func OPA(t testing.TB) string {
	t.Helper()
	return tool(t, "opa", "HALLMARK_OPA")
}

// Judge returns the path of e2e/tools/judge, which is sigstore-go: $HALLMARK_JUDGE, else bin/judge of the repository.
func Judge(t testing.TB) string {
	t.Helper()
	return tool(t, "judge", "HALLMARK_JUDGE")
}

// SigstoreJS returns the directory of the packages that e2e/judges/js needs.
func SigstoreJS(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(RepoRoot(t), "bin", "sigstore-js", "node_modules")
	if _, err := os.Stat(filepath.Join(dir, "@sigstore", "verify")); err != nil {
		t.Fatalf("the packages of e2e/judges/js are missing: run make tools (%v)", err)
	}
	return dir
}

func tool(t testing.TB, name, variable string) string {
	t.Helper()
	if p := os.Getenv(variable); p != "" {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("%s does not name a program: %v", variable, err)
		}
		return p
	}
	if p, err := exec.LookPath(filepath.Join(RepoRoot(t), "bin", name)); err == nil {
		return p
	}
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	t.Fatalf("%s is missing: run make tools", name)
	return ""
}

// OpenSSL returns the path of the openssl program.
func OpenSSL(t testing.TB) string {
	t.Helper()
	p, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing: run apt-get install openssl")
	}
	return p
}

// Groovy returns the path of the groovy program and the JAVA_HOME that it needs: Debian's looks in a place that not every
// Java package fills.
func Groovy(t testing.TB) (program, javaHome string) {
	t.Helper()
	program, err := exec.LookPath("groovy")
	if err != nil {
		t.Fatal("groovy is missing: run e2e/install.sh groovy")
	}
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return program, home
	}
	java, err := exec.LookPath("java")
	if err == nil {
		java, err = filepath.EvalSymlinks(java)
	}
	if err != nil {
		t.Fatalf("java is missing: run e2e/install.sh groovy (%v)", err)
	}
	return program, filepath.Dir(filepath.Dir(java))
}

// Run runs a program in dir and returns what it printed, both streams together. Its home directory is empty, and its
// proxy settings lead nowhere, so that a program that needs the network or a user's settings fails.
func Run(t testing.TB, dir, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, bare(t)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// bare is the environment of the programs.
func bare(t testing.TB) []string {
	t.Helper()
	const nowhere = "http://127.0.0.1:9"
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "COSIGN_PASSWORD=",
		"HTTP_PROXY=" + nowhere, "HTTPS_PROXY=" + nowhere,
	}
}
