package seal_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// desk is a directory as a user has it after a download: artifact, signature files, public key.
type desk struct {
	dir string
	key *sealtest.Key
}

func newDesk(t *testing.T, algorithm string) desk {
	t.Helper()
	d := desk{dir: t.TempDir(), key: sealtest.NewKey(t, algorithm, "judged")}
	d.key.WritePEM(t, d.dir, "release.pub")
	d.write(t, "app.tgz", []byte("what was built"))
	sealed, err := seal.SealAll(t.Context(), d.key, digestsOf([]byte("what was built")), all(t), seal.Context{Summary: sealtest.Summary()})
	require.NoError(t, err)
	for name, content := range sealed {
		file := seal.FileName("app.tgz", name, "", true)
		if file == "" {
			file = name + ".json"
		}
		d.write(t, file, content)
	}
	return d
}

func (d desk) write(t *testing.T, name string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(d.dir, name), content, 0o600))
}

// openssl judges every signature over the very bytes of a file, under every algorithm: the one beside it, and those in
// bundles without material. What cosign and its relatives say of bundles stands in e2e/judges.
func TestJudgedByOpenSSL(t *testing.T) {
	t.Parallel()
	for _, algorithm := range sealtest.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			desk, digest := newDesk(t, algorithm), "-sha256"
			if algorithm == "P-384" {
				digest = "-sha384"
			}
			signatures := []string{"app.tgz.sig"}
			for _, bundle := range []string{"app.tgz.sigstore.json", "app.tgz.sigstore-key.json"} {
				content, err := os.ReadFile(filepath.Join(desk.dir, bundle))
				require.NoError(t, err)
				text, ok := sealtest.Get(t, content, "messageSignature", "signature").(string)
				require.True(t, ok)
				raw, err := base64.StdEncoding.DecodeString(text)
				require.NoError(t, err)
				desk.write(t, bundle+".sig", raw)
				signatures = append(signatures, bundle+".sig")
			}
			ask := func(verdict string, accept bool) {
				t.Helper()
				for _, s := range signatures {
					out, err := tooltest.Run(t, desk.dir, tooltest.OpenSSL(t), "dgst", digest, "-verify", "release.pub", "-signature", s, "app.tgz")
					require.Equal(t, accept, err == nil, "%s, %s: %s", s, verdict, out)
					require.Equal(t, accept, strings.Contains(out, "Verified OK"), "%s, %s: %s", s, verdict, out)
				}
			}
			ask("as sealed", true)
			desk.write(t, "app.tgz", []byte("what was not built"))
			ask("tampered artifact", false)
			desk.write(t, "app.tgz", []byte("what was built"))
			ask("restored artifact", true)
			sealtest.NewKey(t, algorithm, "somebody else").WritePEM(t, desk.dir, "release.pub")
			ask("another key", false)
		})
	}
}

// Bundles that cosign makes with a key of ours verify here: the format is theirs, not a dialect.
func TestCosignMadeBundleVerifies(t *testing.T) {
	t.Parallel()
	cosign, openssl, dir := tooltest.Cosign(t), tooltest.OpenSSL(t), t.TempDir()
	content := []byte("what was built")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "app.tgz"), content, 0o600))
	for _, c := range [][]string{
		{openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key.pem"},
		{openssl, "pkey", "-in", "key.pem", "-pubout", "-out", "release.pub"},
		{cosign, "import-key-pair", "--key", "key.pem", "--output-key-prefix", "cosign", "--yes"},
		{cosign, "sign-blob", "--key", "cosign.key", "--bundle", "app.tgz.sigstore.json", "--use-signing-config=false", "--tlog-upload=false", "--yes", "app.tgz"},
	} {
		out, err := tooltest.Run(t, dir, c[0], c[1:]...)
		require.NoError(t, err, "%s: %s", c, out)
	}
	bundle, err := os.ReadFile(filepath.Join(dir, "app.tgz.sigstore.json"))
	require.NoError(t, err)
	pub := readPublic(t, filepath.Join(dir, "release.pub"))

	f, _ := seal.Lookup("sigstore")
	require.NoError(t, f.Verify(pub, digestsOf(content), bundle))
	require.ErrorIs(t, f.Verify(pub, digestsOf([]byte("else")), bundle), seal.ErrWrongBytes)
	require.ErrorIs(t, f.Verify(sealtest.NewKey(t, "P-256", "else").Public(), digestsOf(content), bundle), seal.ErrWrongKey)
}
