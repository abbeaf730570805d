package verify_test

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/verify"
)

// goldenDir has what users have stored for years, of every format, over goldenContent.
var goldenDir = filepath.Join("..", "seal", "testdata")

const goldenContent = "Hallmark golden content, version 1\n"

func golden(t testing.TB, f seal.Format) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(goldenDir, "golden"+cmp.Or(f.Suffix, "."+f.Name+".json")))
	require.NoError(t, err, "every format has a golden file")
	return content
}

func goldenKey(t testing.TB) crypto.PublicKey {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(goldenDir, "golden.pub"))
	require.NoError(t, err)
	block, _ := pem.Decode(text)
	require.NotNil(t, block)
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	return pub
}

// What was once sealed verifies for ever, here too.
func TestGolden(t *testing.T) {
	t.Parallel()
	d := verify.Digests(sealtest.Digests(t, goldenContent))
	for _, name := range seal.Formats() {
		f, _ := seal.Lookup(name)
		require.NoError(t, verify.Signature(name, goldenKey(t), d, golden(t, f)))
		require.ErrorIs(t, verify.Signature(name, goldenKey(t), nil, golden(t, f)), verify.ErrNoDigest)
	}
}
