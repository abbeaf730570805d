package e2e

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// onTerminal runs a command line with standard error on a terminal and standard output in a file. until returns when the
// terminal has shown a text, end when the command is over, with all that the terminal was told.
func onTerminal(t *testing.T, s *sandbox.Sandbox, args ...string) (until func(text string), end func() (code int, terminal, stdout string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	out := s.Path("work", "stdout")
	line := strings.Join(append([]string{s.Hallmark}, args...), " ") + " >" + out
	// script has the terminal; it is in Debian's bsdutils, which is on every system.
	cmd := exec.CommandContext(ctx, "script", "--quiet", "--return", "--flush", "--command", line, "/dev/null")
	cmd.Dir, cmd.Env = s.Path("work"), s.Command(ctx).Env
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var seen strings.Builder
	until = func(text string) {
		t.Helper()
		buf := make([]byte, 4096)
		for !strings.Contains(seen.String(), text) {
			n, err := pipe.Read(buf)
			seen.Write(buf[:n])
			require.NoError(t, err, "the terminal never showed %q: %q\n%s", text, seen.String(), complaints(t, s))
		}
	}
	end = func() (int, string, string) {
		t.Helper()
		rest, _ := io.ReadAll(pipe) // ends with the command
		seen.Write(rest)
		_ = cmd.Wait()
		content, err := os.ReadFile(out)
		require.NoError(t, err)
		noSecrets(t, s, seen.String()+string(content))
		return cmd.ProcessState.ExitCode(), seen.String(), string(content)
	}
	return until, end
}

// On a terminal a bar shows how far a promotion is, of a dry run, too; nothing of it is left, and standard output has
// the report alone. What was begun is in the list.
func TestPromoteShowsProgress(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Trust: true})
	m := jfrogClient(t, s)
	contents := map[string][]byte{}
	for _, path := range []string{"app/a.tgz", "app/b.tgz", "app/c.tgz"} {
		contents[path] = staged(t, s, m, path)
	}
	r := hallmark(t, s, "promote", "list")
	require.Equal(t, "no promotion was ever begun\n", r.out, r.err)

	// hold stops the next such call to Artifactory until it is let go.
	hold := func(method, path string) (letGo func()) {
		freed := make(chan struct{})
		s.Artifactory.Fail(standin.Fault{Method: method, Path: path, Do: func(*http.Request) { <-freed }})
		return func() { close(freed) }
	}
	const clear = "\r\x1b[K"
	args := []string{"promote", sandbox.Staging + "/app/", "--target", sandbox.Release, "--move", "-o", "json"}

	letGo := hold(http.MethodGet, "/artifactory/api/storage/"+sandbox.Release+"/app/b.tgz")
	until, end := onTerminal(t, s, args...)
	until(clear + "[####################----------] judging, 2 of 3")
	letGo()
	code, terminal, out := end()
	require.Equal(t, 0, code, terminal)
	require.True(t, strings.HasSuffix(terminal, clear), "%q", terminal)
	var report promotion.Report
	readJSON(t, out, &report)
	require.Equal(t, promotion.StateAllowed, report.State)

	letGo = hold(http.MethodPost, "/artifactory/api/copy/**/b.tgz")
	clearing := hold(http.MethodDelete, "/artifactory/"+sandbox.Staging+"/app/c.tgz")
	until, end = onTerminal(t, s, append(args, "--confirm")...)
	until("] carrying, 2 of 3 (promotion 1)")
	letGo()
	until("] deleting, 2 of 3 (promotion 1)")
	var list []api.PromotionSummary
	hallmarkJSON(t, s, 0, &list, "promote", "list")
	require.Equal(t, "running", list[0].State)
	require.Equal(t, map[string]int{"done": 2, "copied": 1}, list[0].States)
	clearing()
	code, terminal, out = end()
	require.Equal(t, 0, code, terminal)
	require.True(t, strings.HasSuffix(terminal, clear), "%q", terminal)
	readJSON(t, out, &report)
	require.Equal(t, promotion.StateDone, report.State)
	for path, content := range contents {
		released(t, s, path, content)
	}

	var after []api.PromotionSummary
	hallmarkJSON(t, s, 0, &after, "promote", "list", "--limit", "5")
	require.Len(t, after, 1)
	require.Equal(t, []any{int64(1), "done", 3, map[string]int{"done": 3}}, []any{after[0].ID, after[0].State, after[0].Artifacts, after[0].States})
	require.Regexp(t, `(?m)^1 +done .*`+sandbox.Release+` +file +3 +sandbox$`, hallmark(t, s, "promote", "list").out)
	require.Contains(t, hallmark(t, s, "__complete", "promote", "show", "").out, "1\tdone, into "+sandbox.Release)
}
