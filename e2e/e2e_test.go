// Package e2e drives the real binary the way its users do: uploads with JFrog's own client, webhooks over the wire, the
// command line, signals. Nothing of it is replaced; Artifactory is the stand-in, the HSM is SoftHSM.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	jfroglog "github.com/jfrog/jfrog-client-go/utils/log"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
)

// binary is the hallmark that is under test, built once from this tree.
var binary string

// patience bounds every wait. It is never used up unless something is broken.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	jfroglog.SetLogger(jfroglog.NewLogger(jfroglog.ERROR, io.Discard)) // global in the library
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func build(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "hallmark-e2e-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil { // one test runs the binary as another user
		return 0, err
	}
	binary = filepath.Join(dir, "hallmark")
	args := []string{"build", "-o", binary}
	if raceFlag != "" {
		args = append(args, raceFlag)
	}
	out, err := exec.Command("go", append(args, "../cmd/hallmark")...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("building hallmark: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// start makes a world that ends with the test. Its log must then hold no secret and no data race.
func start(t *testing.T, c sandbox.Config) *sandbox.Sandbox {
	t.Helper()
	c.Dir, c.Hallmark = t.TempDir(), binary
	if c.Timing.Pause == 0 {
		c.Timing.Pause = 200 * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := sandbox.Start(ctx, c)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.Stop()
		log := serviceLog(t, s)
		noSecrets(t, s, log)
		require.NotContains(t, log, "DATA RACE")
		require.NotContains(t, log, "panic")
	})
	return s
}

// eachDatabase runs the test in a world on either database.
func eachDatabase(t *testing.T, test func(t *testing.T, c sandbox.Config)) {
	t.Helper()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) { test(t, sandbox.Config{Database: ledgertest.URL(t, d)}) })
}

func serviceLog(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	log, err := os.ReadFile(s.Path("hallmark.log"))
	require.NoError(t, err)
	return string(log)
}

// complaints are the lines of the service's log that say what went wrong there.
func complaints(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	var said strings.Builder
	for line := range strings.Lines(serviceLog(t, s)) {
		if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			said.WriteString(line)
		}
	}
	return said.String()
}

func noSecrets(t *testing.T, s *sandbox.Sandbox, output string) {
	t.Helper()
	for _, secret := range s.Secrets() {
		require.NotContains(t, output, secret, "a secret was printed")
	}
}

// result is what a command line printed and how it ended.
type result struct {
	out, err string
	code     int
}

// hallmark runs one command line. No output may hold a secret.
func hallmark(t *testing.T, s *sandbox.Sandbox, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return finish(t, s, s.Command(ctx, args...))
}

// finish runs a prepared command line.
func finish(t *testing.T, s *sandbox.Sandbox, cmd *exec.Cmd) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	noSecrets(t, s, out.String()+errs.String())
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// hallmarkJSON runs one command line with -o json and reads its whole standard output.
func hallmarkJSON(t *testing.T, s *sandbox.Sandbox, code int, into any, args ...string) {
	t.Helper()
	r := hallmark(t, s, append(args, "-o", "json")...)
	require.Equal(t, code, r.code, "%v\n%s%s\n%s", args, r.out, r.err, complaints(t, s))
	d := json.NewDecoder(strings.NewReader(r.out))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(into), r.out)
	_, err := d.Token()
	require.ErrorIs(t, err, io.EOF, "something follows the JSON")
}

// eventually polls where no signal can exist.
func eventually(t *testing.T, what func() string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(10 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "did not happen: %s", what())
	}
}

// upload is one plain deploy by a developer, past no permission.
func upload(t *testing.T, s *sandbox.Sandbox, path, content string) {
	t.Helper()
	require.NoError(t, s.Artifactory.Put(sandbox.Developer, sandbox.Staging, path, strings.NewReader(content), nil))
}

// state is what the artifact's property says; "" for none.
func state(s *sandbox.Sandbox, path string) string {
	f, _ := s.Artifactory.File(sandbox.Staging, path)
	return strings.Join(f.Properties["hallmark.state"], ",")
}

func awaitSigned(t *testing.T, s *sandbox.Sandbox, paths ...string) {
	t.Helper()
	for _, path := range paths {
		eventually(t, func() string { return path + " is signed\n" + serviceLog(t, s) }, func() bool { return state(s, path) == "signed" })
	}
}

// delivered waits until every webhook is settled and returns what became of those about a path.
func delivered(t *testing.T, s *sandbox.Sandbox, path string) []standin.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.Artifactory.WaitDelivered(ctx))
	return slices.DeleteFunc(s.Artifactory.Deliveries(), func(d standin.Delivery) bool { return d.Event.Path != path })
}
