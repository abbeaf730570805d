package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// A refusal of the service explains itself in every command: what was found and expected, what to do, and who can; with
// -o json too. It is an answer, exit status 1. What is no refusal keeps status 2 and tells the reasons that it has.
func TestRefusalsExplainThemselves(t *testing.T) {
	t.Parallel()
	why := reason.Reason{Code: reason.NothingSelected, Message: "there is none", Found: "FOUND", Expected: "EXPECTED", Fix: "FIX", Who: "WHO"}
	for status, code := range map[int]int{http.StatusUnprocessableEntity: exitRefused, http.StatusBadRequest: exitUndecided} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(api.Problem{Title: "T", Status: status, Detail: "DETAIL", Reasons: []reason.Reason{why, why}})
		}))
		t.Cleanup(server.Close)
		connect := []string{"--server", server.URL, "--token-file", filepath.Join(write(t, map[string]string{"token": "x"}), "token")}
		for _, args := range [][]string{
			{"promote", "a/b", "--target", "c"},
			{"promote", "--build", "app/87", "--target", "c"},
			{"promote", "--image", "a/b:c", "--target", "d"},
			{"promote", "--bundle", "a/1", "--environment", "PROD", "--target", "c"},
			{"gate", "check", "a/b", "--target", "c"},
			{"sign", "a/b"}, {"status", "a/b"}, {"sweep", "--repo", "a"}, {"backfill", "a"},
		} {
			r := command(t, append(args, connect...)...)
			require.Equal(t, code, r.code, args)
			told, other := r.out, r.err
			if code != exitRefused {
				told, other = r.err, r.out
				require.True(t, strings.HasPrefix(told, "error: DETAIL\n"), told)
			}
			require.Empty(t, other, args)
			require.Equal(t, 2, strings.Count(told, why.Text()), told)
			require.NotContains(t, told, fmt.Sprint(status))

			r = command(t, append(append(args, "-o", "json"), connect...)...)
			require.Equal(t, code, r.code, args)
			var p api.Problem
			require.NoError(t, json.Unmarshal([]byte(r.out), &p), "%v: %q", args, r.out)
			require.Equal(t, []reason.Reason{why, why}, p.Reasons)
		}
	}
}

// What is missing is named before anybody is asked.
func TestPromoteBundleNeedsAnEnvironment(t *testing.T) {
	t.Parallel()
	r := command(t, "promote", "--bundle", "suite/1", "--target", "libs")
	require.Equal(t, exitUndecided, r.code)
	require.Contains(t, r.err, "--environment")
	help := command(t, "promote", "--help").out
	require.Contains(t, help, "required with --bundle")
	for _, form := range []string{"promote REPO/PATH... --target", "promote --build NAME/NUMBER --target", "promote --image REPO/NAME:TAG --target", "promote --bundle NAME/VERSION --environment ENV --target"} {
		require.Contains(t, strings.Split(help, "Examples:")[0], form)
	}
}

// A sweep that was given up is no answer, and one whose end nobody sees on a terminal says that it began.
func TestSweepThatWasGivenUp(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(api.Sweep{ID: 7, Repository: "libs", State: "done", Problem: "there is no such repository"})
	}))
	t.Cleanup(server.Close)
	connect := []string{"--server", server.URL, "--token-file", filepath.Join(write(t, map[string]string{"token": "x"}), "token")}
	r := command(t, append([]string{"sweep", "--repo", "libs"}, connect...)...)
	require.Equal(t, exitUndecided, r.code)
	require.Contains(t, r.err, "sweep 7 of libs")
	require.Contains(t, r.err, "there is no such repository")
	r = command(t, append([]string{"sweep", "--repo", "libs/app"}, connect...)...)
	require.Equal(t, exitUndecided, r.code)
	require.Contains(t, r.err, "--repo libs --prefix app")
}

// Help says what else than a path names an artifact, and what goes on without webhooks.
func TestHelpSaysHowImagesAreNamed(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"sign"}, {"status"}, {"gate", "check"}} {
		help := command(t, append(args, "--help")...).out
		require.Contains(t, help, "REPO/NAME:TAG or REPO/NAME@sha256:DIGEST", args)
	}
	require.Contains(t, command(t, "webhook", "remove", "--help").out, "the sweep")
}
