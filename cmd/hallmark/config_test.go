package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sound is a whole configuration, with relative paths.
const sound = `server: {tls: {certificate: tls/cert.pem, key: tls/key.pem}}
database: {url: "postgres://hallmark@db/hallmark", password: {file: secrets/db}}
artifactory:
  - name: main
    url: https://acme.example
    token: {file: secrets/token}
    webhookSecrets: [{file: secrets/webhook}, {file: /run/secrets/webhook}]
    ca: ca.pem
tokens:
  - {name: hsm, module: /usr/lib/hsm.so, label: hallmark, pin: {file: secrets/pin}}
keys:
  - {name: release-2026, token: hsm, spki: "sha256:9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c", lane: release}
  - {name: dev-2026, software: dev.pem, lane: development}
policies: {dir: policies, noMatch: skip}
api:
  tokens:
    - {name: ci, sha256: 9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c9f0c, roles: [gate]}
`

// Relative paths are meant from the configuration file, wherever the process was started; no field is forgotten.
func TestRelativePaths(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("    ca: ca.pem", "    ca: ca.pem\n    promotionToken: {file: secrets/promotion}",
		`dir: "log-{replica}"`, `dir: "log-{replica}", memory: "other/log-{replica}"`).Replace(withTrust())
	dir := write(t, map[string]string{"hallmark.yaml": text})
	c, err := loadConfig(filepath.Join(dir, "hallmark.yaml"))
	require.NoError(t, err)
	var got []string
	for _, p := range c.paths() {
		got = append(got, strings.TrimPrefix(*p, dir+"/"))
	}
	require.ElementsMatch(t, []string{
		"tls/cert.pem", "tls/key.pem", "policies", "secrets/db", "secrets/token", "secrets/promotion", "ca.pem", "secrets/webhook", "/run/secrets/webhook",
		"secrets/pin", "", "dev.pem", "issuer.key", "sct.key", "log.key", "tsa.key", "root.pem", "issuing.pem", "log-{replica}", "other/log-{replica}", "tsa.pem", "old/trusted_root.json",
	}, got)
	for _, p := range c.paths() {
		require.True(t, *p == "" || filepath.IsAbs(*p), *p)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"hallmark.yaml": strings.Replace(sound, "server: {tls: {certificate: tls/cert.pem, key: tls/key.pem}}\n", "", 1)})
	c, err := loadConfig(filepath.Join(dir, "hallmark.yaml"))
	require.NoError(t, err)
	require.Equal(t, ServerConfig{Listen: ":8080", Metrics: "127.0.0.1:9090", Drain: 30 * time.Second}, c.Server)
}

// All mistakes of content are told at once, each with its place.
func TestMistakesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer(
		"server: {tls: {certificate: tls/cert.pem, key: tls/key.pem}}", "server: {listen: here, metrics: there, drain: -1s, tls: {key: k.pem}}",
		"postgres://hallmark@db", "mysql://hallmark@db",
		"https://acme.example", "ftp://acme.example",
		"{name: dev-2026, software: dev.pem", "{name: release-2026, token: hsn, software: dev.pem",
		"label: hallmark, pin: {file: secrets/pin}}", "label: hallmark, maxSessions: 1, pin: {file: secrets/pin}}\n  - {name: hsm, module: hsm.so, label: other, pin: {file: x}}",
		"roles: [gate]", "roles: [gates]",
		"policies: {", "queue: {workers: -1}\npolicies: {",
	).Replace(sound)
	dir := write(t, map[string]string{"hallmark.yaml": text})
	_, err := loadConfig(filepath.Join(dir, "hallmark.yaml"))
	require.Error(t, err)
	got := strings.ReplaceAll(err.Error(), dir+"/", "")
	for _, want := range []string{
		`hallmark.yaml:1:9: server.listen: "here" is not host:port`,
		`hallmark.yaml:1:9: server.metrics: "there" is not host:port`,
		`hallmark.yaml:1:9: server.tls: certificate and key are needed together`,
		`hallmark.yaml:1:9: server.drain: -1s leaves no time`,
		`hallmark.yaml:2:11: database: url: scheme "mysql"`,
		`hallmark.yaml:4:5: artifactory[0]: url must be https://host`,
		`hallmark.yaml:10:5: tokens[0]: token "hsm": maxSessions is 1`,
		`hallmark.yaml:11:5: tokens[1]: token "hsm": module "hsm.so" is not an absolute path`,
		`hallmark.yaml:11:5: tokens[1]: the name "hsm" is taken by tokens[0] on line 10`,
		`hallmark.yaml:14:5: keys[1]: key "release-2026": has both a token and a software key file`,
		`hallmark.yaml:14:5: keys[1]: token "hsn" is not in tokens`,
		`hallmark.yaml:14:5: keys[1]: the name "release-2026" is taken by keys[0] on line 13`,
		`hallmark.yaml:15:8: queue: workers is negative`,
		`hallmark.yaml:19:7: api.tokens[0]: API token "ci" has the unknown role "gates"`,
	} {
		require.Contains(t, got, want)
	}
	require.Equal(t, 14, strings.Count(got, "\n")+1, got)
}

// What the service cannot do without is asked for, with an example of what to write.
func TestMissingSections(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"hallmark.yaml": "server: {drain: 10s}\n"})
	file := filepath.Join(dir, "hallmark.yaml")
	_, err := loadConfig(file)
	for _, section := range []string{"database", "policies", "artifactory", "keys"} {
		require.ErrorContains(t, err, file+`: "`+section+`" is missing; `)
	}
	_, err = loadTokens(file)
	require.ErrorContains(t, err, `"tokens" is missing`)
}

// Key work needs tokens and no more, but what is there is read as strictly as ever.
func TestKeyWorkBeforeThereAreKeys(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"first":   "tokens:\n  - {name: hsm, module: /x.so, label: l, pin: {file: pin}}\n",
		"typo":    "tokens:\n  - {name: hsm, module: /x.so, label: l, pin: {file: pin}}\nkey: []\n",
		"invalid": "tokens:\n  - {name: hsm, module: x.so, label: l, pin: {file: pin}}\n",
	})
	for name, want := range map[string]string{"typo": `typo:3:1: unknown key "key"`, "invalid": "invalid:2:5: tokens[0]"} {
		_, err := loadTokens(filepath.Join(dir, name))
		require.ErrorContains(t, err, want)
	}
	c, err := loadTokens(filepath.Join(dir, "first"))
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "pin"), c.Tokens[0].Value.PIN.File)
}
