// Package hsmtest gives tests a real PKCS#11 token: SoftHSM, in a directory of its own, with its own copy of the module.
//
// Call Main from TestMain, then NewToken in each test. Every Token loads its own copy of the library, which reads its own
// configuration, so that neither login state nor files nor C_Finalize of one test reach another, and tests may run in
// parallel.
//
// Nothing is skipped where SoftHSM is missing: tests fail and name the package to install.
package hsmtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
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

// maxTokens is how many tokens one process may have.
const maxTokens = 400

// rig is what Setup made for the process.
var rig struct {
	dir  string
	used atomic.Int64
}

// Setup makes room for the process's tokens, for a TestMain that has more to do. Call it before any module is loaded:
// SoftHSM finds its configuration through the environment, which must not change once C code may be reading it.
func Setup() (cleanup func(), err error) {
	if _, err := exec.LookPath("softhsm2-util"); err != nil {
		return nil, errors.New(install)
	}
	if _, err := softHSM(); err != nil {
		return nil, err
	}
	if rig.dir, err = os.MkdirTemp("", "hsmtest-"); err != nil {
		return nil, fmt.Errorf("making token directory: %w", err)
	}
	for n := range maxTokens {
		if err := os.Setenv(variable(n), filepath.Join(home(n), confName)); err != nil {
			return nil, fmt.Errorf("setting %s: %w", variable(n), err)
		}
	}
	return func() { _ = os.RemoveAll(rig.dir) }, nil
}

// variable is the environment variable in which copy n of the module looks for its configuration. It is as long as the
// name that SoftHSM was built with, because it takes that name's place.
func variable(n int) string { return fmt.Sprintf("SOFTHSM2_%04d", n) }

// home is where the tokens of copy n live.
func home(n int) string { return filepath.Join(rig.dir, strconv.Itoa(n)) }

// Token is one initialised SoftHSM token.
type Token struct {
	Name    string // "hsm", the name in configuration
	Label   string // its own label
	Module  string // its own copy of the module, or a Shim's
	PINFile string
	number  int
}

// NewToken initialises a token. Its label is unlike every other's.
func NewToken(tb testing.TB) *Token {
	tb.Helper()
	require.NotEmpty(tb, rig.dir, "call hsmtest.Main from TestMain")
	n := int(rig.used.Add(1)) - 1
	require.Less(tb, n, maxTokens, "raise hsmtest's maxTokens")
	require.NoError(tb, os.MkdirAll(filepath.Join(home(n), tokenDir), 0o700))
	_, err := writeConf(home(n), filepath.Join(home(n), tokenDir))
	require.NoError(tb, err)
	tok := &Token{Name: "hsm", Label: "test-" + rand.Text()[:12], PINFile: filepath.Join(tb.TempDir(), "pin"), number: n}
	require.NoError(tb, os.WriteFile(tok.PINFile, []byte(UserPIN+"\n"), 0o600))
	tok.Init(tb, tok.Label)
	tok.Module = tok.CopyModule(tb)
	return tok
}

// Init makes a further token with this label beside this one. The module sees it when it is initialised the next time.
func (tok *Token) Init(tb testing.TB, label string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	// Made elsewhere and moved in as a whole: a module that is initialised meanwhile never sees half a token.
	shared := filepath.Join(home(tok.number), tokenDir)
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

// tokenDir and confName are a token's directory and SoftHSM's configuration, side by side.
const (
	tokenDir = "tokens"
	confName = "softhsm2.conf"
)

func writeConf(dir, tokens string) (string, error) {
	conf := filepath.Join(dir, confName)
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

// GenerateFor makes a key of the service's own on the token, with name and label alike.
func (tok *Token) GenerateFor(tb testing.TB, name string, use hsm.Use, algorithm hsm.Algorithm) hsm.KeyConfig {
	tb.Helper()
	key := tok.Generate(tb, name, "", algorithm)
	key.Use = use
	return key
}

// CopyModule returns a copy of the SoftHSM module that sees this token and shares no state with any other copy, as a
// second machine would.
func (tok *Token) CopyModule(tb testing.TB) string {
	tb.Helper()
	from, err := softHSM()
	require.NoError(tb, err)
	library, err := os.ReadFile(from)
	require.NoError(tb, err)
	name := []byte("SOFTHSM2_CONF\x00")
	require.Equal(tb, 1, bytes.Count(library, name), "%s names its environment variable once", from)
	library = bytes.Replace(library, name, []byte(variable(tok.number)+"\x00"), 1)
	to := filepath.Join(tb.TempDir(), "libsofthsm2.so")
	require.NoError(tb, os.WriteFile(to, library, 0o700))
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
