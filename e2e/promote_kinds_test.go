package e2e

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	buildinfo "github.com/jfrog/build-info-go/entities"
	jfrog "github.com/jfrog/jfrog-client-go/artifactory"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// publishers lets developers publish builds.
func publishers(c *standin.Config) {
	for i := range c.Tokens {
		if c.Tokens[i].User == sandbox.Developer {
			c.Tokens[i].Rights["artifactory-build-info"] = "rw"
		}
	}
}

// publishBuild publishes build app/7 of uploaded files with JFrog's client.
func publishBuild(t *testing.T, m jfrog.ArtifactoryServicesManager, contents map[string][]byte) {
	t.Helper()
	info := &buildinfo.BuildInfo{
		Name: "app", Number: "7", Started: time.Now().Format(buildinfo.TimeFormat),
		Agent: &buildinfo.Agent{Name: "ci", Version: "1"}, BuildAgent: &buildinfo.Agent{Name: "GENERIC"},
	}
	module := buildinfo.Module{Id: "app:7"}
	for path, content := range contents {
		s1, s256 := sha1.Sum(content), sha256.Sum256(content)
		module.Artifacts = append(module.Artifacts, buildinfo.Artifact{
			Name: filepath.Base(path), Checksum: buildinfo.Checksum{Sha1: hex.EncodeToString(s1[:]), Sha256: hex.EncodeToString(s256[:])},
		})
	}
	info.Modules = append(info.Modules, module)
	_, err := m.PublishBuildInfo(info, "")
	require.NoError(t, err)
}

// buildHistory is what Artifactory says of build app/7.
func buildHistory(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Artifactory.URL()+"/artifactory/api/build/app/7", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+s.Secret("admin"))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return strings.ReplaceAll(string(body), `": "`, `":"`)
}

// hallmark promote --build, from JFrog's upload and build-info to cosign's yes on the files in the release repository.
func TestPromoteBuild(t *testing.T) {
	t.Parallel()
	for name, move := range map[string]bool{"copy": false, "move": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{Trust: true, Standin: publishers})
			m := jfrogClient(t, s)
			contents := map[string][]byte{}
			for _, path := range []string{"app/7/app.tgz", "app/7/lib/lib one.tgz"} {
				contents[path] = staged(t, s, m, path)
			}
			publishBuild(t, m, contents)
			spent := signaturesMade(t, s)
			args := []string{"promote", "--build", "app/7", "--target", sandbox.Release, "--status", "shipped"}
			if move {
				args = append(args, "--move")
			}
			r := hallmark(t, s, args...)
			require.Equal(t, 0, r.code, r.out+r.err)
			require.Regexp(t, `(?s)ALLOWED.*build +app/7\n.*app/7/app.tgz`, r.out)
			require.Empty(t, s.Artifactory.Paths(sandbox.Release))

			var report promotion.Report
			hallmarkJSON(t, s, 0, &report, append(args, "--confirm")...)
			require.Equal(t, []any{promotion.StateDone, promotion.KindBuild, "app/7"}, []any{report.State, report.Kind, report.Name})
			for path, content := range contents {
				released(t, s, path, content)
			}
			require.Equal(t, spent, signaturesMade(t, s), "nothing new was signed")
			require.Contains(t, buildHistory(t, s), `"status":"shipped"`)
			var record api.Promotion
			hallmarkJSON(t, s, 0, &record, "promote", "show", "1")
			require.Equal(t, []string{"done", "build", "app/7"}, []string{record.State, record.Kind, record.Name})
			require.Regexp(t, `build +app/7`, hallmark(t, s, "promote", "show", "1").out)
			if move {
				require.Empty(t, s.Artifactory.Paths(sandbox.Staging))
			}
		})
	}
}

// A file that somebody slipped into a build keeps all of it out: exit status 1, and the reason says which file.
func TestPromoteBuildRefused(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Standin: publishers})
	m := jfrogClient(t, s)
	good := staged(t, s, m, "app/good.tgz")
	staged(t, s, m, "app/slipped.tgz")
	publishBuild(t, m, map[string][]byte{"app/good.tgz": good})
	r := hallmark(t, s, "promote", "--build", "app/7", "--target", sandbox.Release, "--confirm")
	require.Equal(t, 1, r.code, r.out+r.err)
	require.Contains(t, r.out, "build-foreign")
	require.Contains(t, r.out, "app/slipped.tgz")
	require.Empty(t, s.Artifactory.Paths(sandbox.Release))
	r = hallmark(t, s, "promote", "--build", "app/8", "--target", sandbox.Release)
	require.Equal(t, 1, r.code)
	for _, words := range []string{"REFUSED", "there is no such build", "found ", "expected ", "fix ", "who "} {
		require.Contains(t, r.out, words)
	}
	for _, wrong := range [][]string{
		{"--build", "app"}, {"--build", "app/7", "some/path"}, {"--project", "fw", "some/path"}, {},
	} {
		r = hallmark(t, s, append([]string{"promote", "--target", sandbox.Release}, wrong...)...)
		require.Equal(t, 2, r.code, "%v: %s", wrong, r.out+r.err)
	}
}

// imagePolicies sign images in staging and guard the repository of released ones.
const imagePolicies = `---
kind: SigningPolicy
name: images
owner: release-managers
match: {repositories: [` + artifactorytest.OCIStaging + `]}
sign:
  - {key: ` + sandbox.Key + `, formats: [cosign]}
---
kind: GatePolicy
name: oci-release
owner: release-managers
target: {repositories: [` + artifactorytest.OCIRelease + `]}
require:
  signatures:
    - {lane: release, count: 1}
  trustLevel: 3
`

// harbour adds repositories of images.
func harbour(c *standin.Config) {
	c.Repositories = append(c.Repositories, standin.Repository{Key: artifactorytest.OCIStaging, PackageType: "docker"}, standin.Repository{Key: artifactorytest.OCIRelease, PackageType: "docker"})
	for i, token := range c.Tokens {
		switch {
		case token.Rights == nil:
		case token.User == sandbox.Promoter:
			c.Tokens[i].Rights[artifactorytest.OCIStaging], c.Tokens[i].Rights[artifactorytest.OCIRelease] = "rd", "rwda"
		case token.User == "hallmark":
			c.Tokens[i].Rights[artifactorytest.OCIStaging], c.Tokens[i].Rights[artifactorytest.OCIRelease] = "rwa", "r"
		default:
			c.Tokens[i].Rights[artifactorytest.OCIStaging], c.Tokens[i].Rights[artifactorytest.OCIRelease] = "rwda", "r"
		}
	}
}

// cosigned has cosign judge an image in a repository.
func cosigned(t *testing.T, s *sandbox.Sandbox, image string) error {
	t.Helper()
	// Registries on the loopback address are plain HTTP to cosign; what it stores for itself stays in the test.
	dir := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte(sandbox.Developer + ":" + sandbox.Developer))
	host, _, _ := strings.Cut(image, "/")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"auths":{"`+host+`":{"auth":"`+auth+`"}}}`), 0o600))
	cmd := exec.CommandContext(t.Context(), tooltest.Cosign(t), append(append([]string{"verify"}, named(exported(t, s))...), "--allow-http-registry", image)...)
	cmd.Env = append(os.Environ(), "HOME="+dir, "DOCKER_CONFIG="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// hallmark promote --image, from a push to cosign's yes on what the release repository serves: an index and an image.
func TestPromoteImage(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Trust: true, Standin: harbour, Policies: imagePolicies})
	r := artifactorytest.NewRegistry(t, s.Artifactory, artifactorytest.OCIStaging, sandbox.Developer)
	ship := artifactorytest.NewRegistry(t, s.Artifactory, artifactorytest.OCIRelease, sandbox.Developer)
	idx, parts := r.NewIndex("linux/amd64", "linux/arm64")
	r.Push("team/app", ":1.0", idx)
	img := r.Push("team/app", ":2.0-rc1", r.New("linux/amd64"))
	for tag, file := range map[string]string{"1.0": "list.manifest.json", "2.0-rc1": "manifest.json"} {
		name := artifactorytest.OCIStaging + "/team/app:" + tag
		eventually(t, func() string { return name + " is signed\n" + serviceLog(t, s) }, func() bool {
			f, _ := s.Artifactory.File(artifactorytest.OCIStaging, "team/app/"+tag+"/"+file)
			return strings.Join(f.Properties["hallmark.state"], "") == "signed"
		})
	}
	spent := signaturesMade(t, s)
	for image, c := range map[string]struct {
		args []string
		want []string // names in the release repository
	}{
		":1.0":                   {nil, []string{":1.0", "@" + idx.Digest, "@" + parts[0].Digest, "@" + parts[1].Digest}},
		":2.0-rc1@" + img.Digest: {[]string{"--target-tag", "2.0", "--move"}, []string{":2.0", "@" + img.Digest}},
	} {
		args := append([]string{"promote", "--image", artifactorytest.OCIStaging + "/team/app" + image, "--target", artifactorytest.OCIRelease}, c.args...)
		got := hallmark(t, s, args...)
		require.Equal(t, 0, got.code, got.out+got.err)
		require.Contains(t, got.out, "ALLOWED")
		require.Error(t, cosigned(t, s, ship.Name("team/app", c.want[0])), "nothing is there yet")
		var report promotion.Report
		hallmarkJSON(t, s, 0, &report, append(args, "--confirm")...)
		require.Equal(t, []any{promotion.StateDone, promotion.KindImage}, []any{report.State, report.Kind})
		for _, name := range c.want {
			require.NoError(t, cosigned(t, s, ship.Name("team/app", name)))
		}
	}
	require.Equal(t, spent, signaturesMade(t, s), "nothing new was signed")
	_, there := s.Artifactory.File(artifactorytest.OCIStaging, "team/app/2.0-rc1/manifest.json")
	require.False(t, there, "moved")
	require.Regexp(t, `image +`+artifactorytest.OCIStaging+`/team/app`, hallmark(t, s, "promote", "show", "1").out)

	r.Push("team/app", ":evil", r.New("linux/amd64"))
	s.Artifactory.RemoveToken(s.Secret("artifactory")) // whatever the webhook says of it, it cannot be signed now
	got := hallmark(t, s, "promote", "--image", artifactorytest.OCIStaging+"/team/app:evil", "--target", artifactorytest.OCIRelease, "--confirm")
	require.NotEqual(t, 0, got.code, got.out+got.err)
	require.Error(t, cosigned(t, s, ship.Name("team/app", ":evil")))
}
