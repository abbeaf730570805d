package e2e

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
)

// A wrong PIN is tried once per start and never again: a few more would lock a real token.
func TestWrongPINIsTriedOnce(t *testing.T) {
	t.Parallel()
	var c sandbox.Config
	shim := counted(t, &c)
	s := start(t, c)
	require.NoError(t, s.Terminate())
	file := copyConfig(t, s)
	const wrong = "9999-wrong-pin"
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "pin"), []byte(wrong+"\n"), 0o600))
	edit(t, file, s.Path("secrets", "pin"), "pin")

	before := shim.Calls(t, "C_Login")
	r := hallmark(t, s, "serve", "--config", file)
	require.Equal(t, 2, r.code)
	require.Equal(t, before+1, shim.Calls(t, "C_Login"))
	require.Len(t, message.FindAllString(r.err, -1), 1, r.err)
	for _, words := range []string{"PIN not accepted", "CKR_PIN_INCORRECT", "correct the PIN in", "not tried again"} {
		require.Contains(t, r.err, words)
	}
	require.NotContains(t, r.err, wrong)

	var checks []hsm.Check
	hallmarkJSON(t, s, 1, &checks, "doctor", "--config", file)
	require.Equal(t, before+2, shim.Calls(t, "C_Login"))
	last := checks[len(checks)-1]
	for _, check := range checks {
		require.NotContains(t, check.Detail, wrong)
		if !check.OK {
			last = check
		}
	}
	require.Equal(t, "token hsm: PIN accepted", last.Name)

	for _, args := range [][]string{{"keys", "list"}, {"keys", "show", sandbox.Key}, {"keys", "generate", "new", "--token", "hsm"}} {
		before := shim.Calls(t, "C_Login")
		r := hallmark(t, s, append(args, "--config", file)...)
		require.Equal(t, 2, r.code, "%v: %s", args, r.err)
		require.Equal(t, before+1, shim.Calls(t, "C_Login"), args)
		require.NotContains(t, r.err, wrong)
	}

	// A token that says one more try would lock it is not tried at all.
	const finalTry = 0x00020000 // CKF_USER_PIN_FINAL_TRY
	shim.Flags(t, finalTry)
	before = shim.Calls(t, "C_Login")
	r = hallmark(t, s, "serve", "--config", file)
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "one more wrong PIN locks the token")
	require.Equal(t, before, shim.Calls(t, "C_Login"))
	shim.Clear(t)

	require.NoError(t, s.Serve(t.Context()), "the token was not locked")
}

// A supervisor that restarts what ends would spend the tries that lock a token. With --hold-on-refused-pin nothing ends.
func TestHoldAfterARefusedPIN(t *testing.T) {
	t.Parallel()
	var c sandbox.Config
	shim := counted(t, &c)
	s := start(t, c)
	require.NoError(t, s.Terminate())
	file := copyConfig(t, s)
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(file), "pin"), []byte("9999-wrong-pin\n"), 0o600))
	edit(t, file, s.Path("secrets", "pin"), "pin")

	before := shim.Calls(t, "C_Login")
	cmd := s.Command(t.Context(), "serve", "--hold-on-refused-pin", "--config", file)
	var said bytes.Buffer
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	status := func(path string) int {
		resp, err := http.Get(s.MetricsURL + path)
		if err != nil {
			return 0
		}
		defer func() { _ = resp.Body.Close() }()
		return resp.StatusCode
	}
	require.Eventually(t, func() bool { return status("/healthz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	for range 5 {
		require.Equal(t, http.StatusServiceUnavailable, status("/readyz"))
	}
	require.Equal(t, before+1, shim.Calls(t, "C_Login"), "however often it is asked")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	var exit *exec.ExitError
	require.ErrorAs(t, <-ended, &exit)
	require.Equal(t, 2, exit.ExitCode())
	require.Contains(t, said.String(), "PIN not accepted")
	require.Contains(t, said.String(), "holding")
}

// Two keys with one label: nobody can tell which would sign, so none does.
func TestTwoKeysWithOneLabel(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.NoError(t, s.Terminate())
	pem := filepath.Join(t.TempDir(), "key.pem")
	run(t, s, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", pem)
	run(t, s, "softhsm2-util", "--import", pem, "--token", "hallmark", "--label", sandbox.Key, "--id", "abcd", "--pin", s.Secret("pin"))
	refusesToStart(t, s, s.Command, copyConfig(t, s), broken{
		say:   []string{"more than one key with this label", "2", `"` + sandbox.Key + `"`, "rename or remove"},
		check: "key " + sandbox.Key + ": key found exactly once",
	})
}

// run executes another program in the sandbox's environment.
func run(t *testing.T, s *sandbox.Sandbox, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = s.Command(t.Context()).Env
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
