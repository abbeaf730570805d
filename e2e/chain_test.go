package e2e

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	jfrog "github.com/jfrog/jfrog-client-go/artifactory"
	jfrogauth "github.com/jfrog/jfrog-client-go/artifactory/auth"
	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/jfrog/jfrog-client-go/artifactory/services/utils"
	jfrogconfig "github.com/jfrog/jfrog-client-go/config"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/gate"
)

// The whole way, judged by programs that are not ours at both ends: JFrog's client uploads and downloads, cosign and
// openssl verify.
func TestUploadToVerified(t *testing.T) {
	t.Parallel()
	for algorithm, digest := range map[string]string{"P-256": "-sha256", "P-384": "-sha384", "RSA-3072": "-sha256", "RSA-4096": "-sha256"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, c sandbox.Config) {
				c.Algorithm, c.Trust = algorithm, true
				s := start(t, c)
				m := jfrogClient(t, s)

				// Two files: one small enough for a plain deploy, one that the client offers by checksum first.
				dir := t.TempDir()
				files := map[string][]byte{"small.txt": []byte("release notes\n"), "app.tgz": make([]byte, 300_000)}
				_, _ = rand.Read(files["app.tgz"])
				for name, content := range files {
					require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
				}
				jfrogUpload(t, m, filepath.Join(dir, "*"), sandbox.Staging+"/app/1.4.2/", "team=core;note=two words", len(files))

				back, trust := t.TempDir(), exported(t, s)
				for name, content := range files {
					path := "app/1.4.2/" + name
					awaitSigned(t, s, path)
					var verdict gate.Verdict
					hallmarkJSON(t, s, 0, &verdict, "gate", "check", sandbox.Staging+"/"+path, "--target", sandbox.Release)
					require.True(t, verdict.Allow && verdict.Decided)
					require.Len(t, verdict.Signatures, 2)

					jfrogDownload(t, m, sandbox.Staging+"/"+path+"*", back, 3)
					got, err := os.ReadFile(filepath.Join(back, name))
					require.NoError(t, err)
					require.True(t, bytes.Equal(content, got))
					judge := func(ok bool) {
						vouched(t, trust, back, name, digest, ok)
						for _, by := range [][]string{{"--trust", trust, "--min-level", "3"}, {"--key", filepath.Join(trust, "keys", sandbox.Key+".pem")}} {
							out, err := tooltest.Run(t, back, binary, append([]string{"verify", name}, by...)...)
							require.Equal(t, ok, err == nil, "%v\n%s", by, out)
						}
					}
					judge(true)
					require.NoError(t, os.WriteFile(filepath.Join(back, name), append(got, '\n'), 0o600))
					judge(false)
				}

				// What the uploader set is still there, beside what Hallmark says.
				f, _ := s.Artifactory.File(sandbox.Staging, "app/1.4.2/app.tgz")
				require.Equal(t, []string{"core"}, f.Properties["team"])
				require.Equal(t, []string{"two words"}, f.Properties["note"])
				require.Equal(t, []string{sandbox.Key}, f.Properties["hallmark.keys"])
				require.Equal(t, []string{f.SHA256}, f.Properties["hallmark.sha256"])
				require.Equal(t, sandbox.Developer, f.CreatedBy)

				var status api.Status
				hallmarkJSON(t, s, 0, &status, "status", sandbox.Staging+"/app/1.4.2/app.tgz")
				require.Equal(t, "signed", status.Current.State)
				require.Len(t, status.Signatures, 2)
			})
		})
	}
}

func jfrogClient(t *testing.T, s *sandbox.Sandbox) jfrog.ArtifactoryServicesManager {
	t.Helper()
	details := jfrogauth.NewArtifactoryDetails()
	details.SetUrl(s.Artifactory.URL() + "/artifactory/")
	details.SetAccessToken(sandbox.Developer)
	cfg, err := jfrogconfig.NewConfigBuilder().SetServiceDetails(details).SetThreads(3).SetHttpRetries(0).Build()
	require.NoError(t, err)
	m, err := jfrog.New(cfg)
	require.NoError(t, err)
	return m
}

func jfrogUpload(t *testing.T, m jfrog.ArtifactoryServicesManager, pattern, target, properties string, files int) {
	t.Helper()
	p := services.NewUploadParams()
	p.Pattern, p.Target, p.Flat = pattern, target, true
	var err error
	p.TargetProps, err = utils.ParseProperties(properties)
	require.NoError(t, err)
	p.BuildProps = "build.name=app;build.number=7"
	ok, failed, err := m.UploadFiles(jfrog.UploadServiceOptions{FailFast: true}, p)
	require.NoError(t, err)
	require.Equal(t, []int{files, 0}, []int{ok, failed})
}

func jfrogDownload(t *testing.T, m jfrog.ArtifactoryServicesManager, pattern, dir string, files int) {
	t.Helper()
	p := services.NewDownloadParams()
	p.Pattern, p.Target, p.Flat = pattern, dir+"/", true
	ok, failed, err := m.DownloadFiles(p)
	require.NoError(t, err)
	require.Equal(t, []int{files, 0}, []int{ok, failed})
}

func jfrogMove(t *testing.T, m jfrog.ArtifactoryServicesManager, from, to string) {
	t.Helper()
	p := services.NewMoveCopyParams()
	p.Pattern, p.Target, p.Flat = from, to, true
	ok, failed, err := m.Move(p)
	require.NoError(t, err)
	require.Equal(t, []int{1, 0}, []int{ok, failed})
}
