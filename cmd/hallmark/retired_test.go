package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The time of a key ends: policies know it, and whoever checks them is told.
func TestRetiredKeys(t *testing.T) {
	t.Parallel()
	retired := func(when string) string {
		return strings.Replace(sound, "lane: release}", "lane: release, retired: "+when+"}", 1)
	}
	dir := write(t, map[string]string{
		"hallmark.yaml": retired("2026-06-01T00:00:00Z"), "quoted.yaml": retired(`"2999-01-01T00:00:00Z"`), "date.yaml": retired("2026-06-01"),
		"policies/a.yaml": soundPolicy,
	})
	c, err := loadConfig(filepath.Join(dir, "hallmark.yaml"))
	require.NoError(t, err)
	end := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, end, c.vocabulary().Keys[0].Retired)
	require.Zero(t, c.vocabulary().Keys[1].Retired)

	check := func(file string) (policyCheck, string) {
		t.Helper()
		args := []string{"policy", "check", "--config", filepath.Join(dir, file)}
		text := command(t, args...)
		require.Equal(t, exitOK, text.code, "a retired key still judges what it signed: %s", text.err)
		var answer policyCheck
		require.NoError(t, json.Unmarshal([]byte(command(t, append(args, "-o", "json")...).out), &answer))
		return answer, text.out
	}
	answer, text := check("hallmark.yaml")
	require.Len(t, answer.Warnings, 2)
	require.Contains(t, text, "warning  policies/a.yaml:1 (release) signs with release-2026, which is retired since 2026-06-01 00:00 UTC")
	answer, _ = check("quoted.yaml")
	require.Len(t, answer.Warnings, 1)
	require.Contains(t, answer.Warnings[0], "retired from 2999-01-01")

	_, err = loadConfig(filepath.Join(dir, "date.yaml"))
	require.ErrorContains(t, err, "for example 2026-06-01T00:00:00Z")

	begins := strings.Replace(sound, "lane: release}", "lane: release, from: 2026-06-01T00:00:00Z}", 1)
	dir = write(t, map[string]string{"hallmark.yaml": begins, "policies/a.yaml": soundPolicy})
	c, err = loadConfig(filepath.Join(dir, "hallmark.yaml"))
	require.NoError(t, err)
	require.Equal(t, end, c.vocabulary().Keys[0].From)

	k := keyView{Label: "release-2026", From: end, Retired: end}
	var shown strings.Builder
	keyText(&shown, k)
	require.Contains(t, shown.String(), "retired      since 2026-06-01 00:00 UTC")
	require.Contains(t, shown.String(), "from         2026-06-01 00:00 UTC")
	require.Equal(t, "from 2026-06-01 00:00 UTC", k.retired(end.Add(-time.Second)))
	require.Empty(t, keyView{}.retired(end))
}
