package seal_test

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenContent is what the golden signatures are over.
const goldenContent = "Hallmark golden content, version 1\n"

func goldenFile(f seal.Format) string {
	return filepath.Join("testdata", "golden"+cmp.Or(f.Suffix, "."+f.Name+".json"))
}

// Golden files are what users have stored for years: what was once sealed must verify for ever, and what is sealed
// today must have the same bytes. Every format in the table has one.
func TestGolden(t *testing.T) {
	t.Parallel()
	key, d := sealtest.NewKey(t, "P-256", "golden"), digestsOf([]byte(goldenContent))
	pemFile := filepath.Join("testdata", "golden.pub")
	if *update {
		key.WritePEM(t, "testdata", "golden.pub")
	}
	pem, err := os.ReadFile(pemFile)
	require.NoError(t, err)
	pub, err := cryptoutils.UnmarshalPEMToPublicKey(pem)
	require.NoError(t, err)

	for _, f := range all(t) {
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			sealed := sealtest.Seal(t, f.Name, key, d, nil)
			file := goldenFile(f)
			if *update {
				require.NoError(t, os.WriteFile(file, sealed, 0o600))
			}
			golden, err := os.ReadFile(file)
			require.NoError(t, err, "every format has a golden file: go test ./pkg/seal -run TestGolden -update")
			require.Equal(t, string(golden), string(sealed))
			require.NoError(t, f.Verify(pub, d, golden))
			require.ErrorIs(t, f.Verify(pub, seal.Digests{}, golden), seal.ErrNoDigest)
		})
	}
}
