package artifactory_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// cosign is what the page tells a user to type, with the right to read, over plain HTTP.
func (h harbour) cosign(dir, algorithm, reference string) (string, error) {
	h.t.Helper()
	args := printed(h.t)[0]
	if algorithm == "P-384" {
		args = printed(h.t)[1]
	}
	args[len(args)-1] = h.at(reference).String()
	args = append(args, "--allow-http-registry", "--registry-username", "reader", "--registry-password", artifactorytest.Reader)
	return tooltest.Run(h.t, dir, tooltest.Cosign(h.t), args[1:]...)
}

// printed are the commands for images without a log on docs/verify.md, taken apart: the usual one and the one for P-384.
func printed(t *testing.T) [][]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "verify.md"))
	require.NoError(t, err)
	var lines [][]string
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "cosign verify ") && !strings.Contains(line, "--trusted-root") {
			lines = append(lines, strings.Fields(line))
		}
	}
	require.Len(t, lines, 2)
	require.Contains(t, string(page), accepted)
	return lines
}

// accepted is what cosign prints.
const accepted = "The signatures were verified against the specified public key"

// Stock cosign accepts what Refer stores, in both formats, for images and indexes, with and without the referrers API,
// and refuses another image, another key and what was meant for another manifest.
func TestCosignAcceptsSignedImages(t *testing.T) {
	t.Parallel()
	for name, quirks := range map[string]standin.Quirks{"referrers": {}, "tags": {Referrers: "404"}, "basic": {RegistryAuth: "basic"}} {
		for _, algorithm := range sealtest.Algorithms {
			for _, format := range formats {
				if name != "referrers" && algorithm != "P-256" {
					continue
				}
				t.Run(name+"/"+algorithm+"/"+format, func(t *testing.T) {
					t.Parallel()
					h, dir := newHarbour(t, quirks), t.TempDir()
					c, key := h.client(artifactorytest.CI), sealtest.NewKey(t, algorithm, "judged")
					key.WritePEM(t, dir, "release.pub")
					image, index, unsigned := h.image("1"), h.index("2"), h.image("3")
					for _, subject := range []artifact.Subject{image, index} {
						by := ":" + subject.Image.Tag
						out, err := h.cosign(dir, algorithm, by)
						require.Error(t, err, "before: %s", out)
						require.Contains(t, out, "no signatures found")
						_, err = c.Refer(t.Context(), subject, format, sealed(t, key, format, subject))
						require.NoError(t, err)
						for _, reference := range []string{by, "@sha256:" + subject.SHA256.String()} {
							out, err = h.cosign(dir, algorithm, reference)
							require.NoError(t, err, out)
							require.Contains(t, out, accepted)
						}
					}
					_, err := c.Refer(t.Context(), unsigned, format, sealed(t, key, format, image))
					require.NoError(t, err)
					out, err := h.cosign(dir, algorithm, ":3")
					require.Error(t, err, "a signature of another image: %s", out)
					require.False(t, strings.Contains(out, "were verified"), out)
					sealtest.NewKey(t, "P-256", "somebody else").WritePEM(t, dir, "release.pub")
					out, err = h.cosign(dir, "P-256", ":1")
					require.Error(t, err, "another key: %s", out)
				})
			}
		}
	}
}
