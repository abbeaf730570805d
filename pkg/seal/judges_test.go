package seal_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
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

// judge is a verifier of somebody else with the arguments that a user types.
type judge struct {
	program string
	args    []string
	accepts string // printed when it accepts
}

func judges(t *testing.T, algorithm string) map[string]judge {
	t.Helper()
	cosign := []string{"verify-blob", "--key", "release.pub", "--bundle", "app.tgz.sigstore.json", "--insecure-ignore-tlog"}
	digest := "-sha256"
	if algorithm == "P-384" {
		cosign = append(cosign, "--signature-digest-algorithm", "sha384")
		digest = "-sha384"
	}
	with := func(command, file string, more ...string) []string {
		args := slices.Clone(cosign)
		args[0], args[4] = command, file
		return append(append(args, more...), "app.tgz")
	}
	return map[string]judge{
		"sigstore":     {tooltest.Cosign(t), with("verify-blob", "app.tgz.sigstore.json"), "Verified OK"},
		"sigstore-key": {tooltest.Cosign(t), with("verify-blob", "app.tgz.sigstore-key.json"), "Verified OK"},
		"vsa":          {tooltest.Cosign(t), with("verify-blob-attestation", "app.tgz.vsa.json", "--type", seal.SummaryPredicate), "Verified OK"},
		"raw":          {tooltest.OpenSSL(t), []string{"dgst", digest, "-verify", "release.pub", "-signature", "app.tgz.sig", "app.tgz"}, "Verified OK"},
	}
}

// Other people's programs accept every format under every algorithm, and refuse what they should.
func TestJudgedByOthers(t *testing.T) {
	t.Parallel()
	for _, algorithm := range sealtest.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			desk := newDesk(t, algorithm)
			panel := judges(t, algorithm)
			require.Len(t, panel, len(seal.FormatsOf(artifact.KindFile)), "every format of files has a judge; those of images are judged where the registry is")
			ask := func(verdict string, accept bool) {
				t.Helper()
				for format, j := range panel {
					out, err := tooltest.Run(t, desk.dir, j.program, j.args...)
					if accept {
						require.NoError(t, err, "%s, %s: %s", format, verdict, out)
						require.Contains(t, out, j.accepts)
					} else {
						require.Error(t, err, "%s, %s: %s", format, verdict, out)
						require.NotContains(t, out, j.accepts)
					}
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
