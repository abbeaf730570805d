package e2e

import (
	"strings"
	"testing"

	"github.com/jfrog/jfrog-client-go/artifactory/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/gate"
)

const (
	ociStaging = artifactorytest.OCIStaging
	ociRelease = artifactorytest.OCIRelease
	imageName  = "team/app"
)

const ociPolicies = `---
kind: SigningPolicy
name: images
owner: release-managers
match: {repositories: [` + ociStaging + `]}
sign:
  - {key: ` + sandbox.Key + `, formats: [cosign]}
---
kind: SigningPolicy
name: released-images
owner: release-managers
match: {repositories: [` + ociRelease + `]}
sign:
  - {key: ` + sandbox.Key + `, formats: [cosign]}
---
kind: GatePolicy
name: oci-release
owner: release-managers
target: {repositories: [` + ociRelease + `]}
require:
  signatures:
    - {lane: release, count: 1}
  trustLevel: 3
`

// imageWorld has a staging and a release repository of images.
func imageWorld(t *testing.T, quirks standin.Quirks, c sandbox.Config) (*sandbox.Sandbox, artifactorytest.Registry) {
	t.Helper()
	c.Policies, c.Trust = ociPolicies, true
	c.Standin = func(s *standin.Config) {
		s.Quirks = quirks
		s.Repositories = append(s.Repositories, standin.Repository{Key: ociStaging, PackageType: "docker"}, standin.Repository{Key: ociRelease, PackageType: "docker"})
		for i := range s.Tokens {
			if rights := s.Tokens[i].Rights; rights != nil {
				rights[ociStaging], rights[ociRelease] = "rwda", "rwda"
				if s.Tokens[i].User == "hallmark" {
					rights[ociStaging], rights[ociRelease] = "rwa", "rwa"
				}
			}
		}
	}
	s := start(t, c)
	return s, artifactorytest.NewRegistry(t, s.Artifactory, ociStaging, sandbox.Developer)
}

// awaitImage waits until a manifest's properties say that its own policy has it signed.
func awaitImage(t *testing.T, s *sandbox.Sandbox, repo, path, policy string) {
	t.Helper()
	eventually(t, func() string { return repo + "/" + path + " is signed\n" + serviceLog(t, s) }, func() bool {
		f, _ := s.Artifactory.File(repo, path)
		return strings.Join(f.Properties["hallmark.state"], "") == "signed" && strings.Join(f.Properties["hallmark.policy"], "") == policy
	})
}

// accepts has stock cosign judge an image.
func accepts(t *testing.T, s *sandbox.Sandbox, repo, reference string) (string, error) {
	t.Helper()
	image := artifactorytest.NewRegistry(t, s.Artifactory, repo, sandbox.Developer).Name(imageName, reference)
	args := append([]string{"verify", "--allow-http-registry", "--registry-username", sandbox.Developer, "--registry-password", sandbox.Developer}, named(exported(t, s))...)
	return tooltest.Run(t, t.TempDir(), tooltest.Cosign(t), append(args, image)...)
}

func requireAccepted(t *testing.T, s *sandbox.Sandbox, repo string, references ...string) {
	t.Helper()
	for _, r := range references {
		out, err := accepts(t, s, repo, r)
		require.NoError(t, err, "%s%s: %s", repo, r, out)
		require.Contains(t, out, "code-signing certificate was verified using trusted certificate authority certificates")
	}
}

// atRest waits until every webhook is settled, what it led to is done, and nothing more follows.
func atRest(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	before := -1
	eventually(t, func() string { return "everything comes to rest" }, func() bool {
		require.NoError(t, s.Artifactory.WaitDelivered(t.Context()))
		m := scrape(t, s)
		now := s.Artifactory.CountRequests("", "")
		idle := m.value("hallmark_queue_depth") == 0 && now == before
		before = now
		return idle
	})
}

// From a push to stock cosign's yes on the image in the release repository, with Artifactory's own promotion between: the
// HSM is not used for what it has signed, however much of the signatures Artifactory takes along.
func TestAnImageFromPushToRelease(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quirks      standin.Quirks
		index, move bool
	}{
		"copied and referrers stay":                  {quirks: standin.Quirks{PromotedReferrers: "stay"}},
		"index moved and referrers follow":           {quirks: standin.Quirks{PromotedReferrers: "follow"}, index: true, move: true},
		"index copied and only promotions announced": {quirks: standin.Quirks{Referrers: "404", PromotionEvents: "promoted", ImageFiles: "silent"}, index: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, registry := imageWorld(t, c.quirks, sandbox.Config{})
			m, path, tags := registry.New("linux/amd64"), imageName+"/1.0/manifest.json", []string{":1.0"}
			if c.index {
				var children []artifactorytest.Manifest
				m, children = registry.NewIndex("linux/amd64", "linux/arm64")
				path = imageName + "/1.0/list.manifest.json"
				tags = append(tags, "@"+children[0].Digest, "@"+children[1].Digest)
			}
			tags = append(tags, "@"+m.Digest)
			registry.Push(imageName, ":1.0", m)
			awaitImage(t, s, ociStaging, path, "images")
			requireAccepted(t, s, ociStaging, tags...)

			for _, text := range []string{ociStaging + "/" + path, ociStaging + "/" + imageName + ":1.0", ociStaging + "/" + imageName + "@" + m.Digest} {
				var v gate.Verdict
				hallmarkJSON(t, s, 0, &v, "gate", "check", text, "--target", ociRelease)
				require.Equal(t, []string{ociStaging + "/" + path, m.SHA256()}, []string{v.Subject, v.SHA256.String()})
				require.Contains(t, hallmark(t, s, "status", ociStaging+"/"+imageName+":1.0").out, "SIGNED")
			}
			spent := signaturesMade(t, s)
			require.InDelta(t, len(tags)-1, spent, 0)
			p := services.NewDockerPromoteParams(imageName, ociStaging, ociRelease)
			p.SourceTag, p.Copy = "1.0", !c.move
			require.NoError(t, jfrogClient(t, s).PromoteDocker(p))
			awaitImage(t, s, ociRelease, path, "released-images")
			requireAccepted(t, s, ociRelease, tags...)
			_, stays := s.Artifactory.File(ociStaging, path)
			require.Equal(t, !c.move, stays)
			atRest(t, s)
			require.InDelta(t, spent, signaturesMade(t, s), 0, "same manifest, same key: one signature")
		})
	}
}

// Everything that Hallmark pushes is announced to it in turn, in both domains. It comes to rest, and each manifest is
// signed once.
func TestAStormAboutOurOwnPushes(t *testing.T) {
	t.Parallel()
	for name, quirks := range map[string]standin.Quirks{"all announced": {}, "tags": {Referrers: "404"}, "silent": {DigestPushes: "silent", ImageFiles: "silent"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, registry := imageWorld(t, quirks, sandbox.Config{})
			s.Artifactory.Distort(standin.Distortion{Duplicates: 1})
			index, children := registry.NewIndex("linux/amd64", "linux/arm64")
			registry.Push(imageName, ":1.0", index)
			awaitImage(t, s, ociStaging, imageName+"/1.0/list.manifest.json", "images")
			atRest(t, s)
			require.InDelta(t, 3, signaturesMade(t, s), 0, "the index and its two manifests")
			requireAccepted(t, s, ociStaging, ":1.0")
			for _, c := range children {
				requireAccepted(t, s, ociStaging, "@"+c.Digest)
			}
			require.Less(t, s.Artifactory.CountRequests("", ""), 1000)
			manifests := 0
			for _, p := range s.Artifactory.Paths(ociStaging) {
				if strings.HasSuffix(p, "manifest.json") {
					manifests++
				}
			}
			require.LessOrEqual(t, manifests, 9, "three manifests, three signatures, and their lists where there is no API")
		})
	}
}

// Every webhook is lost; the sweep signs what was pushed.
func TestEveryWebhookAboutImagesLost(t *testing.T) {
	t.Parallel()
	s, registry := imageWorld(t, standin.Quirks{}, sandbox.Config{Sweep: eager})
	s.Artifactory.Distort(standin.Distortion{Drop: func(standin.Event) bool { return true }})
	single := registry.New("linux/amd64")
	registry.Push(imageName, ":1.0", single)
	index, children := registry.NewIndex("linux/amd64", "linux/arm64")
	registry.Push(imageName, ":2.0", index)
	awaitImage(t, s, ociStaging, imageName+"/1.0/manifest.json", "images")
	awaitImage(t, s, ociStaging, imageName+"/2.0/list.manifest.json", "images")
	requireAccepted(t, s, ociStaging, ":1.0", ":2.0", "@"+children[0].Digest, "@"+children[1].Digest)
	require.InDelta(t, 4, signaturesMade(t, s), 0)
}
