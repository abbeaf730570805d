package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The service's own keys are nothing that a policy can name, and alone they sign no artifact.
func TestServiceKeysAreNotForPolicies(t *testing.T) {
	t.Parallel()
	const pin = "sha256:9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0"
	with := func(line string) string { return strings.Replace(sound, "policies: {", "  - "+line+"\npolicies: {", 1) }
	dir := write(t, map[string]string{
		"hallmark.yaml":     with(`{name: log-2026, token: hsm, use: log, spki: "` + pin + `1"}`),
		"lane.yaml":         with(`{name: log-2026, token: hsm, use: log, lane: release, spki: "` + pin + `1"}`),
		"use.yaml":          with(`{name: log-2026, token: hsm, use: logs, spki: "` + pin + `1"}`),
		"none.yaml":         strings.NewReplacer("lane: release}", "use: log}", "lane: development}", "use: sct}").Replace(sound),
		"policies/log.yaml": strings.ReplaceAll(soundPolicy, "release-2026", "log-2026"),
	})
	c, err := loadConfig(filepath.Join(dir, "hallmark.yaml"))
	require.NoError(t, err)
	require.Len(t, c.Keys, 3)
	var names []string
	for _, k := range c.vocabulary().Keys {
		names = append(names, k.Name)
	}
	require.Equal(t, []string{"release-2026", "dev-2026"}, names)
	_, err = c.loadPolicies()
	require.ErrorContains(t, err, "log-2026")
	for file, want := range map[string]string{
		"lane.yaml": `lane.yaml:14:5: keys[2]: key "log-2026": lane is "release", but a key with use log signs no artifacts`,
		"use.yaml":  `"logs"`,
		"none.yaml": "none.yaml:12:5: keys: none of them signs artifacts",
	} {
		_, err := loadConfig(filepath.Join(dir, file))
		require.ErrorContains(t, err, want, file)
	}
}
