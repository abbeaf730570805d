package seal_test

import (
	"crypto"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

func readPublic(t testing.TB, path string) crypto.PublicKey {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	pub, err := cryptoutils.UnmarshalPEMToPublicKey(b)
	require.NoError(t, err)
	return pub
}

// FuzzVerify feeds content that nobody vouches for to every format. Whatever it is: no panic, an error that names one
// cause, and no acceptance for other bytes or under another key.
func FuzzVerify(f *testing.F) {
	pub := readPublic(f, filepath.Join("testdata", "golden.pub"))
	other := sealtest.NewKey(f, "P-256", "somebody else").Public()
	right, wrong := digestsOf([]byte(goldenContent)), digestsOf([]byte("else"))
	der, err := x509.MarshalPKIXPublicKey(pub)
	require.NoError(f, err)
	pinned := artifact.Attachment{Content: der}.SHA256()
	formats := all(f)
	for _, format := range formats {
		golden, err := os.ReadFile(goldenFile(format))
		require.NoError(f, err)
		f.Add(golden)
		f.Add(golden[:len(golden)/2])
	}
	for _, name := range notarizedFormats {
		golden := notarized(f, name)
		f.Add(golden)
		f.Add(golden[:len(golden)*2/3])
	}
	for _, c := range sealtest.Cases(f) {
		if len(c.Content) < 10_000 {
			f.Add(c.Content)
		}
	}
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"certificate":{}},"dsseEnvelope":{}}`))
	f.Add([]byte(`{"messageSignature":{"messageDigest":{"algorithm":12,"digest":""}}}`))
	f.Add([]byte{0x30, 6, 2, 1, 0, 2, 1, 0})

	f.Fuzz(func(t *testing.T, content []byte) {
		for _, format := range formats {
			hint, hinted := format.KeyHint(content)
			if _, err := seal.ReadSummary(content); err != nil {
				require.ErrorIs(t, err, seal.ErrMalformed)
			}
			err := format.Verify(pub, right, content)
			if hinted && hint != pinned {
				require.Error(t, err, "what says it is by another key is not tried with ours")
			}
			if err != nil {
				code := seal.Problem(err)
				require.NotEmpty(t, code)
				require.NotEqual(t, seal.Problem(seal.ErrNoDigest), code, "the refusal is about the file: %v", err)
				require.Less(t, len(err.Error()), 2000)
			}
			require.Error(t, format.Verify(pub, wrong, content))
			require.Error(t, format.Verify(other, right, content))
		}
	})
}
