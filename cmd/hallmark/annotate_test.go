package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

var (
	refusal = reason.Reason{Code: reason.SignatureMissing, Message: "No signature by a release key.", Found: "0 of 1", Expected: "1 signature by a release key", Would: "with a signature by release-2026",
		Fix: "hallmark sign libs-staging-local/app/1.4.2/app.tgz", Who: "release-managers", Rule: "policies/gate.yaml:3 (libs-release)"}
	stray = reason.Reason{Code: reason.ArtifactGone, Message: "It is gone."}
)

// answering is a service that gives every request one answer. It returns the flags that lead there.
func answering(t *testing.T, status int, body any) []string {
	t.Helper()
	content, err := json.Marshal(body)
	require.NoError(t, err)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", map[bool]string{true: "application/json", false: "application/problem+json"}[status == http.StatusOK])
		w.WriteHeader(status)
		_, _ = w.Write(content)
	}))
	t.Cleanup(srv.Close)
	return []string{"--server", srv.URL, "--token-file", filepath.Join(write(t, map[string]string{"token": "t"}), "token")}
}

// What is printed for GitHub Actions, answer by answer. Exit codes and the report are those of any other format.
func TestAnnotations(t *testing.T) {
	t.Parallel()
	const artifact, target = "libs-staging-local/app/1.4.2/app.tgz", "libs-release-local/app/1.4.2/app.tgz"
	check, promote := []string{"gate", "check", artifact, "--target", "libs-release-local"}, []string{"promote", "libs-staging-local/app/", "--target", "libs-release-local"}
	verdict := gate.Verdict{Artifact: artifact, Target: target, Reasons: []reason.Reason{}, Warnings: []reason.Reason{}, Signatures: []gate.Signature{
		{File: artifact + ".sig", Format: "raw", Key: "release-2026"}, {File: artifact + ".dev.sig", Format: "raw", Problem: reason.SignatureWrongKey}}}
	allowed, warned, refused, undecided := verdict, verdict, verdict, verdict
	allowed.Allow, allowed.Decided = true, true
	warned.Allow, warned.Decided, warned.Warnings = true, true, []reason.Reason{refusal}
	refused.Decided, refused.Reasons, refused.Warnings = true, []reason.Reason{refusal, stray}, []reason.Reason{stray}
	undecided.Reasons = []reason.Reason{{Code: reason.Undecided, Message: "Artifactory did not answer in time."}}
	report := promotion.Report{ID: 17, Kind: "file", Instance: "main", Target: "libs-release-local", Reasons: []reason.Reason{}, Items: []promotion.Item{
		{Artifact: artifact, Target: target, State: "allowed", Reasons: []reason.Reason{}, Left: []string{artifact + ".dev.sig"}},
		{Artifact: "libs-staging-local/app/b", Target: "libs-release-local/app/b", State: "refused", Reasons: []reason.Reason{refusal}}}}
	state := func(s promotion.State, why ...reason.Reason) promotion.Report {
		r := report
		r.State, r.Reasons = s, why
		if s == promotion.StateAllowed || s == promotion.StateDone {
			r.Items = r.Items[:1]
		}
		return r
	}
	for name, c := range map[string]struct {
		args   []string
		status int
		answer any
		code   int
	}{
		"allowed":             {check, 200, allowed, exitOK},
		"warned":              {check, 200, warned, exitOK},
		"refused":             {check, 200, refused, exitRefused},
		"undecided":           {check, 200, undecided, exitUndecided},
		"problem":             {check, 400, api.Problem{Title: "Bad Request", Status: 400, Detail: "artifact is no path"}, exitUndecided},
		"problem-reasons":     {check, 404, api.Problem{Title: "Not Found", Status: 404, Detail: "the artifact does not exist", Reasons: []reason.Reason{stray}}, exitUndecided},
		"promote-may":         {promote, 200, state(promotion.StateAllowed), exitOK},
		"promote-done":        {promote, 200, state(promotion.StateDone), exitOK},
		"promote-refused":     {promote, 200, state(promotion.StateRefused, stray), exitRefused},
		"promote-undecided":   {promote, 200, state(promotion.StateUndecided), exitUndecided},
		"promote-incomplete":  {promote, 200, state(promotion.StateIncomplete), exitUndecided},
		"promote-nothing":     {promote, 422, api.Problem{Title: "Unprocessable Entity", Status: 422, Detail: "refused; the reasons say why", Reasons: []reason.Reason{refusal}}, exitRefused},
		"promote-new-service": {promote, 200, state("postponed"), exitUndecided},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept := filepath.Join(t.TempDir(), "verdict.json")
			require.NoError(t, os.WriteFile(kept, []byte(`{"allow": true}`), 0o600))
			r := command(t, append(append(c.args, "-o", "github", "--report", kept), answering(t, c.status, c.answer)...)...)
			require.Equal(t, c.code, r.code)
			require.Empty(t, r.err, "a line there could be a command, too")
			golden := filepath.Join("testdata", "annotations", name+".golden")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(r.out), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), r.out, "go test ./cmd/hallmark -run TestAnnotations -update")

			content, err := os.ReadFile(kept)
			require.NoError(t, err)
			sent, err := json.Marshal(c.answer)
			require.NoError(t, err)
			require.JSONEq(t, string(sent), string(content))
		})
	}
}

// People are told what only warns, too, and it stops nothing.
func TestVerdictTellsWarnings(t *testing.T) {
	t.Parallel()
	v := gate.Verdict{Allow: true, Decided: true, Artifact: "a/b", Target: "c/b", Warnings: []reason.Reason{refusal}}
	r := command(t, append([]string{"gate", "check", "a/b", "--target", "c"}, answering(t, 200, v)...)...)
	require.Equal(t, exitOK, r.code)
	require.Equal(t, "ALLOWED  a/b may enter c/b\nWARNING  policies that only warn would refuse it\n"+refusal.Text(), r.out)
}

// No answer leaves an empty report, never that of the last run; a report that cannot be written fails before anybody is asked.
func TestReportWithoutAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Bool
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Store(true)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(srv.Close)
	dir := write(t, map[string]string{"token": "t", "verdict.json": `{"allow": true}`})
	for _, args := range [][]string{{"gate", "check", "a/b", "--target", "c"}, {"promote", "a/b", "--target", "c"}} {
		args = append(args, "-o", "github", "--server", srv.URL, "--token-file", filepath.Join(dir, "token"))
		asked.Store(false)
		r := command(t, append(args, "--report", filepath.Join(dir, "none", "verdict.json"))...)
		require.Equal(t, exitUndecided, r.code)
		require.False(t, asked.Load())
		require.Regexp(t, `^::error title=hallmark (gate check|promote)::writing the report: .*\n$`, r.out)

		r = command(t, append(args, "--report", filepath.Join(dir, "verdict.json"))...)
		require.Equal(t, exitUndecided, r.code)
		require.True(t, asked.Load())
		require.Regexp(t, `^::error title=hallmark (gate check|promote)::.*\n$`, r.out)
		require.Empty(t, r.err)
		content, err := os.ReadFile(filepath.Join(dir, "verdict.json"))
		require.NoError(t, err)
		require.Empty(t, content)
	}
}

// hostile is text that wants to be more than text.
var hostile = []string{
	"a\n::set-env name=PATH::/evil", "a\r::add-mask::b", "a\r\n::stop-commands::x", "::error::b", "x::warning title=b::c", "%0A::notice::a", "%250A%25", "%",
	"title=a,file=b", ",file=/etc/passwd", ":", "::", "=", "##[add-path]/evil", "a\n##[group]b", "\x1b[2K\x1b[1A", "\x00", "\u2028::error::b", "\u202egnp.exe",
	"\xff\xfe", "😀👩‍👩‍👧", "ü ", " ::error::b", "\t::error::b", "$(id)`id`", strings.Repeat("a\n::error::", 1000),
}

// runnerCommand reads a line as GitHub's runner does (actions/runner, ActionCommand.TryParseV2).
func runnerCommand(line string) (level string, properties map[string]string, message string, ok bool) {
	rest, isCommand := strings.CutPrefix(strings.TrimLeft(line, " \t"), "::")
	info, data, whole := strings.Cut(rest, "::")
	if !isCommand || !whole {
		return "", nil, "", false
	}
	level, list, _ := strings.Cut(info, " ")
	properties = map[string]string{}
	for pair := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		if name, value, found := strings.Cut(pair, "="); found && name != "" && value != "" {
			properties[name] = unescaped(value, "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C", "%", "%25")
		}
	}
	return level, properties, unescaped(data, "\r", "%0D", "\n", "%0A", "%", "%25"), true
}

func unescaped(s string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		s = strings.ReplaceAll(s, pairs[i+1], pairs[i])
	}
	return s
}

// isOne fails unless the line is one command, of this level, that says what was meant and nothing else.
func isOne(t *testing.T, line string, meant annotation) {
	t.Helper()
	require.NotContains(t, line, "\n")
	require.NotContains(t, line, "\r")
	require.True(t, utf8.ValidString(line))
	level, properties, message, ok := runnerCommand(line)
	require.True(t, ok, line)
	require.Equal(t, meant.level, level)
	want := map[string]string{}
	for name, value := range map[string]string{"title": meant.title, "file": meant.file} {
		if value != "" {
			want[name] = strings.TrimSpace(shown(value))
		}
	}
	for name, value := range properties {
		properties[name] = strings.TrimSpace(value) // the runner trims the last of them
	}
	require.Equal(t, want, properties)
	require.Equal(t, shown(meant.message), message)
}

// Whatever a verdict says, each of its lines is one annotation, and the runner reads back what was said.
func TestHostileTextIsNoCommand(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		why := []reason.Reason{{Code: reason.Code(text), Message: text, Found: text, Expected: text, Would: text, Fix: text, Who: text, Rule: text}}
		for _, c := range []struct {
			args   []string
			answer any
			status int
			lines  int
		}{
			{[]string{"gate", "check", "a/b", "--target", "c"}, gate.Verdict{Decided: true, Artifact: text, Target: text, Reasons: append(why, why...), Warnings: why}, 200, 3},
			{[]string{"gate", "check", "a/b", "--target", "c"}, gate.Verdict{Allow: true, Decided: true, Artifact: text, Target: text, Signatures: []gate.Signature{{File: text, Key: text}}}, 200, 1},
			{[]string{"gate", "check", "a/b", "--target", "c"}, api.Problem{Title: text, Status: 500, Detail: text}, 500, 1},
			{[]string{"gate", "check", "a/b", "--target", "c"}, api.Problem{Title: text, Status: 422, Detail: text, Reasons: why}, 422, 1},
			{[]string{"gate", "check", text, "--target", text, "--instance", text}, gate.Verdict{Allow: true, Decided: true}, 200, 1},
			{[]string{"promote", "a/b", "--target", "c"}, promotion.Report{State: promotion.StateRefused, Target: text, Reasons: why, Items: []promotion.Item{{Artifact: text, State: text, Reasons: why, Left: []string{text, text}}}}, 200, 4},
			{[]string{"promote", "a/b", "--target", "c"}, promotion.Report{State: promotion.State("a" + text), Target: text}, 200, 2},
		} {
			r := command(t, append(append(c.args, "-o", "github"), answering(t, c.status, c.answer)...)...)
			require.Empty(t, r.err, "%q", text)
			printed := strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
			require.Len(t, printed, c.lines, "%q\n%s", text, r.out)
			for _, line := range printed {
				require.NotContains(t, line, "\r")
				require.True(t, strings.HasPrefix(line, "::"), line)
				level, properties, _, ok := runnerCommand(line)
				require.True(t, ok, line)
				require.Contains(t, []string{levelError, levelWarning, levelNotice}, level)
				for name := range properties {
					require.Contains(t, []string{"title", "file"}, name)
				}
			}
		}
		isOne(t, annotation{levelError, text, text, text}.String(), annotation{levelError, text, text, text})
	}
}

func FuzzAnnotation(f *testing.F) {
	for i, text := range hostile {
		f.Add(text, hostile[(i+7)%len(hostile)], hostile[(i+13)%len(hostile)])
	}
	f.Fuzz(func(t *testing.T, title, file, message string) {
		a := annotation{levelWarning, title, file, message}
		isOne(t, a.String(), a)
	})
}
