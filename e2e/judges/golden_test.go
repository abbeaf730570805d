package judges_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden is what users have stored since 2026: its certificate has long expired, and its time-stamp tells that it was valid.
var golden = filepath.Join("..", "..", "pkg", "seal", "testdata", "notarized")

const goldenContent = "Hallmark golden content, version 1\n"

// What was sealed with material years ago is good for other people's programs, too.
func TestGoldenJudgedByOthers(t *testing.T) {
	t.Parallel()
	key := sealtest.NewKey(t, "P-256", "golden")
	formats := []string{"sigstore", "sigstore-key", "cosign", "cosign-key", "vsa"}
	if *update {
		realm := notarytest.NewWith(t, notarytest.Config{Name: "golden"})
		use := realm.Begin(key, digests(t, key.Public(), goldenContent).SHA256(), formats...)
		c := use.Context()
		c.Summary = sealtest.Summary()
		files, err := seal.SealAll(t.Context(), key, digests(t, key.Public(), goldenContent), notarytest.Formats(t, formats...), c)
		require.NoError(t, err)
		use.Keep(files)
		for format, content := range files {
			require.NoError(t, os.WriteFile(filepath.Join(golden, format+".json"), content, 0o600))
		}
		require.NoError(t, os.WriteFile(filepath.Join(golden, "trusted_root.json"), realm.TrustedRoot(), 0o600))
	}

	d := &desk{t: t, dir: t.TempDir(), identity: "https://golden.example/keys/golden", issuer: "https://golden.example"}
	d.write("app.tgz", []byte(goldenContent))
	key.WritePEM(t, d.dir, "release.pub")
	for to, from := range map[string]string{
		"trusted_root.json": "trusted_root.json", "app.tgz.sigstore.json": "sigstore.json", "app.tgz.sigstore-key.json": "sigstore-key.json",
		"app.tgz.vsa.json": "vsa.json", "cosign.json": "cosign.json", "cosign-key.json": "cosign-key.json",
	} {
		content, err := os.ReadFile(filepath.Join(golden, from))
		require.NoError(t, err)
		d.write(to, content)
	}
	raw, err := (seal.Signer)(key).Sign(t.Context(), digests(t, key.Public(), goldenContent)[key.Hash()])
	require.NoError(t, err)
	d.write("app.tgz.sig", raw)
	panel := d.panel("P-256")
	panel["sigstore-go, image"] = judge{tooltest.Judge(t), []string{"-bundle", "cosign.json", "-identity", d.identity, "-issuer", d.issuer, "app.tgz"}}
	panel["sigstore-go, image by key"] = judge{tooltest.Judge(t), []string{"-bundle", "cosign-key.json", "-key", "release.pub", "app.tgz"}}
	for name, j := range panel {
		ok, out := d.verdict(j)
		require.True(t, ok, "%s: %s", name, out)
	}
}
