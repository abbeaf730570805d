package verify_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// What was sealed with certificate or key hint, log entry and time-stamp, once and for all: this file's bundles are those that
// users have stored since. The certificate lived for a day.
var (
	notarized = map[string]int{"sigstore": verify.LevelCertificate, "cosign": verify.LevelCertificate, "vsa": verify.LevelCertificate, "sigstore-key": verify.LevelKey, "cosign-key": verify.LevelKey}
	sealedAt  = time.Date(2026, 11, 22, 8, 41, 8, 0, time.UTC)
)

const (
	goldenIssuer   = "https://golden.example"
	goldenIdentity = goldenIssuer + "/keys/golden"
)

// notarizedFile is a golden bundle, or the trusted root that they verify by.
func notarizedFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(goldenDir, "notarized", name+".json"))
	require.NoError(t, err)
	return content
}

// goldenTrust is the trust in the golden root, by identity and by key, in another century.
func goldenTrust(t testing.TB) (named, pinned verify.Trust) {
	t.Helper()
	root, err := verify.ReadRoot(notarizedFile(t, "trusted_root"))
	require.NoError(t, err)
	far := time.Date(2126, 1, 1, 0, 0, 0, 0, time.UTC)
	named = verify.Trust{Root: root, Now: far, Identities: []verify.Identity{{Issuer: verify.Exactly(goldenIssuer), Subject: verify.Exactly(goldenIdentity)}}}
	return named, verify.Trust{Root: root, Now: far, Keys: []verify.Key{{Name: "golden", Public: goldenKey(t), Retired: sealedAt.Add(time.Hour)}}}
}

// Bundles with all that they can carry verify for ever, with nothing but themselves and the trusted root: by the time-stamp, not
// by the clock, the certificate and the key were good.
func TestGoldenMaterial(t *testing.T) {
	t.Parallel()
	named, pinned := goldenTrust(t)
	right, wrong := verify.Digests(sealtest.Digests(t, goldenContent)), verify.Digests(sealtest.Digests(t, "else"))
	kept, err := os.ReadDir(filepath.Join(goldenDir, "notarized"))
	require.NoError(t, err)
	require.Len(t, kept, len(notarized)+1, "every golden file is looked at")
	for format, level := range notarized {
		content := notarizedFile(t, format)
		f, err := verify.Artifact(pinned, format, right, content)
		require.NoError(t, err, format)
		require.Equal(t, level, f.Level, format)
		require.Equal(t, sealedAt, f.At)
		require.Equal(t, []string{"golden", "log.golden.example"}, []string{f.Key, f.Log})
		require.NotNil(t, f.LogIndex)
		_, err = verify.Artifact(pinned, format, wrong, content)
		require.ErrorIs(t, err, verify.ErrWrongBytes)

		f, err = verify.Artifact(named, format, right, content)
		if level < verify.LevelCertificate {
			require.ErrorIs(t, err, verify.ErrWrongKey, "an identity says nothing of a bare key")
		} else {
			require.NoError(t, err, format)
			require.Equal(t, []string{goldenIdentity, goldenIssuer}, []string{f.Identity, f.Issuer})
			require.Equal(t, level, f.Level)
		}

		late := pinned
		late.Keys = []verify.Key{{Public: goldenKey(t), Distrusted: sealedAt}}
		_, err = verify.Artifact(late, format, right, content)
		require.Equal(t, reason.KeyDistrusted, verify.Problem(err), format)
	}
}
