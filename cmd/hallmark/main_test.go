package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// asCommand makes the test binary behave as hallmark itself, for tests that need a process of its own.
const asCommand = "HALLMARK_TEST_AS_COMMAND"

// result is how one command line ended.
type result struct {
	out, err string
	code     int
}

// command runs one command line in this process.
func command(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, &out, &errs)
	return result{out.String(), errs.String(), code}
}

// write puts files into a new directory and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

// walk visits every command that people are shown.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	if c.Hidden {
		return
	}
	visit(c)
	for _, sub := range c.Commands() {
		walk(sub, visit)
	}
}

// Every command shows how it is used, and its examples are command lines that it takes.
func TestEveryCommandHasExamples(t *testing.T) {
	t.Parallel()
	root := newRoot()
	seen := 0
	walk(root, func(c *cobra.Command) {
		seen++
		require.NotEmpty(t, c.Short, c.CommandPath())
		require.NotEmpty(t, c.Example, c.CommandPath())
		r := command(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
		require.Equal(t, exitOK, r.code)
		require.Contains(t, r.out, "Examples:\n"+c.Example, c.CommandPath())
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " > ")
			line = strings.TrimSuffix(strings.TrimPrefix(line, "source <("), ")")
			target, rest, err := newRoot().Find(strings.Fields(line)[1:])
			require.NoError(t, err, line)
			require.NotNil(t, target.RunE, line)
			require.NoError(t, target.ParseFlags(rest), line)
			require.NoError(t, target.ValidateArgs(target.Flags().Args()), line)
			require.NoError(t, target.ValidateRequiredFlags(), line)
		}
	})
	require.Greater(t, seen, 15)
}

// Whatever lists something does so for programs too.
func TestEveryAnswerHasJSON(t *testing.T) {
	t.Parallel()
	without := map[string]bool{"hallmark serve": true, "hallmark completion": true, "hallmark policy schema": true, "hallmark policy export": true, "hallmark audit export": true} // its answer is JSON
	walk(newRoot(), func(c *cobra.Command) {
		if c.RunE != nil && !without[c.CommandPath()] {
			require.NotNil(t, c.Flag("output"), c.CommandPath())
		}
	})
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		r := command(t, "completion", shell)
		require.Equal(t, exitOK, r.code)
		require.Contains(t, r.out, "hallmark")
	}
	require.Equal(t, exitUndecided, command(t, "completion", "tcsh").code)

	dir := write(t, map[string]string{"hallmark.yaml": sound})
	for line, want := range map[string]string{
		"keys show --config FILE ":               "release-2026",
		"keys generate x --config FILE --token ": "hsm",
		"keys generate x --algorithm ":           "RSA-3072",
		"policy explain x --event ":              "artifact/deployed",
		"policy test x --r":                      "--run",
		"policy diff a b --a":                    "--allow-newly-allowed",
		"status x -o ":                           "json",
		"audit list --kind ":                     "signature",
		"keys show --config nowhere.yaml ":       "",
		"":                                       "doctor",
	} {
		args := strings.Split(strings.ReplaceAll(line, "FILE", filepath.Join(dir, "hallmark.yaml")), " ")
		r := command(t, append([]string{"__complete"}, args...)...)
		require.Equal(t, exitOK, r.code, line)
		require.Contains(t, r.out, want, line)
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"sgin"}, {"gate", "check"}, {"verify", "a", "b"}, {"serve", "--no-such-flag"}, {"policy", "explain"}, {"keys", "show"}} {
		r := command(t, args...)
		require.Equal(t, exitUndecided, r.code, args)
		require.True(t, strings.HasPrefix(r.err, "error: "), r.err)
	}
	require.Contains(t, command(t, "sgin").err, "sign", "the nearest command is named")
	r := command(t, "--version")
	require.Equal(t, exitOK, r.code)
	require.Contains(t, r.out, "hallmark version")
}
