package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/e2e/tooltest"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// provenPolicies sign images for those who believe certificates and for those who pin keys, and some files with a bare key.
const provenPolicies = `---
kind: SigningPolicy
name: images
owner: release-managers
match: {repositories: [` + ociStaging + `]}
sign:
  - {key: ` + sandbox.Key + `, formats: [cosign, cosign-key]}
---
kind: SigningPolicy
name: bare
owner: release-managers
match: {repositories: [` + sandbox.Staging + `], paths: ["bare/**"]}
sign:
  - {key: ` + sandbox.Key + `, formats: [raw, sigstore-key]}
`

// fileFormats are all formats of files by the ends of their names.
var fileFormats = []string{".sigstore.json", ".sigstore-key.json", ".sig", ".vsa.json"}

const proven = "app/1.4.2/app.tgz"

// What the service signs is believed by strangers, passes a gate that demands the most, is carried to where it is released,
// accounted for, and distrusted when its key is.
func TestTrust(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{
		Trust: true, TrustLevel: 3, Standin: harbour, Policies: provenPolicies, Formats: []string{"sigstore", "sigstore-key", "raw", "vsa"},
	})
	upload(t, s, proven, "what was built")
	upload(t, s, "bare/app.tgz", "what was built elsewhere")
	awaitSigned(t, s, proven, "bare/app.tgz")
	root := published(t, s, "trusted_root.json")

	t.Run("files are believed offline", func(t *testing.T) { believedOffline(t, s, root) })
	t.Run("images are believed", func(t *testing.T) { imagesBelieved(t, s, root) })
	t.Run("the gate knows the levels", func(t *testing.T) {
		r := hallmark(t, s, "gate", "check", sandbox.Staging+"/bare/app.tgz", "--target", sandbox.Release)
		require.Equal(t, 1, r.code, r.out+r.err)
		require.Contains(t, r.out, "trust-level-low")
		r = hallmark(t, s, "gate", "check", sandbox.Staging+"/"+proven, "--target", sandbox.Release)
		require.Equal(t, 0, r.code, r.out+r.err)
		require.Contains(t, r.out, "trust level 3 as "+sandbox.Identity)
	})
	t.Run("all formats go along", func(t *testing.T) {
		var report promotion.Report
		hallmarkJSON(t, s, 0, &report, "promote", sandbox.Staging+"/"+proven, "--target", sandbox.Release, "--confirm")
		want := []string{proven}
		for _, end := range fileFormats {
			want = append(want, proven+end)
		}
		require.ElementsMatch(t, want, s.Artifactory.Paths(sandbox.Release))
	})
	t.Run("the log accounts for all", func(t *testing.T) {
		atRest(t, s)
		report := audited(t, s, rootOf(exported(t, s)), 0, "--repositories", strings.Join([]string{sandbox.Staging, sandbox.Release, ociStaging}, ","))
		require.Equal(t, []int{3, 0}, []int{report.Sealed, report.Open})
	})
	t.Run("a distrusted key counts no more", func(t *testing.T) { distrusted(t, s) })
}

// published is a file of /v1/trust/, which takes no token.
func published(t *testing.T, s *sandbox.Sandbox, name string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/v1/trust/"+name, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", content)
	return content
}

// desk is a directory with these files and nothing else.
func desk(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return dir
}

// believedOffline has stock cosign judge a file where there is no network, no home, and nothing on disk but the file, one
// bundle of it, and the trusted root, or the public key beside it.
func believedOffline(t *testing.T, s *sandbox.Sandbox, root []byte) {
	key := published(t, s, "keys/"+sandbox.Key+".pem")
	named := []string{"--certificate-identity", sandbox.Identity, "--certificate-oidc-issuer", sandbox.Issuer}
	for name, c := range map[string]struct {
		bundle string
		args   []string
		key    bool
	}{
		"by identity":    {".sigstore.json", append([]string{"verify-blob"}, named...), false},
		"by key":         {".sigstore-key.json", []string{"verify-blob", "--key", "release.pub"}, true},
		"of the summary": {".vsa.json", append([]string{"verify-blob-attestation", "--type", seal.SummaryPredicate}, named...), false},
	} {
		bundle, err := s.Artifactory.Content(sandbox.Staging, proven+c.bundle)
		require.NoError(t, err)
		files := map[string][]byte{"app.tgz": []byte("what was built"), "bundle.json": bundle, "trusted_root.json": root}
		if c.key {
			files["release.pub"] = key
		}
		args := append(slices.Clone(c.args), "--bundle", "bundle.json", "--trusted-root", "trusted_root.json", "app.tgz")
		require.NotContains(t, strings.Join(args, " "), "insecure")
		out, err := tooltest.Offline(t, desk(t, files), tooltest.Cosign(t), args...)
		require.NoError(t, err, "%s: %s", name, out)
		require.Contains(t, out, "Verified OK", name)

		files["app.tgz"] = []byte("what was not built")
		out, err = tooltest.Offline(t, desk(t, files), tooltest.Cosign(t), args...)
		require.Error(t, err, "%s: %s", name, out)
		require.NotContains(t, out, "Verified OK", name)
	}
}

// imagesBelieved has stock cosign judge an image in its registry, where loopback is all that it needs.
func imagesBelieved(t *testing.T, s *sandbox.Sandbox, root []byte) {
	registry := artifactorytest.NewRegistry(t, s.Artifactory, ociStaging, sandbox.Developer)
	registry.Push(imageName, ":1.0", registry.New("linux/amd64"))
	awaitImage(t, s, ociStaging, imageName+"/1.0/manifest.json", "images")
	dir := desk(t, map[string][]byte{"trusted_root.json": root, "release.pub": published(t, s, "keys/"+sandbox.Key+".pem")})
	verify := func(by ...string) (string, error) {
		args := append([]string{"verify", "--trusted-root", "trusted_root.json", "--allow-http-registry", "--registry-token", sandbox.Developer}, by...)
		return tooltest.Run(t, dir, tooltest.Cosign(t), append(args, registry.Name(imageName, ":1.0"))...)
	}
	for _, by := range [][]string{{"--certificate-identity", sandbox.Identity, "--certificate-oidc-issuer", sandbox.Issuer}, {"--key", "release.pub"}} {
		out, err := verify(by...)
		require.NoError(t, err, "%v: %s", by, out)
		require.Contains(t, out, "verified")
	}
	out, err := verify("--certificate-identity", sandbox.Issuer+"/keys/another", "--certificate-oidc-issuer", sandbox.Issuer)
	require.Error(t, err, out)
}

// distrusted: from the moment on which the key is distrusted the gate refuses what it signed, whoever has a new export of
// trust does so, too, and everything affected is listed with where it was promoted.
func distrusted(t *testing.T, s *sandbox.Sandbox) {
	dir, before := t.TempDir(), exported(t, s)
	for _, end := range append([]string{""}, fileFormats...) {
		content, err := s.Artifactory.Content(sandbox.Release, proven+end)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "app.tgz"+end), content, 0o600))
	}
	verify := func(trust string) (string, error) {
		return tooltest.Offline(t, dir, binary, "verify", "app.tgz", "--trust", trust, "--min-level", "3")
	}
	out, err := verify(before)
	require.NoError(t, err, out)

	var said struct {
		Distrust *api.Distrust      `json:"distrust"`
		Affected []api.AffectedItem `json:"affected"`
	}
	hallmarkJSON(t, s, 0, &said, "keys", "distrust", sandbox.Key, "--from", "1h", "--why", "stolen")
	f, _ := s.Artifactory.File(sandbox.Release, proven)
	i := slices.IndexFunc(said.Affected, func(a api.AffectedItem) bool { return a.SHA256.String() == f.SHA256 })
	require.GreaterOrEqual(t, i, 0, "%+v", said.Affected)
	require.Len(t, said.Affected, 3)
	require.Equal(t, sandbox.Staging+"/"+proven, said.Affected[i].Places[0].Artifact)
	require.Len(t, said.Affected[i].Promoted, 1)
	require.Equal(t, sandbox.Release+"/"+proven, said.Affected[i].Promoted[0].Target)

	r := hallmark(t, s, "gate", "check", sandbox.Staging+"/"+proven, "--target", sandbox.Release)
	require.Equal(t, 1, r.code, r.out+r.err)
	require.Contains(t, r.out, "key-distrusted")
	eventually(t, func() string { return "an export tells of it: " + out }, func() bool { // what is published may be some seconds old
		out, err = verify(exported(t, s))
		return err != nil
	})
	require.Contains(t, out, "key-distrusted")
}
