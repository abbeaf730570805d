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
)

// Commands of other people's programs work as docs/verify.md prints them, and refuse a tampered file.
func TestVerifyPageIsTrue(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "verify.md"))
	require.NoError(t, err)
	common, p384 := printedCommands(string(page))
	require.Len(t, common, 3, "fingerprint, cosign, openssl")
	require.Len(t, p384, 2, "cosign, openssl")

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

// printedCommands returns the cosign and openssl lines of a page's shell blocks, those for P-384 apart.
func printedCommands(page string) (common, p384 []string) {
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(page, -1) {
		for line := range strings.SplitSeq(block[1], "\n") {
			switch {
			case !strings.HasPrefix(line, "cosign ") && !strings.HasPrefix(line, "openssl "):
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
