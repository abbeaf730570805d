package e2e

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jfrog "github.com/jfrog/jfrog-client-go/artifactory"
	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// followed is the signing policy that a release repository needs when people copy and move into it themselves.
const followed = `---
kind: SigningPolicy
name: release-copies
owner: release-managers
match:
  repositories: [` + sandbox.Release + `]
  events: [artifact/copied, artifact/moved]
sign:
  - {key: ` + sandbox.Key + `, formats: [sigstore, raw]}
`

// openRelease lets people copy into the release repository and Hallmark's signing token write there.
func openRelease(c *standin.Config) {
	for i := range c.Tokens {
		if c.Tokens[i].Rights != nil && c.Tokens[i].User != sandbox.Promoter {
			c.Tokens[i].Rights[sandbox.Release] = "rwa"
		}
	}
}

// staged uploads a random file with JFrog's client and returns its content when it is signed.
func staged(t *testing.T, s *sandbox.Sandbox, m jfrog.ArtifactoryServicesManager, path string) []byte {
	t.Helper()
	content := make([]byte, 50_000)
	_, _ = rand.Read(content)
	file := filepath.Join(t.TempDir(), filepath.Base(path))
	require.NoError(t, os.WriteFile(file, content, 0o600))
	jfrogUpload(t, m, file, sandbox.Staging+"/"+filepath.Dir(path)+"/", "team=core", 1)
	awaitSigned(t, s, path)
	return content
}

// released fetches a file and its signature files from the release repository with JFrog's client, and has cosign and
// openssl judge them.
func released(t *testing.T, s *sandbox.Sandbox, path string, content []byte) {
	t.Helper()
	require.NoError(t, s.Artifactory.AddToken(standin.Token{Value: sandbox.Developer, User: sandbox.Developer,
		Rights: map[string]string{sandbox.Staging: "rwda", sandbox.Release: "rw"}}))
	m, back, name := jfrogClient(t, s), t.TempDir(), filepath.Base(path)
	jfrogDownload(t, m, sandbox.Release+"/"+path+"*", back, 3)
	got, err := os.ReadFile(filepath.Join(back, name))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	vouched(t, exported(t, s), back, name, "-sha256", true)
	f, _ := s.Artifactory.File(sandbox.Release, path)
	require.Equal(t, []string{"core"}, f.Properties["team"])
	require.Equal(t, []string{"signed"}, f.Properties["hallmark.state"])
	require.Equal(t, []string{f.SHA256}, f.Properties["hallmark.sha256"])
}

// hallmark promote, from JFrog's upload to cosign's yes on the file in the release repository.
func TestPromote(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]bool{"copy": false, "move": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachDatabase(t, func(t *testing.T, c sandbox.Config) {
				c.Trust, c.TrustLevel = true, 3
				s := start(t, c)
				m := jfrogClient(t, s)
				one, two := "app/1.4.2/app.tgz", "app/1.4.2/lib/lib one.tgz"
				contents := map[string][]byte{one: staged(t, s, m, one), two: staged(t, s, m, two)}
				spent := signaturesMade(t, s)
				args := []string{"promote", sandbox.Staging + "/app/1.4.2/", "--target", sandbox.Release}
				if move {
					args = append(args, "--move")
				}
				r := hallmark(t, s, args...)
				require.Equal(t, 0, r.code, r.out+r.err)
				require.Contains(t, r.out, "ALLOWED")
				require.Regexp(t, `allowed +`+sandbox.Staging+`/app/1.4.2/app.tgz +app.tgz.sigstore.json, app.tgz.sig`, r.out)
				require.Empty(t, s.Artifactory.Paths(sandbox.Release))

				var report promotion.Report
				hallmarkJSON(t, s, 0, &report, append(args, "--confirm")...)
				require.Equal(t, promotion.StateDone, report.State)
				for path, content := range contents {
					released(t, s, path, content)
				}
				require.Equal(t, spent, signaturesMade(t, s), "nothing new was signed")
				left := 6
				if move {
					left = 0
				}
				require.Len(t, s.Artifactory.Paths(sandbox.Staging), left)

				var record api.Promotion
				hallmarkJSON(t, s, 0, &record, "promote", "show", "1")
				require.Equal(t, []string{"done", "sandbox", "done", "done"}, []string{record.State, record.Caller, record.Items[0].State, record.Items[1].State})
				require.Contains(t, hallmark(t, s, "promote", "show", "1").out, "DONE  promotion 1 into "+sandbox.Release)
			})
		})
	}
}

// Refused: exit status 1 and nothing is touched. Half way: exit status 2, what stands where, and the same command
// completes it, also when the service was killed meanwhile.
func TestPromoteRefusedAndHalfWay(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Trust: true})
	m := jfrogClient(t, s)
	content := staged(t, s, m, "app/a.tgz")
	upload(t, s, "other/unsigned.txt", "x")
	r := hallmark(t, s, "promote", sandbox.Staging+"/app/", sandbox.Staging+"/other/", "--target", sandbox.Release, "--confirm")
	require.Equal(t, 1, r.code, r.out+r.err)
	require.Contains(t, r.out, "REFUSED")
	require.Contains(t, r.out, "signature-missing")
	require.Empty(t, s.Artifactory.Paths(sandbox.Release))
	r = hallmark(t, s, "promote", sandbox.Staging+"/app/", "--target", "nowhere-local", "--confirm")
	require.Equal(t, 1, r.code, r.out+r.err)
	require.Contains(t, r.out, "no-gate-policy")
	r = hallmark(t, s, "promote", sandbox.Staging, "--target", sandbox.Release)
	require.Equal(t, 1, r.code, r.out+r.err)
	require.Contains(t, r.out, "path-refused")

	disarm := s.Artifactory.Fail(standin.Fault{Method: http.MethodDelete, Path: "/artifactory/" + sandbox.Staging + "/app/a.tgz.sig", Status: 500, Times: -1})
	args := []string{"promote", sandbox.Staging + "/app/a.tgz", "--target", sandbox.Release, "--move", "--confirm"}
	r = hallmark(t, s, args...)
	require.Equal(t, 2, r.code, r.out+r.err)
	require.Contains(t, r.out, "INCOMPLETE")
	require.Contains(t, r.out, "copied")
	require.Contains(t, r.out, "store-unavailable")
	require.Positive(t, disarm())
	_, here := s.Artifactory.File(sandbox.Staging, "app/a.tgz")
	require.False(t, here)

	require.NoError(t, s.Kill())
	require.NoError(t, s.Serve(t.Context()))
	r = hallmark(t, s, args...)
	require.Equal(t, 0, r.code, r.out+r.err)
	require.Contains(t, r.out, "PROMOTED")
	require.Equal(t, []string{"other/unsigned.txt"}, s.Artifactory.Paths(sandbox.Staging))
	released(t, s, "app/a.tgz", content)
}

// Killed between two copies: the record stays, and the next run completes it.
func TestPromoteKilledHalfWay(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Trust: true})
	m := jfrogClient(t, s)
	contents := map[string][]byte{}
	for _, path := range []string{"app/a.tgz", "app/b.tgz"} {
		contents[path] = staged(t, s, m, path)
	}
	reached, freed := make(chan struct{}), make(chan struct{})
	s.Artifactory.Fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/**/b.tgz", When: standin.After, Do: func(*http.Request) {
		close(reached)
		<-freed
	}})
	args := []string{"promote", sandbox.Staging + "/app/", "--target", sandbox.Release, "--move", "--confirm"}
	told := make(chan result, 1)
	go func() { told <- hallmark(t, s, args...) }()
	<-reached
	require.NoError(t, s.Kill())
	close(freed)
	r := <-told
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "the same command")
	require.NoError(t, s.Serve(t.Context()))
	var record api.Promotion
	hallmarkJSON(t, s, 0, &record, "promote", "show", "1")
	require.Equal(t, "running", record.State)
	r = hallmark(t, s, args...)
	require.Equal(t, 0, r.code, r.out+r.err)
	for path, content := range contents {
		released(t, s, path, content)
	}
	require.Empty(t, s.Artifactory.Paths(sandbox.Staging))
}

// A plain copy or move by somebody else: the signature files follow by the target's own signing policy, and the HSM is
// not used again.
func TestPlainCopyAndMoveFollow(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"copy", "move"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{Trust: true, Standin: openRelease, Policies: followed})
			m := jfrogClient(t, s)
			path := "app/1.4.2/app.tgz"
			content := staged(t, s, m, path)
			spent := signaturesMade(t, s)
			p := services.NewMoveCopyParams()
			p.Pattern, p.Target, p.Flat = sandbox.Staging+"/"+path, sandbox.Release+"/app/1.4.2/", true
			do := m.Copy
			if kind == "move" {
				do = m.Move
			}
			ok, failed, err := do(p)
			require.NoError(t, err)
			require.Equal(t, []int{1, 0}, []int{ok, failed})
			eventually(t, func() string { return "signed in the release repository\n" + serviceLog(t, s) }, func() bool {
				f, _ := s.Artifactory.File(sandbox.Release, path)
				return strings.Join(f.Properties["hallmark.policy"], "") == "release-copies"
			})
			released(t, s, path, content)
			require.Equal(t, spent, signaturesMade(t, s), "same bytes, same key: one signature")
		})
	}
}

// signaturesMade is how often the HSM has signed for an artifact since the service started.
func signaturesMade(t *testing.T, s *sandbox.Sandbox) float64 {
	t.Helper()
	return scrape(t, s).value("hallmark_hsm_sign_seconds", "key", sandbox.Key)
}

// doctor checks the second identity, too.
func TestDoctorChecksThePromotionToken(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	name := "artifactory main: promotes into " + sandbox.Release
	examine := func(code int) (found hsm.Check) {
		var checks []hsm.Check
		hallmarkJSON(t, s, code, &checks, "doctor")
		for _, c := range checks {
			if c.Name == name || (c.Name == "artifactory main: promotion token accepted" && !c.OK) {
				found = c
			}
		}
		return found
	}
	require.Equal(t, hsm.Check{Name: name, OK: true, Detail: "read yes, annotate yes, deploy yes, delete unknown"}, examine(0))
	token := standin.Token{Value: s.Secret("promotion"), User: sandbox.Promoter, Rights: map[string]string{sandbox.Release: "r"}}
	require.NoError(t, s.Artifactory.AddToken(token))
	bad := examine(1)
	require.Contains(t, bad.Detail, "deploy no")
	require.Contains(t, bad.Fix, sandbox.Release)
	s.Artifactory.RemoveToken(token.Value)
	require.Contains(t, examine(1).Fix, "secrets/promotion")
}
