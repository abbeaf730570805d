package trust_test

import (
	"crypto/elliptic"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	r := newRealm(t, "sign.acme.example")
	for algorithm, key := range map[string]*memoryKey{"P-256": newKey(t, elliptic.P256()), "P-384": newKey(t, elliptic.P384()), "RSA": newRSAKey(t)} {
		for _, format := range []string{"sigstore", "cosign", "sigstore-key", "cosign-key"} {
			t.Run(algorithm+"/"+format, func(t *testing.T) {
				t.Parallel()
				content := r.seal(t, key, format, nil)
				f, err := r.verifier.Verify(content, key.Public(), digestFor(key, format))
				require.NoError(t, err)
				require.WithinDuration(t, time.Now(), f.At, time.Minute)
				require.Equal(t, "log.sign.acme.example", f.LogOrigin)
				require.GreaterOrEqual(t, f.LogIndex, uint64(3))
				f.At, f.LogOrigin, f.LogIndex = time.Time{}, "", 0
				if format == "sigstore-key" || format == "cosign-key" {
					require.Equal(t, trust.Finding{Level: trust.LevelKey}, f)
				} else {
					require.WithinDuration(t, time.Now().Add(24*time.Hour), f.NotAfter, time.Minute)
					f.NotAfter = time.Time{}
					require.Equal(t, trust.Finding{Level: trust.LevelRoot, Identity: "https://sign.acme.example/keys/release", Issuer: "https://sign.acme.example"}, f)
				}
				require.NoError(t, stock(t, r.json, content, key, format))
			})
		}
	}
}

// stock is what sigstore-go says of a bundle in its own way, as strictly as cosign asks it.
func stock(t testing.TB, trustedRoot, content []byte, key *memoryKey, format string) error {
	t.Helper()
	b := &bundle.Bundle{Bundle: new(bundlev1.Bundle)}
	if err := b.UnmarshalJSON(content); err != nil {
		return err
	}
	r, err := root.NewTrustedRootFromJSON(trustedRoot)
	require.NoError(t, err)
	options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1)}
	policy := []verify.PolicyOption{verify.WithKey()}
	if format == "sigstore" || format == "cosign" {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
		id, err := verify.NewShortCertificateIdentity("https://sign.acme.example", "", "https://sign.acme.example/keys/release", "")
		require.NoError(t, err)
		policy = []verify.PolicyOption{verify.WithCertificateIdentity(id)}
	}
	sv, err := signature.LoadDefaultVerifier(key.Public())
	require.NoError(t, err)
	keyed := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(sv, time.Time{}, time.Time{}), nil
	})
	v, err := verify.NewVerifier(root.TrustedMaterialCollection{r, keyed}, options...)
	require.NoError(t, err)
	digest := digestFor(key, format)
	_, err = v.Verify(b, verify.NewPolicy(verify.WithArtifactDigest(map[int]string{32: "sha256", 48: "sha384"}[len(digest)], digest), policy...))
	return err
}

// Stock cosign takes the trusted root and what stands in bundles, offline, in an empty home, without any insecure flag.
func TestCosignTakesTheRoot(t *testing.T) {
	t.Parallel()
	r, other := newRealm(t, "sign.acme.example"), newRealm(t, "other.acme.example")
	key := newKey(t, elliptic.P256())
	m := r.material()
	m.Former = [][]byte{other.json}
	file := write(t, "app.tgz", []byte(artifactBytes))
	cosign := func(trustedRoot, content []byte, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(tooltest.RepoRoot(t), "bin", "cosign"), append([]string{"verify-blob",
			"--trusted-root", write(t, "trusted_root.json", trustedRoot), "--bundle", write(t, "b.json", content)}, append(args, file)...)...)
		cmd.Env = []string{"HOME=" + t.TempDir(), "http_proxy=http://127.0.0.1:1", "https_proxy=http://127.0.0.1:1"}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	byIdentity := []string{"--certificate-identity", "https://sign.acme.example/keys/release", "--certificate-oidc-issuer", "https://sign.acme.example"}
	pub := write(t, "release.pub", publicPEM(t, key.Public()))
	certified, hinted := r.seal(t, key, "sigstore", nil), r.seal(t, key, "sigstore-key", nil)
	for name, trusted := range map[string][]byte{"alone": r.json, "with former": buildRoot(t, m)} {
		out, err := cosign(trusted, certified, byIdentity...)
		require.NoError(t, err, "%s: %s", name, out)
		require.Contains(t, out, "Verified OK")
		out, err = cosign(trusted, hinted, "--key", pub)
		require.NoError(t, err, "%s: %s", name, out)
		require.Contains(t, out, "Verified OK")
	}
	out, err := cosign(other.json, certified, byIdentity...)
	require.Error(t, err, out)
}

// A bundle that carries nothing is a signature by a key, at no known time; parts may be there alone only beside a key hint.
func TestVerifyLess(t *testing.T) {
	t.Parallel()
	r := newRealm(t, "sign.acme.example")
	key := newKey(t, elliptic.P256())
	digest := digestFor(key, "sigstore")
	whole := r.seal(t, key, "sigstore-key", nil)
	certified := r.seal(t, key, "sigstore", nil)
	noTime := func(b *bundlev1.Bundle) { b.VerificationMaterial.TimestampVerificationData = nil }
	noLog := func(b *bundlev1.Bundle) { b.VerificationMaterial.TlogEntries = nil }

	f, err := r.verifier.Verify(changed(t, changed(t, whole, noTime), noLog), key.Public(), digest)
	require.NoError(t, err)
	require.Equal(t, trust.Finding{Level: trust.LevelKey}, f)
	f, err = r.verifier.Verify(changed(t, whole, noTime), key.Public(), digest)
	require.NoError(t, err)
	require.True(t, f.At.IsZero())
	require.NotEmpty(t, f.LogOrigin)
	f, err = r.verifier.Verify(changed(t, whole, noLog), key.Public(), digest)
	require.NoError(t, err)
	require.False(t, f.At.IsZero())
	require.Empty(t, f.LogOrigin)

	_, err = r.verifier.Verify(changed(t, certified, noTime), key.Public(), digest)
	require.ErrorIs(t, err, trust.ErrTimestamp)
	_, err = r.verifier.Verify(changed(t, certified, noLog), key.Public(), digest)
	require.ErrorIs(t, err, trust.ErrLogProof)

	_, err = r.verifier.Verify(whole, key.Public(), digest[:5])
	require.ErrorIs(t, err, trust.ErrUnsupported)
	require.Equal(t, reason.Undecided, trust.Problem(err))
	_, err = r.verifier.Verify(whole, nil, digest)
	require.ErrorIs(t, err, trust.ErrUnsupported)
}
