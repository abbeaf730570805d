package seal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// Commands of openssl work as docs/verify.md prints them, and refuse a tampered file.
func TestVerifyPageIsTrue(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "verify.md"))
	require.NoError(t, err)
	files, _, ok := strings.Cut(string(page), bundleSection)
	require.True(t, ok)
	common, p384 := printedCommands(files)
	require.Len(t, common, 2, "fingerprint, openssl")
	require.Len(t, p384, 1, "openssl")

	path := filepath.Dir(tooltest.Cosign(t)) + ":" + filepath.Dir(tooltest.OpenSSL(t))
	for algorithm, commands := range map[string][]string{"P-256": common, "RSA-3072": common, "P-384": append(p384, common[0])} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			desk := newDesk(t, algorithm)
			for _, line := range commands {
				run := func() (string, error) {
					return tooltest.Run(t, desk.dir, "sh", "-c", "PATH='"+path+"':\"$PATH\"; "+line)
				}
				out, err := run()
				require.NoError(t, err, "%s: %s", line, out)
				if strings.Contains(line, "openssl pkey") {
					require.Contains(t, out, fingerprint(t, desk))
					continue
				}
				require.Contains(t, out, "Verified OK", line)
				desk.write(t, "app.tgz", []byte("what was not built"))
				out, err = run()
				require.Error(t, err, "%s: %s", line, out)
				desk.write(t, "app.tgz", []byte("what was built"))
			}
		})
	}
}

// bundleSection is where the page turns from files to release bundles.
const bundleSection = "## 6. A release bundle"

// What the page prints for a release bundle's evidence accepts ours, with openssl alone, and nothing else.
func TestVerifyPageIsTrueOfEvidence(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "verify.md"))
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(page), bundleSection)
	require.True(t, ok)
	section, _, ok = strings.Cut(section, "\n## ")
	require.True(t, ok)
	var script string
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1) {
		if strings.Contains(block[1], "payload.pae") {
			script = block[1]
		}
	}
	require.Equal(t, 5, strings.Count(script, "\n"))

	f, _ := seal.Lookup("evidence")
	bundle := []byte(`{"payload":"what the platform signed"}`)
	for _, algorithm := range sealtest.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			script := "set -e; PATH='" + filepath.Dir(tooltest.OpenSSL(t)) + "':\"$PATH\"\n" + script
			if algorithm == "P-384" {
				script = strings.Replace(script, "dgst -sha256 -verify", "dgst -sha384 -verify", 1)
			}
			desk := desk{dir: t.TempDir(), key: sealtest.NewKey(t, algorithm, "bundles")}
			desk.key.WritePEM(t, desk.dir, "release.pub")
			good, err := f.Seal(t.Context(), desk.key, digestsOf(bundle))
			require.NoError(t, err)
			forOther, err := f.Seal(t.Context(), desk.key, digestsOf([]byte("another bundle")))
			require.NoError(t, err)
			byOther, err := f.Seal(t.Context(), sealtest.NewKey(t, algorithm, "somebody else"), digestsOf(bundle))
			require.NoError(t, err)
			for name, c := range map[string]struct {
				bundle, evidence []byte
				ok               bool
			}{
				"as sealed":           {bundle, good, true},
				"another bundle":      {[]byte("another bundle"), good, false},
				"for another bundle":  {bundle, forOther, false},
				"by another key":      {bundle, byOther, false},
				"payload of another":  {bundle, sealtest.Set(t, forOther, sealtest.Get(t, good, "payload"), "payload"), false},
				"signature of others": {bundle, sealtest.Set(t, good, sealtest.Get(t, byOther, "signatures"), "signatures"), false},
			} {
				desk.write(t, "release-bundle.json.evd", c.bundle)
				desk.write(t, "evidence.json", c.evidence)
				out, err := tooltest.Run(t, desk.dir, "sh", "-c", script)
				require.Equal(t, c.ok, err == nil, "%s: %s", name, out)
				require.Equal(t, c.ok, f.Verify(desk.key.Public(), digestsOf(c.bundle), c.evidence) == nil, name)
			}
		})
	}
}

// printedCommands returns the cosign and openssl lines of a page's shell blocks that need nothing but a key, those for P-384
// apart.
func printedCommands(page string) (common, p384 []string) {
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page, -1) {
		for line := range strings.SplitSeq(block[1], "\n") {
			switch {
			case !strings.HasPrefix(line, "cosign ") && !strings.HasPrefix(line, "openssl "):
			case strings.Contains(line, "--trusted-root"): // with a log; e2e/judges runs those
			case strings.Contains(line, "sha384"):
				p384 = append(p384, line)
			default:
				common = append(common, line)
			}
		}
	}
	return common, p384
}

// fingerprint is the pinned form of the desk's key, by way of the hint that a bundle carries.
func fingerprint(t *testing.T, d desk) string {
	t.Helper()
	bundle, err := os.ReadFile(filepath.Join(d.dir, "app.tgz.sigstore.json"))
	require.NoError(t, err)
	f, _ := seal.Lookup("sigstore")
	spki, ok := f.KeyHint(bundle)
	require.True(t, ok)
	return spki.String()
}
