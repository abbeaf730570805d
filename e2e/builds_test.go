package e2e

import (
	"fmt"
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
)

// buildFollowed is the signing policy of a release repository that builds are promoted into by Artifactory itself.
const buildFollowed = `---
kind: SigningPolicy
name: release-builds
owner: release-managers
match:
  repositories: [` + sandbox.Release + `]
  events: [build/promoted]
sign:
  - {key: ` + sandbox.Key + `, formats: [sigstore, raw]}
`

// virtualRelease shows what is released, and takes what is promoted to it.
const virtualRelease = "libs-virtual"

// buildHouse lets CI publish and promote builds, and Hallmark's signing token read them and write what it signs.
func buildHouse(q standin.Quirks) func(*standin.Config) {
	return func(c *standin.Config) {
		publishers(c)
		c.Quirks = q
		c.Repositories = append(c.Repositories, standin.Repository{Key: virtualRelease, Class: standin.Virtual, Members: []string{sandbox.Release}, DeployTo: sandbox.Release})
		for i := range c.Tokens {
			switch c.Tokens[i].User {
			case "hallmark":
				c.Tokens[i].Rights[sandbox.Release], c.Tokens[i].Rights["artifactory-build-info"], c.Tokens[i].Rights[virtualRelease] = "rwa", "r", "r"
			case sandbox.Developer:
				c.Tokens[i].Rights[sandbox.Release], c.Tokens[i].Rights[virtualRelease] = "rwa", "rw"
			}
		}
	}
}

// stage uploads files with the properties of build app/7 by JFrog's client and publishes their build-info.
func stage(t *testing.T, m jfrog.ArtifactoryServicesManager, contents map[string][]byte) {
	t.Helper()
	for path, content := range contents {
		file := filepath.Join(t.TempDir(), filepath.Base(path))
		require.NoError(t, os.WriteFile(file, content, 0o600))
		jfrogUpload(t, m, file, sandbox.Staging+"/"+filepath.Dir(path)+"/", "team=core", 1)
	}
	publishBuild(t, m, contents)
}

// buildRecord is the place of the build's record.
func buildRecord(t *testing.T, s *sandbox.Sandbox) string {
	t.Helper()
	paths := s.Artifactory.Paths("artifactory-build-info")
	require.Len(t, paths, 1)
	return "artifactory-build-info/" + paths[0]
}

// Artifactory promotes a build by its own API, asked by JFrog's client: whatever the server does on the way, every
// artifact ends in the release repository with what its policy demands, and stock verifiers accept it. Signatures that
// the release key made before are not made again.
func TestBuildPromotedByArtifactory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks  standin.Quirks
		move    bool
		target  string
		missing int // copies that the server leaves behind
	}{
		"copy":                        {target: sandbox.Release},
		"move":                        {target: sandbox.Release, move: true},
		"only the build is announced": {target: sandbox.Release, quirks: standin.Quirks{PromotionEvents: "promoted"}},
		"moved and nothing else said": {target: sandbox.Release, move: true, quirks: standin.Quirks{PromotionEvents: "promoted"}},
		"properties stay behind":      {target: sandbox.Release, quirks: standin.Quirks{PromotionEvents: "promoted", Copied: "drop"}},
		"one copy of equal content":   {target: sandbox.Release, quirks: standin.Quirks{PromotionEvents: "promoted", SameContent: "one"}, missing: 1},
		"into a virtual repository":   {target: virtualRelease, quirks: standin.Quirks{PromotionEvents: "promoted"}},
		"moved into a virtual one":    {target: virtualRelease, move: true, quirks: standin.Quirks{PromotionEvents: "all", Copied: "drop"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{Trust: true, Standin: buildHouse(c.quirks), Policies: buildFollowed})
			m := jfrogClient(t, s)
			contents := map[string][]byte{
				"app/7/app.tgz": []byte("the app"), "app/7/lib/lib one+two #3.tgz": []byte("a library"), "other/same.tgz": []byte("the app"), "other/plain.tgz": []byte("signed nowhere yet"),
			}
			stage(t, m, contents)
			awaitSigned(t, s, "app/7/app.tgz", "app/7/lib/lib one+two #3.tgz")
			p := services.NewPromotionParams()
			p.BuildName, p.BuildNumber, p.TargetRepo, p.Status, p.Copy = "app", "7", c.target, "released", !c.move
			require.NoError(t, m.PromoteBuild(p))

			arrived := s.Artifactory.Paths(sandbox.Release)
			require.Len(t, arrived, len(contents)-c.missing)
			for _, path := range arrived {
				eventually(t, func() string { return path + " is signed in the release repository\n" + serviceLog(t, s) }, func() bool {
					f, _ := s.Artifactory.File(sandbox.Release, path)
					return strings.Join(f.Properties["hallmark.policy"], "") == "release-builds"
				})
				verified(t, s, path, contents[path])
			}
			require.InDelta(t, 3, signaturesMade(t, s), 0, "one for each content: two in staging, and the one that no policy signed there")

			var status api.Status
			hallmarkJSON(t, s, 0, &status, "status", buildRecord(t, s))
			require.Equal(t, "expanded", status.Current.State)
			require.Equal(t, len(arrived), status.Current.Parts)
			require.Empty(t, status.Current.Reasons)
			require.Contains(t, hallmark(t, s, "status", buildRecord(t, s)).out, fmt.Sprintf("parts     %d", len(arrived)))
			r := hallmark(t, s, "gate", "check", buildRecord(t, s), "--target", sandbox.Release)
			require.Equal(t, 1, r.code, r.out+r.err)
			require.Contains(t, r.out, "only-parts")
		})
	}
}

// verified has cosign and openssl judge a file of the release repository.
func verified(t *testing.T, s *sandbox.Sandbox, path string, content []byte) {
	t.Helper()
	dir, name := t.TempDir(), filepath.Base(path)
	for _, suffix := range []string{"", ".sigstore.json", ".sig"} {
		got, err := s.Artifactory.Content(sandbox.Release, path+suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+suffix), got, 0o600))
	}
	got, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	require.Equal(t, content, got)
	vouched(t, exported(t, s), dir, name, "-sha256", true)
}
