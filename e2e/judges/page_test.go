package judges_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// pageImage is the image that docs/verify.md checks.
const pageImage = "acme.example/oci-release-local/gateway/agent:4.2.0"

// printed are the lines of docs/verify.md that have cosign check something.
func printed(t *testing.T) (lines []string) {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "verify.md"))
	require.NoError(t, err)
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "cosign verify") {
			require.Contains(t, line, "--trusted-root acme-trust/trusted_root.json")
			require.NotContains(t, line, "insecure")
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	require.Len(t, lines, 8, "three of files and one for P-384, the same of images")
	return lines
}

// Every line of cosign on docs/verify.md accepts what is signed as it is printed, and refuses everything else.
func TestVerifyPage(t *testing.T) {
	t.Parallel()
	realm := notarytest.NewWith(t, notarytest.Config{Configuration: "release"})
	path := filepath.Dir(tooltest.Cosign(t))
	server := artifactorytest.Start(t, artifactorytest.Wide())
	registry := artifactorytest.NewRegistry(t, server, artifactorytest.OCIStaging, artifactorytest.CI)
	client := clientOf(t, server)
	for _, algorithm := range []string{"P-256", "P-384"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			key, name := sealtest.NewKey(t, algorithm, "release"), "gateway/"+strings.ToLower(algorithm)
			d := newDesk(t, realm, key)
			require.NoError(t, os.Mkdir(filepath.Join(d.dir, "acme-trust"), 0o700))
			d.write("acme-trust/trusted_root.json", realm.TrustedRoot())
			push := func() {
				m := registry.Push(name, ":4.2.0", registry.New("linux/amd64"))
				meaning, err := artifact.Resolve(t.Context(), client, artifact.Ref{Instance: "main", Repo: artifactorytest.OCIStaging, Path: name + "/4.2.0/manifest.json"})
				require.NoError(t, err)
				for format, content := range sealed(t, realm, key, string(m.Raw), seal.FormatsOf(artifact.KindImage)...) {
					_, err := client.Refer(t.Context(), meaning.Whole(), format, content)
					require.NoError(t, err)
				}
			}
			push()
			ask := func(what string, accept bool) {
				t.Helper()
				asked := 0
				for _, line := range printed(t) {
					if bare := strings.Contains(line, "--key"); bare && strings.Contains(line, "sha384") != (algorithm == "P-384") {
						continue
					}
					asked++
					command := line
					if strings.Contains(line, pageImage) {
						command = strings.Replace(line, pageImage, registry.Name(name, ":4.2.0"), 1) + " --allow-http-registry --registry-token " + artifactorytest.CI
					}
					out, err := tooltest.Run(t, d.dir, "sh", "-c", "PATH='"+path+"':\"$PATH\"; "+command)
					require.Equal(t, accept, err == nil, "%s, %s: %s", what, line, out)
				}
				require.Equal(t, 6, asked)
			}
			ask("as signed", true)
			d.write("app.tgz", []byte("what was not built"))
			registry.Push(name, ":4.2.0", registry.New("linux/arm64"))
			ask("something else", false)
		})
	}
}
