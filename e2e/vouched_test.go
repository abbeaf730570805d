package e2e

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
)

// exported is a directory with what verifiers are given once, and nothing else of ours.
func exported(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "trust")
	r := hallmark(t, s, "trust", "export", dir)
	require.Equal(t, 0, r.code, r.out+r.err)
	return dir
}

// named are the flags by which cosign believes a certificate of the world's key, as long as policy has no configuration.
func named(trust string) []string {
	return []string{"--trusted-root", rootOf(trust), "--certificate-identity", sandbox.Identity, "--certificate-oidc-issuer", sandbox.Issuer}
}

// vouched has stock cosign, by certificate, and openssl, by key, judge a file in a directory that has its signature files,
// too. digest is openssl's flag.
func vouched(t *testing.T, trust, dir, name, digest string, ok bool) {
	t.Helper()
	for program, args := range map[string][]string{
		tooltest.Cosign(t):  append(append([]string{"verify-blob", "--bundle", name + ".sigstore.json"}, named(trust)...), name),
		tooltest.OpenSSL(t): {"dgst", digest, "-verify", filepath.Join(trust, "keys", sandbox.Key+".pem"), "-signature", name + ".sig", name},
	} {
		out, err := tooltest.Run(t, dir, program, args...)
		require.Equal(t, ok, err == nil, "%s %v\n%s", program, args, out)
	}
}
