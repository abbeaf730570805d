package trust_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/trust"
)

func goldenBundle(name string) string { return filepath.Join("testdata", "bundle", name) }

// goldenBundles are bundles as they were made in 2026, by format, with the key and the root to judge them by.
func goldenBundles(t testing.TB) (v *trust.Verifier, pub crypto.PublicKey, bundles map[string][]byte) {
	t.Helper()
	read := func(name string) []byte {
		content, err := os.ReadFile(goldenBundle(name))
		require.NoError(t, err)
		return content
	}
	v, err := trust.NewVerifier(read("trusted_root.json"))
	require.NoError(t, err)
	block, _ := pem.Decode(read("release.pub"))
	require.NotNil(t, block)
	pub, err = x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	bundles = map[string][]byte{}
	for _, format := range []string{"sigstore", "cosign", "sigstore-key", "cosign-key"} {
		bundles[format] = read(format + ".json")
	}
	return v, pub, bundles
}

// What was once made verifies for ever: with nothing but this directory, at any later time.
func TestGoldenBundles(t *testing.T) {
	t.Parallel()
	if *update {
		r, key := newRealm(t, "sign.acme.example"), newKey(t, elliptic.P256())
		require.NoError(t, os.MkdirAll(goldenBundle(""), 0o750))
		require.NoError(t, os.WriteFile(goldenBundle("trusted_root.json"), r.json, 0o600))
		require.NoError(t, os.WriteFile(goldenBundle("release.pub"), publicPEM(t, key.Public()), 0o600))
		for _, format := range []string{"sigstore", "cosign", "sigstore-key", "cosign-key"} {
			require.NoError(t, os.WriteFile(goldenBundle(format+".json"), r.seal(t, key, format, nil), 0o600))
		}
	}
	v, pub, bundles := goldenBundles(t)
	digest := digestFor(&memoryKey{hash: crypto.SHA256}, "sigstore")
	for format, content := range bundles {
		f, err := v.Verify(content, pub, digest)
		require.NoError(t, err, format)
		require.Equal(t, 2026, f.At.Year())
		if format == "sigstore" || format == "cosign" {
			require.Equal(t, trust.LevelRoot, f.Level, format)
		} else {
			require.Equal(t, trust.LevelKey, f.Level, format)
		}
	}
}

// Whatever is passed off as a bundle, judging it ends soon and without a panic, and what is believed says what the golden
// bundles say.
func FuzzVerify(f *testing.F) {
	v, pub, bundles := goldenBundles(f)
	digest := digestFor(&memoryKey{hash: crypto.SHA256}, "sigstore")
	for _, content := range bundles {
		f.Add(content)
	}
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := v.Verify(content, pub, digest)
		if err != nil {
			require.Equal(t, trust.Finding{}, got)
			require.NotEmpty(t, trust.Problem(err))
			return
		}
		if got.Level == trust.LevelRoot {
			require.Equal(t, "https://sign.acme.example/keys/release", got.Identity)
			require.Equal(t, "log.sign.acme.example", got.LogOrigin)
			require.Equal(t, 2026, got.At.Year())
		}
		_, err = v.Verify(content, pub, make([]byte, 32))
		require.ErrorIs(t, err, trust.ErrWrongBytes)
	})
}

func FuzzRoot(f *testing.F) {
	for _, name := range []string{filepath.Join("testdata", "root", "trusted_root.json"), goldenBundle("trusted_root.json")} {
		content, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if _, err := trust.NewVerifier(content); err != nil {
			require.ErrorIs(t, err, trust.ErrRoot)
			return
		}
		// What can be read can be merged, and means the same when it is written.
		again, err := trust.BuildRoot(trust.Material{Former: [][]byte{content}})
		require.NoError(t, err)
		twice, err := trust.BuildRoot(trust.Material{Former: [][]byte{again, content}})
		require.NoError(t, err)
		require.Equal(t, string(again), string(twice))
	})
}
