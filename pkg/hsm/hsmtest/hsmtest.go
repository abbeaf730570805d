// Package hsmtest gives tests a real PKCS#11 token: SoftHSM, in a directory of its own, with its own copy of the module.
//
// Call Main from TestMain, then NewToken in each test. SoftHSM reads SOFTHSM2_CONF when it is initialised, so there is
// one configuration per process; but every Token loads its own copy of the library, so login state and C_Finalize of one
// test do not reach another, and tests may run in parallel.
//
// Nothing is skipped where SoftHSM is missing: tests fail and name the package to install.
package hsmtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// UserPIN and SecurityOfficerPIN of every token.
const (
	UserPIN            = "4711-user"
	SecurityOfficerPIN = "4711-officer"
)

const install = "SoftHSM is missing; run: apt-get install softhsm2"

// Main is a whole TestMain: it sets up a token directory, runs the tests and ends the process.
func Main(m *testing.M) {
	cleanup, err := Setup()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hsmtest:", err)
		os.Exit(1)
	}
	code := m.Run()
	cleanup()
	os.Exit(code)
}

// Setup makes the process's token directory and sets SOFTHSM2_CONF, for a TestMain that has more to do. Call it before
// any module is loaded.
func Setup() (cleanup func(), err error) {
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		return nil, errors.New(install)
	}
	if _, err := softHSM(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "hsmtest-")
	if err != nil {
		return nil, fmt.Errorf("making token directory: %w", err)
	}
	tokens := filepath.Join(dir, tokenDir)
	if err := os.Mkdir(tokens, 0o700); err != nil {
		return nil, fmt.Errorf("making token directory: %w", err)
	}
	conf, err := writeConf(dir, tokens)
	if err != nil {
		return nil, err
	}
	if err := os.Setenv("SOFTHSM2_CONF", conf); err != nil {
		return nil, fmt.Errorf("setting SOFTHSM2_CONF: %w", err)
	}
	return func() { _ = os.RemoveAll(dir) }, nil
}

// Token is one initialised SoftHSM token.
type Token struct {
	Name    string // "hsm", the name in configuration
	Label   string // its own label
	Module  string // its own copy of the module, or a Shim's
	PINFile string
}

// NewToken initialises a token. Its label is unlike every other's.
func NewToken(tb testing.TB) *Token {
	tb.Helper()
	require.NotEmpty(tb, os.Getenv("SOFTHSM2_CONF"), "call hsmtest.Main from TestMain")
	dir := tb.TempDir()
	tok := &Token{Name: "hsm", Label: "test-" + rand.Text()[:12], PINFile: filepath.Join(dir, "pin")}
	require.NoError(tb, os.WriteFile(tok.PINFile, []byte(UserPIN+"\n"), 0o600))
	tok.Init(tb, tok.Label)
	tok.Module = CopyModule(tb)
	return tok
}

// Init makes a further token with this label in the process's token directory. A module sees it when it is initialised
// the next time.
func (*Token) Init(tb testing.TB, label string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	// Made elsewhere and moved in as a whole: a module that another test initialises meanwhile never sees half a token.
	shared := filepath.Join(filepath.Dir(os.Getenv("SOFTHSM2_CONF")), tokenDir)
	nursery, err := os.MkdirTemp(filepath.Dir(shared), "nursery-")
	require.NoError(tb, err)
	conf, err := writeConf(nursery, nursery)
	require.NoError(tb, err)
	cmd := exec.CommandContext(ctx, "softhsm2-util", "--init-token", "--free", "--label", label,
		"--pin", UserPIN, "--so-pin", SecurityOfficerPIN)
	cmd.Env = append(os.Environ(), "SOFTHSM2_CONF="+conf)
	out, err := cmd.CombinedOutput()
	require.NoError(tb, err, "softhsm2-util: %s", out)
	made, err := filepath.Glob(filepath.Join(nursery, "*", "token.object"))
	require.NoError(tb, err)
	require.Len(tb, made, 1)
	from := filepath.Dir(made[0])
	require.NoError(tb, os.Rename(from, filepath.Join(shared, filepath.Base(from))))
}

// tokenDir is the name of the directory that holds the tokens, beside the configuration file.
const tokenDir = "tokens"

func writeConf(dir, tokens string) (string, error) {
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n", tokens)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("writing SoftHSM configuration: %w", err)
	}
	return conf, nil
}

// Config is the configuration that opens the token.
func (tok *Token) Config() hsm.Config {
	return hsm.Config{Name: tok.Name, Module: tok.Module, Label: tok.Label, PIN: hsm.PINFile{File: tok.PINFile}}
}

// Generate makes a key on the token, with name and label alike, and returns the configuration that pins it.
func (tok *Token) Generate(tb testing.TB, name, lane string, algorithm hsm.Algorithm) hsm.KeyConfig {
	tb.Helper()
	made, err := hsm.Generate(tb.Context(), tok.Config(), hsm.GenerateRequest{Label: name, Algorithm: algorithm})
	require.NoError(tb, err)
	return hsm.KeyConfig{Name: name, Token: tok.Name, Lane: lane, SPKI: made.Public.Pin()}
}

// CopyModule returns a copy of the SoftHSM module that shares no state with any other copy.
func CopyModule(tb testing.TB) string {
	tb.Helper()
	from, err := softHSM()
	require.NoError(tb, err)
	to := filepath.Join(tb.TempDir(), "libsofthsm2.so")
	in, err := os.Open(from)
	require.NoError(tb, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	require.NoError(tb, err)
	_, err = io.Copy(out, in)
	require.NoError(tb, errors.Join(err, out.Close()))
	return to
}

// softHSM finds the installed module.
func softHSM() (string, error) {
	places := []string{
		os.Getenv("SOFTHSM2_MODULE"), "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so",
	}
	for _, p := range places {
		if info, err := os.Stat(p); p != "" && err == nil && !info.IsDir() {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s (looked in %s; SOFTHSM2_MODULE names another place)", install, strings.Join(places[1:], ", "))
}
