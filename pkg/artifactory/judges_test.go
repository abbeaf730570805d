package artifactory_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// cosign looks for a signature and checks it, with the right to read, over plain HTTP. What is stored here no log holds, which is what its flag says.
func (h harbour) cosign(dir, algorithm, reference string) (string, error) {
	h.t.Helper()
	args := append([]string{"verify", "--key", "release.pub", "--private-infrastructure", h.at(reference).String()}, asReader...)
	if algorithm == "P-384" {
		args = append(args, "--signature-digest-algorithm", "sha384")
	}
	return tooltest.Run(h.t, dir, tooltest.Cosign(h.t), args...)
}

var asReader = []string{"--allow-http-registry", "--registry-username", "reader", "--registry-password", artifactorytest.Reader}

// What docs/verify.md prints for the tag of an older Artifactory accepts what is stored there, for this image and by this key, and
// switches no check of anybody off.
func TestVerifyPageIsTrueOfTags(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "verify.md"))
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```sh\n(cosign download signature .*?)```").FindStringSubmatch(string(page))
	require.NotNil(t, block)
	require.NotContains(t, string(page), "insecure")
	const named = "acme.example/oci-release-local/gateway/agent:4.2.0"
	require.Equal(t, 2, strings.Count(block[1], named))
	for _, algorithm := range sealtest.Algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			h, dir := newHarbour(t, standin.Quirks{}), t.TempDir()
			c, key := h.client(artifactorytest.CI), sealtest.NewKey(t, algorithm, "judged")
			key.WritePEM(t, dir, "release.pub")
			script := "set -e; PATH='" + filepath.Dir(tooltest.Cosign(t)) + ":" + filepath.Dir(tooltest.OpenSSL(t)) + "':\"$PATH\"\n" +
				strings.ReplaceAll(block[1], named, h.at(":1").String()+" "+strings.Join(asReader, " "))
			if algorithm == "P-384" {
				script = strings.Replace(script, "dgst -sha256", "dgst -sha384", 1)
			}
			judge := func() (string, error) { return tooltest.Run(t, dir, "sh", "-c", script) }
			image, other := h.image("1"), h.image("2")
			out, err := judge()
			require.Error(t, err, "before: %s", out)
			_, err = c.Refer(t.Context(), image, "cosign-tag", sealed(t, key, "cosign-tag", image))
			require.NoError(t, err)
			out, err = judge()
			require.NoError(t, err, out)
			require.Contains(t, out, "Verified OK")

			sealtest.NewKey(t, algorithm, "somebody else").WritePEM(t, dir, "release.pub")
			out, err = judge()
			require.Error(t, err, "another key: %s", out)
			key.WritePEM(t, dir, "release.pub")
			script = strings.ReplaceAll(script, h.at(":1").String(), h.at(":2").String())
			_, err = c.Refer(t.Context(), other, "cosign-tag", sealed(t, key, "cosign-tag", image))
			require.NoError(t, err)
			out, err = judge()
			require.Error(t, err, "the signature of another image: %s", out)
		})
	}
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
