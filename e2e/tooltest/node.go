package tooltest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Node returns the path of Node.js.
func Node(t testing.TB) string {
	t.Helper()
	p, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing: run e2e/install.sh node npm")
	}
	return p
}

// Workers compiles the JFrog Workers of policies/gates/worker in a copy of that folder and returns the copy. The npm
// packages that this takes are those that make tools installed by the same lock file.
func Workers(t testing.TB) string {
	t.Helper()
	dir, err := workers(t.TempDir(), filepath.Join(RepoRoot(t), "policies", "gates", "worker"), filepath.Join(RepoRoot(t), "bin", "npm"))
	if err != nil {
		t.Fatalf("copying the workers: %v (run make tools)", err)
	}
	if out, err := Run(t, dir, Node(t), "node_modules/typescript/bin/tsc", "-p", "."); err != nil {
		t.Fatalf("compiling the workers: %v\n%s", err, out)
	}
	return dir
}

// workers copies source to dir, but for what npm and tsc made of it in place, and gives it the packages of npm.
func workers(dir, source, npm string) (string, error) {
	for _, name := range []string{"package.json", "package-lock.json"} {
		wanted, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", err
		}
		if installed, err := os.ReadFile(filepath.Join(npm, name)); err != nil {
			return "", err
		} else if string(installed) != string(wanted) {
			return "", fmt.Errorf("%s holds the packages of another %s", npm, name)
		}
	}
	entries, err := os.ReadDir(source)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		from, to := filepath.Join(source, e.Name()), filepath.Join(dir, e.Name())
		switch {
		case e.Name() == "node_modules" || e.Name() == "out":
		case e.IsDir():
			err = os.CopyFS(to, os.DirFS(from))
		default:
			var content []byte
			if content, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(to, content, 0o600)
			}
		}
		if err != nil {
			return "", err
		}
	}
	return dir, os.Symlink(filepath.Join(npm, "node_modules"), filepath.Join(dir, "node_modules"))
}
