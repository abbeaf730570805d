package account_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/account"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/shelf"
)

// A signature in a repository by one of our keys that stands in no log is found in whatever form it stands there.
func TestSignatureThatStandsInNoLog(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"P-256", "P-384", "RSA-3072"} {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, algorithm)
			r.sign("good.tgz", "good")
			require.Empty(t, r.compare(repo, docker))

			stranger := sealtest.NewKey(t, algorithm, "stranger")
			for _, format := range seal.FormatsOf(artifact.KindFile) {
				for by, key := range map[string]*sealtest.Key{"ours": r.key, "theirs": stranger} {
					content := []byte(by + format)
					d, err := seal.NewDigester(key.Public())
					require.NoError(t, err)
					_, _ = d.Write(content)
					file := sealtest.Seal(t, format, key, d.Digests(), nil)
					r.put("app/"+by+format+".tgz", string(content))
					r.put("app/"+seal.FileName(by+format+".tgz", format, key.Name(), true), string(file))
				}
			}
			found := r.compare(repo)
			require.Len(t, found, len(seal.FormatsOf(artifact.KindFile)))
			for _, code := range found {
				require.Equal(t, reason.SignatureUnlogged, code)
			}
		})
	}
}

func TestImageSignatureThatStandsInNoLog(t *testing.T) {
	t.Parallel()
	r := newRig(t, "P-256")
	r.sign("good.tgz", "good")
	images := artifactorytest.NewRegistry(t, r.art, docker, artifactorytest.CI)
	pushed := images.Push("team/app", ":1.0", images.New("linux/amd64"))
	require.Empty(t, r.compare(docker))
	meaning, err := artifact.Resolve(t.Context(), r.client, artifact.Ref{Instance: "main", Repo: docker, Path: "team/app/1.0/manifest.json"})
	require.NoError(t, err)
	require.Equal(t, pushed.SHA256(), meaning.Whole().SHA256.String())
	for _, format := range seal.FormatsOf(artifact.KindImage) {
		f, _ := seal.Lookup(format)
		content := sealtest.Seal(t, format, r.key, seal.FromSHA256(meaning.Whole().SHA256), nil)
		_, err = shelf.Put(t.Context(), r.client, meaning.Whole(), "", f, content)
		require.NoError(t, err)
	}
	found := r.compare(docker)
	require.Len(t, found, len(seal.FormatsOf(artifact.KindImage)))
	require.Equal(t, reason.SignatureUnlogged, found[0])
}

// Evidence about a bundle is a signature as every other, whatever it says, and also where nobody asks for it.
func TestEvidenceThatStandsInNoLog(t *testing.T) {
	t.Parallel()
	const bundles = "release-bundles-v2"
	r := newRig(t, "P-256")
	r.sign("good.tgz", "good")
	r.post("/lifecycle/api/v2/release_bundle?async=false", map[string]any{
		"release_bundle_name": "suite", "release_bundle_version": "1", "source_type": "artifacts", "source": map[string]any{"artifacts": []map[string]string{{"path": repo + "/good.tgz"}}},
	})
	r.post("/artifactory/api/security/keys/trusted", map[string]string{"alias": r.key.Name(), "key": string(r.key.PEM(t))})
	ref, err := r.client.BundleRef("", "suite", "1")
	require.NoError(t, err)
	info, err := r.client.Info(t.Context(), ref)
	require.NoError(t, err)
	subject := artifact.Subject{Kind: artifact.KindBundle, Info: info}
	require.Empty(t, r.compare(bundles))

	f, _ := seal.Lookup("evidence")
	content := sealtest.Seal(t, "evidence", r.key, seal.FromSHA256(info.SHA256), nil)
	where, err := shelf.Put(t.Context(), r.client, subject, "", f, content)
	require.NoError(t, err)
	b := r.books(time.Now().Add(time.Minute), account.Config{Known: []string{origin}}, bundles)
	require.Len(t, b.All, 1)
	require.Equal(t, reason.SignatureUnlogged, b.All[0].Code)
	require.Contains(t, b.All[0].Found, where)

	// About a file, under a predicate of its own: the evidence service is not even asked.
	payload := []byte(`{"predicateType":"https://example.com/else"}`)
	pae := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 1 x %d %s", len(payload), payload))
	signature, err := r.key.Sign(t.Context(), pae[:])
	require.NoError(t, err)
	envelope, err := json.Marshal(map[string]any{"payload": payload, "payloadType": "x", "signatures": []map[string]any{{"keyid": "k", "sig": signature}}})
	require.NoError(t, err)
	r.put(".evidence/ab/cd.json", string(envelope))
	require.Equal(t, []reason.Code{reason.SignatureUnlogged}, r.compare(repo))
}

// post is a call of somebody with all rights.
func (r *rig) post(target string, body any) {
	r.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(r.t, err)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.art.URL()+target, bytes.NewReader(raw))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.Admin)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	require.Equal(r.t, http.StatusCreated, resp.StatusCode)
}
