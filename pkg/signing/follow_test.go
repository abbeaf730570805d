package signing_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

const (
	releaseRepo = artifactorytest.Release
	devKey      = "dev-2026"
)

// followPolicy signs staging with the keys named, and what arrives in the release repository with the release key.
func followPolicy(staging string) string {
	return `kind: SigningPolicy
name: staging
owner: build-team
match: {repositories: [` + repo + `]}
sign: [{key: ` + staging + `, formats: [sigstore, raw]}]
---
kind: SigningPolicy
name: release-copies
owner: release-managers
match: {repositories: [` + releaseRepo + `], events: [artifact/copied, artifact/moved]}
sign: [{key: ` + key + `, formats: [sigstore, raw]}]
`
}

// transfer copies or moves as anybody may, without Hallmark.
func (r *rig) transfer(kind, from, to string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.art.URL()+"/artifactory/api/"+kind+"/"+repo+"/"+from+"?to=/"+releaseRepo+"/"+to, nil)
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	require.Equal(r.t, http.StatusOK, resp.StatusCode)
}

// arrived is the event about the target of a copy or move, carried out.
func (r *rig) arrived(kind, path string) {
	r.t.Helper()
	ev := r.event(path)
	ev.Repo, ev.Type = releaseRepo, map[string]string{"copy": "copied", "move": "moved"}[kind]
	require.NoError(r.t, r.service.Do(r.t.Context(), ev))
}

// holds checks a file in the release repository with a key.
func (r *rig) holds(key, file, format, content string) {
	r.t.Helper()
	stored, err := r.art.Content(releaseRepo, file)
	require.NoError(r.t, err)
	pub, ok := r.keys.Key(key)
	require.True(r.t, ok)
	f, _ := seal.Lookup(format)
	require.NoError(r.t, f.Verify(pub.PublicKey, seal.FromSHA256(artifact.Attachment{Content: []byte(content)}.SHA256()), stored))
}

// Signatures follow a plain copy or move without using the HSM, also where properties or signature files stay behind.
func TestSignaturesFollow(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"copy", "move"} {
		for _, copied := range []string{"follow", "drop"} {
			for _, whole := range []bool{false, true} {
				r := newRig(t, setup{policy: followPolicy(key)})
				q := r.art.Quirks()
				q.Copied = copied
				require.NoError(t, r.art.SetQuirks(q))
				r.upload("app/1/a.tgz", "bytes")
				require.NoError(t, r.do("app/1/a.tgz"))
				require.Equal(t, 1, r.uses())
				if whole {
					r.transfer(kind, "app/1", "app/1") // the folder, signature files and all
				} else {
					r.transfer(kind, "app/1/a.tgz", "app/1/a.tgz")
				}
				r.arrived(kind, "app/1/a.tgz")
				require.Equal(t, 1, r.uses(), "the same bytes, the same key: the HSM is not used again")
				r.holds(key, "app/1/a.tgz.sigstore.json", "sigstore", "bytes")
				r.holds(key, "app/1/a.tgz.sig", "raw", "bytes")
				f, _ := r.art.File(releaseRepo, "app/1/a.tgz")
				require.Equal(t, []string{"signed"}, f.Properties["hallmark.state"])
				require.Equal(t, []string{"release-copies"}, f.Properties["hallmark.policy"], "the target's policy, not the source's")
				st, err := r.ledger.Status(t.Context(), artifact.Ref{Instance: "main", Repo: releaseRepo, Path: "app/1/a.tgz"})
				require.NoError(t, err)
				require.Equal(t, ledger.Signed, st.Current.State)
			}
		}
	}
}

// A development signature comes along and satisfies nothing: the release key signs, once for every place of the bytes,
// and both can be verified.
func TestMissingReleaseSignatureIsMade(t *testing.T) {
	t.Parallel()
	for _, token := range []string{artifactorytest.Signer, artifactorytest.CI} { // without and with the right to overwrite
		r := newRig(t, setup{policy: followPolicy(devKey), keys: map[string]hsm.Algorithm{key: hsm.P256, devKey: hsm.P256}, token: token})
		r.upload("app/1/a.tgz", "bytes")
		require.NoError(t, r.do("app/1/a.tgz"))
		require.Equal(t, 1, r.uses())
		r.transfer("copy", "app/1", "app/1")
		r.arrived("copy", "app/1/a.tgz")
		require.Equal(t, 2, r.uses(), "one by each lane")
		plain, named := "app/1/a.tgz.sigstore.json", "app/1/a.tgz."+key+".sigstore.json"
		if token == artifactorytest.CI {
			r.holds(key, plain, "sigstore", "bytes")
		} else {
			r.holds(devKey, plain, "sigstore", "bytes")
			r.holds(key, named, "sigstore", "bytes")
			st, err := r.ledger.Status(t.Context(), artifact.Ref{Instance: "main", Repo: releaseRepo, Path: "app/1/a.tgz"})
			require.NoError(t, err)
			require.Equal(t, []string{"a.tgz." + key + ".sigstore.json", "a.tgz." + key + ".sig"}, st.Current.Files)
		}
		f, _ := r.art.File(releaseRepo, "app/1/a.tgz")
		require.Equal(t, []string{key}, f.Properties["hallmark.keys"])

		r.arrived("copy", "app/1/a.tgz") // the event comes twice
		r.transfer("copy", "app/1/a.tgz", "app/2/b.tgz")
		r.arrived("copy", "app/2/b.tgz")
		require.Equal(t, 2, r.uses(), "the same bytes at another place")
		r.holds(key, "app/2/b.tgz.sigstore.json", "sigstore", "bytes")
	}
}

// A signature file of other bytes, or one that is nobody's, is not stepped around: it would be taken for ours.
func TestStrangeFilesStayInTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{policy: followPolicy(devKey), keys: map[string]hsm.Algorithm{key: hsm.P256, devKey: hsm.P256}})
	r.upload("app/1/a.tgz", "bytes")
	require.NoError(t, r.do("app/1/a.tgz"))
	r.transfer("copy", "app/1/a.tgz", "app/1/a.tgz")
	require.NoError(t, r.art.Put("mallory", releaseRepo, "app/1/a.tgz.sig", strings.NewReader("mine"), nil))
	ev := r.event("app/1/a.tgz")
	ev.Repo, ev.Type = releaseRepo, "copied"
	require.Error(t, r.service.Do(t.Context(), ev))
	f, _ := r.art.File(releaseRepo, "app/1/a.tgz")
	require.NotEqual(t, []string{"release-copies"}, f.Properties["hallmark.policy"])
}
