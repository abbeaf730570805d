package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	jfrogauth "github.com/jfrog/jfrog-client-go/artifactory/auth"
	jfrogconfig "github.com/jfrog/jfrog-client-go/config"
	"github.com/jfrog/jfrog-client-go/lifecycle"
	"github.com/jfrog/jfrog-client-go/lifecycle/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// bundlePolicies sign release bundles, and what their promotion brings into the release repository.
const bundlePolicies = `---
kind: SigningPolicy
name: bundles
owner: release-managers
match:
  repositories: [release-bundles-v2, fw-release-bundles-v2]
  paths: ["*/*/release-bundle.json.evd"]
sign:
  - {key: ` + sandbox.Key + `, formats: [evidence]}
---
kind: SigningPolicy
name: release-copies
owner: release-managers
match:
  repositories: [` + sandbox.Release + `]
  events: [release_bundle_v2_promotion/release_bundle_v2_promotion_completed]
sign:
  - {key: ` + sandbox.Key + `, formats: [sigstore, raw]}
`

// production is the environment of the release repository.
const production = "PROD"

// bundleHouse lets CI make and promote release bundles, and Hallmark's signing token attach evidence to them.
func bundleHouse(q standin.Quirks) func(*standin.Config) {
	return func(c *standin.Config) {
		publishers(c)
		c.Quirks, c.Environments = q, map[string][]string{production: {sandbox.Release}}
		for i := range c.Tokens {
			rights := map[string]string{"hallmark": "ra", sandbox.Developer: "rwd"}[c.Tokens[i].User]
			if rights != "" {
				c.Tokens[i].Rights["release-bundles-v2"], c.Tokens[i].Rights["fw-release-bundles-v2"], c.Tokens[i].Rights[sandbox.Release] = rights, rights, "rwa"
			}
		}
	}
}

// announceBundles has release bundles announced and uploads the trusted key, as the guides say. The sandbox has installed
// what needs no environment.
func announceBundles(t *testing.T, s *sandbox.Sandbox) {
	t.Helper()
	require.Equal(t, 1, hallmark(t, s, "webhook", "check").code, "promotions are not announced yet")
	r := hallmark(t, s, "webhook", "install", "--url", s.URL, "--environment", production)
	require.Equal(t, 0, r.code, r.out+r.err)
	require.Contains(t, r.out, "UNCHANGED  hallmark-main-release_bundle_v2\n")
	require.Contains(t, r.out, "CREATED  hallmark-main-release_bundle_v2_promotion\n")
	r = hallmark(t, s, "webhook", "check")
	require.Equal(t, 0, r.code, r.out+r.err)
	pub, err := os.ReadFile(s.Path("release.pub"))
	require.NoError(t, err)
	asAdmin(t, s, "/artifactory/api/security/keys/trusted", map[string]string{"alias": sandbox.Key, "key": string(pub)})
}

// asAdmin posts and returns the answer.
func asAdmin(t *testing.T, s *sandbox.Sandbox, target string, body any) string {
	t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Artifactory.URL()+target, bytes.NewReader(raw))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+s.Secret("admin"))
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Less(t, resp.StatusCode, 300, "%s", said)
	return string(said)
}

func jfrogBundles(t *testing.T, s *sandbox.Sandbox) *lifecycle.LifecycleServicesManager {
	t.Helper()
	details := jfrogauth.NewArtifactoryDetails()
	details.SetUrl(s.Artifactory.URL() + "/lifecycle/")
	details.SetAccessToken(sandbox.Developer)
	cfg, err := jfrogconfig.NewConfigBuilder().SetServiceDetails(details).SetHttpRetries(0).Build()
	require.NoError(t, err)
	m, err := lifecycle.New(cfg)
	require.NoError(t, err)
	return m
}

var gatewaySuite = services.ReleaseBundleDetails{ReleaseBundleName: "gateway-suite", ReleaseBundleVersion: "2026.8.1"}

const gatewayRecord = "gateway-suite/2026.8.1/release-bundle.json.evd"

func bundleArtifacts(paths ...string) services.CreateFromArtifacts {
	var out services.CreateFromArtifacts
	for _, p := range paths {
		out.Artifacts = append(out.Artifacts, services.ArtifactSource{Path: sandbox.Staging + "/" + p})
	}
	return out
}

// awaitOutcome waits until the service says this of an artifact.
func awaitOutcome(t *testing.T, s *sandbox.Sandbox, artifact, want string) (status api.Status) {
	t.Helper()
	eventually(t, func() string { return artifact + " is " + want + "\n" + serviceLog(t, s) }, func() bool {
		r := hallmark(t, s, "status", artifact, "-o", "json")
		if r.code != 0 {
			return false
		}
		status = api.Status{}
		require.NoError(t, json.Unmarshal([]byte(r.out), &status))
		return status.Current != nil && status.Current.State == want && !status.Pending
	})
	return status
}

// attested checks the bundle's evidence: one piece, verified by Artifactory and by what docs/verify.md prints, and refused
// for other bytes.
func attested(t *testing.T, s *sandbox.Sandbox, repo string) {
	t.Helper()
	query := `{ evidence { searchEvidence( where: { hasSubjectWith: { repositoryKey: "` + repo + `", path: "gateway-suite/2026.8.1", name: "release-bundle.json.evd" }} ) ` +
		`{ totalCount edges { cursor node { downloadPath predicateType verified signingKey { alias } } } } } }`
	said := asAdmin(t, s, "/onemodel/api/v1/graphql", map[string]string{"query": query})
	require.Equal(t, 1, strings.Count(said, "downloadPath"), said)
	require.Contains(t, said, `"verified":true`)
	require.Contains(t, said, `"alias":"`+sandbox.Key+`"`)
	at := regexp.MustCompile(`"downloadPath":"` + repo + `/([^"]+)"`).FindStringSubmatch(said)
	require.NotNil(t, at, said)

	dir := t.TempDir()
	for name, path := range map[string]string{"evidence.json": at[1], "release-bundle.json.evd": gatewayRecord} {
		content, err := s.Artifactory.Content(repo, path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	pub, err := os.ReadFile(s.Path("release.pub"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "release.pub"), pub, 0o600))
	page, err := os.ReadFile(filepath.Join(tooltest.RepoRoot(t), "docs", "verify.md"))
	require.NoError(t, err)
	script := regexp.MustCompile("(?s)```sh\n(sed 's/[^`]*payload.pae[^`]*)```").FindStringSubmatch(string(page))
	require.NotNil(t, script)
	judge := func() (string, error) {
		return tooltest.Run(t, dir, "sh", "-c", "set -e; PATH='"+filepath.Dir(tooltest.OpenSSL(t))+"':\"$PATH\"\n"+script[1])
	}
	out, err := judge()
	require.NoError(t, err, out)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "release-bundle.json.evd"), []byte("another bundle"), 0o600))
	out, err = judge()
	require.Error(t, err, out)
}

// A release bundle from upload to the last verifier: files are signed in staging, JFrog's client makes the bundle and
// promotes it, the bundle bears our evidence, and every artifact in the release repository its release signature.
func TestReleaseBundle(t *testing.T) {
	t.Parallel()
	build := services.CreateFromBuildsSource{Builds: []services.BuildSource{{BuildName: "app", BuildNumber: "7", BuildRepository: "artifactory-build-info"}}}
	contents := map[string][]byte{"app/7/app.tgz": []byte("the app"), "app/7/lib/lib one+two #3.tgz": []byte("a library"), "other/plain.tgz": []byte("signed nowhere yet")}
	paths := []string{"app/7/app.tgz", "app/7/lib/lib one+two #3.tgz", "other/plain.tgz"}
	along := slices.Concat(paths, []string{paths[0] + ".sig", paths[0] + ".sigstore.json", paths[1] + ".sig", paths[1] + ".sigstore.json"})
	for name, c := range map[string]struct {
		project string
		quirks  standin.Quirks
		move    bool
		create  func(m *lifecycle.LifecycleServicesManager, q services.CommonOptionalQueryParams) error
	}{
		"from a build": {create: func(m *lifecycle.LifecycleServicesManager, q services.CommonOptionalQueryParams) error {
			return m.CreateReleaseBundleFromBuilds(gatewaySuite, q, "", build)
		}},
		"of artifacts with their signatures": {
			quirks: standin.Quirks{PromotionEvents: "promoted", ServiceFiles: "silent"},
			create: func(m *lifecycle.LifecycleServicesManager, q services.CommonOptionalQueryParams) error {
				return m.CreateReleaseBundleFromArtifacts(gatewaySuite, q, "", bundleArtifacts(along...))
			},
		},
		"by AQL in a project and moved": {
			project: "fw", move: true, quirks: standin.Quirks{PromotionEvents: "promoted", Configurations: "closed", VerifiedType: "string"},
			create: func(m *lifecycle.LifecycleServicesManager, q services.CommonOptionalQueryParams) error {
				return m.CreateReleaseBundleFromAql(gatewaySuite, q, "", `items.find({"repo":"`+sandbox.Staging+`","name":{"$match":"*.tgz"}})`)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, sandbox.Config{Trust: true, Standin: bundleHouse(c.quirks), Policies: bundlePolicies})
			announceBundles(t, s)
			stage(t, jfrogClient(t, s), contents)
			awaitSigned(t, s, paths[:2]...)
			m, q := jfrogBundles(t, s), services.CommonOptionalQueryParams{ProjectKey: c.project}
			require.NoError(t, c.create(m, q))
			repo := strings.TrimPrefix(c.project+"-release-bundles-v2", "-")
			require.Equal(t, "bundles", awaitOutcome(t, s, repo+"/"+gatewayRecord, "signed").Current.Policy)
			if c.quirks.VerifiedType == "" {
				attested(t, s, repo)
			}
			require.InDelta(t, 3, signaturesMade(t, s), 0, "two files and the bundle")

			if c.move {
				q.PromotionType = "move"
			}
			_, err := m.PromoteReleaseBundle(gatewaySuite, q, "", services.RbPromotionParams{Environment: production})
			require.NoError(t, err)
			for _, path := range paths {
				require.Equal(t, "release-copies", awaitOutcome(t, s, sandbox.Release+"/"+path, "signed").Current.Policy)
				verified(t, s, path, contents[path])
			}
			eventually(t, func() string { return "the promotion is carried out\n" + serviceLog(t, s) }, func() bool {
				return slices.ContainsFunc(awaitOutcome(t, s, repo+"/"+gatewayRecord, "signed").History, func(o api.Outcome) bool { return o.Parts == len(paths) })
			})
			require.InDelta(t, 4, signaturesMade(t, s), 0, "only the file that no policy signed before")

			var verdict gate.Verdict
			hallmarkJSON(t, s, 1, &verdict, "gate", "check", repo+"/"+gatewayRecord, "--target", sandbox.Release)
			require.True(t, verdict.Decided)
			require.Equal(t, reason.BundleRefused, verdict.Reasons[0].Code, "one of its files was never signed where it came from")
			require.Equal(t, "evidence", verdict.Signatures[0].Format)
			r := hallmark(t, s, "gate", "check", repo+"/gateway-suite/2026.8.1/artifacts/generic/app/7/app.tgz", "--target", sandbox.Release)
			require.Equal(t, 1, r.code, r.out+r.err)
			require.Contains(t, r.out, "part-of-bundle")
		})
	}
}

// Deleted while Hallmark asks for its contents: the bundle is gone, and what it brought is signed by the next sweep.
func TestReleaseBundleDeletedHalfWay(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Trust: true, Standin: bundleHouse(standin.Quirks{PromotionEvents: "promoted"}), Policies: bundlePolicies})
	announceBundles(t, s)
	upload(t, s, "app/a.tgz", "a")
	awaitSigned(t, s, "app/a.tgz")
	m := jfrogBundles(t, s)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(gatewaySuite, services.CommonOptionalQueryParams{}, "", bundleArtifacts("app/a.tgz")))
	awaitOutcome(t, s, "release-bundles-v2/"+gatewayRecord, "signed")
	deleted := make(chan error, 1)
	s.Artifactory.Fail(standin.Fault{Method: http.MethodGet, Path: "/lifecycle/api/v2/release_bundle/records/**", Do: func(*http.Request) {
		deleted <- jfrogBundles(t, s).DeleteReleaseBundleVersion(gatewaySuite, services.CommonOptionalQueryParams{})
	}})
	_, err := m.PromoteReleaseBundle(gatewaySuite, services.CommonOptionalQueryParams{}, "", services.RbPromotionParams{Environment: production})
	require.NoError(t, err)
	require.NoError(t, <-deleted)
	awaitOutcome(t, s, "release-bundles-v2/"+gatewayRecord, "gone")
	r := hallmark(t, s, "sweep", "--repo", sandbox.Release, "--since", "1h")
	require.Equal(t, 0, r.code, r.out+r.err)
	awaitOutcome(t, s, sandbox.Release+"/app/a.tgz", "signed")
	verified(t, s, "app/a.tgz", []byte("a"))
}

// Hallmark may not write where the bundle went: that is said of the artifact, and holds the bundle up no more than a
// missing key. When the right is given it goes on by itself.
func TestReleaseBundleIntoAForbiddenTarget(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Trust: true, Standin: func(c *standin.Config) {
		bundleHouse(standin.Quirks{PromotionEvents: "promoted"})(c)
		c.Tokens[0].Rights[sandbox.Release] = "r"
	}, Policies: bundlePolicies})
	announceBundles(t, s)
	upload(t, s, "app/a.tgz", "a")
	awaitSigned(t, s, "app/a.tgz")
	m := jfrogBundles(t, s)
	require.NoError(t, m.CreateReleaseBundleFromArtifacts(gatewaySuite, services.CommonOptionalQueryParams{}, "", bundleArtifacts("app/a.tgz")))
	_, err := m.PromoteReleaseBundle(gatewaySuite, services.CommonOptionalQueryParams{}, "", services.RbPromotionParams{Environment: production})
	require.NoError(t, err)
	eventually(t, func() string { return "refused\n" + serviceLog(t, s) }, func() bool {
		return strings.Contains(hallmark(t, s, "status", sandbox.Release+"/app/a.tgz").out, "store-refused")
	})
	awaitOutcome(t, s, "release-bundles-v2/"+gatewayRecord, "signed")
	attested(t, s, "release-bundles-v2")
	require.NoError(t, s.Artifactory.AddToken(standin.Token{Value: s.Secret("artifactory"), User: "hallmark", Rights: map[string]string{
		sandbox.Staging: "rwa", sandbox.Release: "rwa", "release-bundles-v2": "ra",
	}}))
	awaitOutcome(t, s, sandbox.Release+"/app/a.tgz", "signed")
	verified(t, s, "app/a.tgz", []byte("a"))
	require.InDelta(t, 2, signaturesMade(t, s), 0)
}

// doctor asks for no right that nobody can have on what is frozen.
func TestDoctorKnowsReleaseBundles(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Standin: bundleHouse(standin.Quirks{}), Policies: bundlePolicies})
	upload(t, s, "app/a.tgz", "a")
	require.NoError(t, jfrogBundles(t, s).CreateReleaseBundleFromArtifacts(gatewaySuite, services.CommonOptionalQueryParams{}, "", bundleArtifacts("app/a.tgz")))
	r := hallmark(t, s, "doctor")
	require.Equal(t, 0, r.code, r.out+r.err)
	require.Contains(t, r.out, "release bundles; read yes")
	require.Contains(t, r.out, "Artifactory makes it with the first release bundle", "that of the project")
	require.NoError(t, s.Artifactory.AddToken(standin.Token{Value: s.Secret("artifactory"), User: "hallmark", Rights: map[string]string{sandbox.Staging: "rwa", sandbox.Release: "rwa"}}))
	r = hallmark(t, s, "doctor")
	require.Equal(t, 1, r.code, r.out+r.err)
	require.Contains(t, r.out, "grant the token's user read and annotate on release-bundles-v2")
}
