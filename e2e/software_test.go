package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
)

// With a key that is a PEM file, for trials, the service signs, and shouts at every start that this proves nothing.
func TestSoftwareKeysShout(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	require.Empty(t, shouts(t, s), "not without the flag")
	require.NoError(t, s.Terminate())

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	write := func(name, kind string, der []byte) {
		t.Helper()
		require.NoError(t, os.WriteFile(s.Path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	write("software.pem", "PRIVATE KEY", private)
	write("software.pub", "PUBLIC KEY", public)
	config, err := os.ReadFile(s.Path("hallmark.yaml"))
	require.NoError(t, err)
	pin := regexp.MustCompile(`(?m)^    spki: .*\n`).FindString(string(config))
	edit(t, s.Path("hallmark.yaml"), pin, "", "    token: hsm\n", "    software: "+s.Path("software.pem")+"\n")
	s.Flags = []string{"--insecure-software-keys"}
	require.NoError(t, s.Serve(t.Context()))

	lines := shouts(t, s)
	require.Len(t, lines, 1)
	require.Equal(t, "WARN", lines[0]["level"])
	require.Contains(t, lines[0]["msg"], "SOFTWARE KEYS ARE ALLOWED. Signatures by them prove nothing")
	upload(t, s, "app/trial.bin", "trial")
	awaitSigned(t, s, "app/trial.bin")
	for _, name := range []string{"trial.bin", "trial.bin.sigstore.json"} {
		content, err := s.Artifactory.Content(sandbox.Staging, "app/"+name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(s.Path("work", name), content, 0o600))
	}
	r := hallmark(t, s, "verify", "trial.bin", "--key", s.Path("software.pub"))
	require.Equal(t, 0, r.code, r.out+r.err)
	r = hallmark(t, s, "verify", "trial.bin", "--key", s.Path("release.pub"))
	require.Equal(t, 1, r.code, "the token's key did not sign: %s%s", r.out, r.err)
	require.NotContains(t, serviceLog(t, s), "PRIVATE KEY")
}

// shouts are the lines of the service's log that speak of software keys being allowed.
func shouts(t *testing.T, s *sandbox.Sandbox) (out []map[string]any) {
	t.Helper()
	for line := range strings.Lines(serviceLog(t, s)) {
		var l map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &l), line)
		if msg, _ := l["msg"].(string); strings.Contains(msg, "SOFTWARE KEYS") {
			out = append(out, l)
		}
	}
	return out
}
