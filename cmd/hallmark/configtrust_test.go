package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// trusting is sound's trust section; its keys stand in serviceKeys.
const trusting = `trust:
  issuer: https://hallmark.example
  root: {certificate: root.pem}
  ca: {key: issuer, certificate: issuing.pem, sct: sct, validity: 12h}
  log: {dir: "log-{replica}", origin: "{replica}.log.example", key: "log-{replica}"}
  time: {key: tsa, certificate: tsa.pem}
  former: [old/trusted_root.json]
`

const serviceKeys = `  - {name: issuer, use: issuer, software: issuer.key}
  - {name: sct, use: sct, software: sct.key}
  - {name: log-one, use: log, software: log.key}
  - {name: tsa, use: timestamp, software: tsa.key}
policies:`

// withTrust is sound with a trust section, changed.
func withTrust(changes ...string) string {
	text := strings.Replace(sound, "policies:", serviceKeys, 1) + trusting
	text = strings.Replace(text, `hallmark@db/hallmark",`, `hallmark@db/hallmark", replica: one,`, 1)
	return strings.NewReplacer(changes...).Replace(text)
}

func TestTrustSection(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{"hallmark.yaml": withTrust()})
	c, err := loadConfig(filepath.Join(dir, "hallmark.yaml"))
	require.NoError(t, err)
	require.True(t, c.trusts())
	require.Equal(t, 12*time.Hour, c.Trust.Value.CA.Validity)
	require.Equal(t, filepath.Join(dir, "log-one"), c.logConfig().Dir)
	require.Equal(t, "one.log.example", c.logConfig().Origin)

	dir = write(t, map[string]string{"hallmark.yaml": sound})
	c, err = loadConfig(filepath.Join(dir, "hallmark.yaml"))
	require.NoError(t, err)
	require.False(t, c.trusts())
}

// Every mistake is told when the configuration is read, with its place.
func TestTrustMistakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change [2]string
		want   string
	}{
		"issuer with a slash":     {[2]string{"https://hallmark.example\n", "https://hallmark.example/\n"}, `trust.issuer: "https://hallmark.example/" is not the address of a service`},
		"issuer without a scheme": {[2]string{"https://hallmark.example\n", "hallmark.example\n"}, "trust.issuer"},
		"no root":                 {[2]string{"  root: {certificate: root.pem}\n", ""}, `"root" is missing in trust`},
		"unknown key":             {[2]string{"key: issuer,", "key: isuer,"}, `trust.ca.key: key "isuer" is not in keys; make one with: hallmark keys generate isuer, and configure it with use: issuer`},
		"a key of another use":    {[2]string{"sct: sct", "sct: tsa"}, `trust.ca.sct: key "tsa" has use timestamp, expected a key with use sct`},
		"an artifact key":         {[2]string{"key: tsa", "key: release-2026"}, `trust.time.key: key "release-2026" has use artifact`},
		"a log key per replica":   {[2]string{`key: "log-{replica}"`, `key: "journal-{replica}"`}, `trust.log.key: key "journal-one" is not in keys`},
		"origin with a port":      {[2]string{"{replica}.log.example", "log.example:443"}, `trust.log: origin is "log.example:443"`},
		"too short a life":        {[2]string{"validity: 12h", "validity: 1m"}, "trust.ca.validity: 1m0s is too short"},
		"two clocks":              {[2]string{"{key: tsa, certificate: tsa.pem}", "{key: tsa, certificate: tsa.pem, authorities: [{url: https://tsa.example, certificates: x.pem}]}"}, "trust.time: write either"},
		"no clock":                {[2]string{"{key: tsa, certificate: tsa.pem}", "{key: tsa}"}, "trust.time: key and certificate are needed together"},
		"an authority nowhere":    {[2]string{"{key: tsa, certificate: tsa.pem}", "{authorities: [{url: tsa.example, certificates: x.pem}]}"}, `trust.time.authorities[0]: url "tsa.example" is not https://host/path`},
		"a witness without a key": {[2]string{`key: "log-{replica}"`, `key: "log-{replica}", witnesses: [{url: https://w.example}]`}, `"key" is missing`},
		"an unknown name":         {[2]string{"issuer: https", "isuer: https"}, `unknown key "isuer" in trust`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{"hallmark.yaml": withTrust(c.change[0], c.change[1])})
			_, err := loadConfig(filepath.Join(dir, "hallmark.yaml"))
			require.ErrorContains(t, err, c.want)
			require.Regexp(t, `hallmark\.yaml:\d+:\d+: `, err.Error())
		})
	}
}
