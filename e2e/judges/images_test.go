package judges_test

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const imageName = "team/app"

// Images are verified where they are, by certificate and by key, and so is the summary of one.
func TestImagesJudgedByCosign(t *testing.T) {
	t.Parallel()
	realm, stranger := notarytest.New(t), notarytest.NewWith(t, notarytest.Config{Name: "stranger"})
	key := sealtest.NewKey(t, "P-256", "release")
	d := newDesk(t, realm, key)
	server := artifactorytest.Start(t, artifactorytest.Wide())
	registry := artifactorytest.NewRegistry(t, server, artifactorytest.OCIStaging, artifactorytest.CI)
	client := clientOf(t, server)

	push := func(tag string, formats ...string) string {
		t.Helper()
		m := registry.Push(imageName, ":"+tag, registry.New("linux/amd64"))
		meaning, err := artifact.Resolve(t.Context(), client, artifact.Ref{Instance: "main", Repo: artifactorytest.OCIStaging, Path: imageName + "/" + tag + "/manifest.json"})
		require.NoError(t, err)
		for format, content := range sealed(t, realm, key, string(m.Raw), formats...) {
			_, err := client.Refer(t.Context(), meaning.Whole(), format, content)
			require.NoError(t, err)
		}
		return registry.Name(imageName, ":"+tag)
	}
	base := []string{"--trusted-root", "trusted_root.json", "--allow-http-registry", "--registry-token", artifactorytest.CI}
	named := []string{"--certificate-identity", d.identity, "--certificate-oidc-issuer", d.issuer}
	keyed := []string{"--key", "release.pub"}
	verify := func(verb, image string, by []string, more ...string) (bool, string) {
		t.Helper()
		args := append(append([]string{verb}, base...), by...)
		return d.verdict(judge{tooltest.Cosign(t), append(append(args, more...), image)})
	}
	accepted := func(ok bool, out string) { t.Helper(); require.True(t, ok, out) }
	refused := func(ok bool, out string) { t.Helper(); require.False(t, ok, out) }

	both := push("both", seal.FormatsOf(artifact.KindImage)...)
	accepted(verify("verify", both, named))
	accepted(verify("verify", both, keyed))
	accepted(verify("verify-attestation", both, named, "--type", seal.SummaryPredicate))
	refused(verify("verify", both, []string{"--certificate-identity", d.identity + "x", "--certificate-oidc-issuer", d.issuer}))

	// each serves those it is made for
	certified, bare := push("certified", "cosign"), push("bare", "cosign-key")
	accepted(verify("verify", certified, named))
	refused(verify("verify", certified, keyed))
	accepted(verify("verify", bare, keyed))
	refused(verify("verify", bare, named))
	refused(verify("verify-attestation", certified, named, "--type", seal.SummaryPredicate))

	d.write("trusted_root.json", stranger.TrustedRoot())
	refused(verify("verify", both, named))
	refused(verify("verify", both, keyed))
}

func clientOf(t *testing.T, server *standin.Server) *artifactory.Client {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(token, []byte(artifactorytest.CI), 0o600))
	client, err := artifactory.New(artifactory.Config{Name: "main", URL: server.URL(), Token: artifactory.SecretFile{File: token}, Retries: -1},
		artifactory.Options{Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry()})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// Where the kernel allows it, nothing but loopback is there.
func TestNothingIsReachable(t *testing.T) {
	t.Parallel()
	if os.Getenv(inside) == "" {
		t.Log("no network namespace of its own: programs run with proxies that lead nowhere")
		return
	}
	all, err := net.Interfaces()
	require.NoError(t, err)
	for _, i := range all {
		require.True(t, i.Flags&net.FlagLoopback != 0 || i.Flags&net.FlagUp == 0, i.Name)
	}
}
