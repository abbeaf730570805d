package artifactory_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	jfrogauth "github.com/jfrog/jfrog-client-go/artifactory/auth"
	jfrogconfig "github.com/jfrog/jfrog-client-go/config"
	"github.com/jfrog/jfrog-client-go/evidence"
	"github.com/jfrog/jfrog-client-go/evidence/services"
	"github.com/jfrog/jfrog-client-go/onemodel"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
)

func serviceConfig(t *testing.T, s *standin.Server, path, token string) jfrogconfig.Config {
	t.Helper()
	details := jfrogauth.NewArtifactoryDetails()
	details.SetUrl(s.URL() + path)
	details.SetAccessToken(token)
	cfg, err := jfrogconfig.NewConfigBuilder().SetServiceDetails(details).SetHttpRetries(0).Build()
	require.NoError(t, err)
	return cfg
}

// notary signs statements with one key.
type notary struct {
	key  crypto.Signer
	hash crypto.Hash // 0: the key hashes for itself
}

func newNotary(t *testing.T) notary {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	return notary{key, crypto.SHA256}
}

// notaries has one for each kind of key.
func notaries(t *testing.T) map[string]notary {
	t.Helper()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	require.NoError(t, err)
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	rsa3072, err := rsa.GenerateKey(rand.Reader, 3072)
	require.NoError(t, err)
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return map[string]notary{
		"p256": newNotary(t), "p384": {p384, crypto.SHA384}, "rsa2048": {rsa2048, crypto.SHA256}, "rsa3072": {rsa3072, crypto.SHA256}, "ed25519": {ed, 0},
	}
}

// trust uploads the public key under the alias and returns its id.
func (n notary) trust(t *testing.T, s *standin.Server, alias string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(n.key.Public())
	require.NoError(t, err)
	body, err := json.Marshal(map[string]string{"alias": alias, "key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	require.NoError(t, err)
	resp, got := send(t, s, request{method: "POST", target: "/artifactory/api/security/keys/trusted", token: artifactorytest.Admin, body: string(body)})
	require.Equal(t, 201, resp.StatusCode, got)
	var k struct{ KID string }
	require.NoError(t, json.Unmarshal([]byte(got), &k))
	return k.KID
}

const payloadType = "application/vnd.in-toto+json"

func (n notary) sign(t *testing.T, keyID string, payload []byte) []byte {
	t.Helper()
	pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	switch n.hash {
	case crypto.SHA256:
		sum := sha256.Sum256(pae)
		pae = sum[:]
	case crypto.SHA384:
		sum := sha512.Sum384(pae)
		pae = sum[:]
	}
	sig, err := n.key.Sign(rand.Reader, pae, n.hash)
	require.NoError(t, err)
	env, err := json.Marshal(map[string]any{
		"payload": base64.StdEncoding.EncodeToString(payload), "payloadType": payloadType,
		"signatures": []map[string]string{{"keyid": keyID, "sig": base64.StdEncoding.EncodeToString(sig)}},
	})
	require.NoError(t, err)
	return env
}

func about(sha256 string) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + sha256 + `"}}],"predicateType":"https://example.org/evidence/hsm-signature/v1","predicate":{"x":1}}`)
}

type uploadedEvidence struct {
	Repository, Path, Name, URI, SHA256 string
	Verified                            bool
	Slug                                string `json:"predicate_slug"`
	CreatedBy                           string `json:"created_by"`
	ProviderID                          string `json:"provider_id"`
}

func uploadEvidence(t *testing.T, s *standin.Server, token, subject string, body []byte) (uploadedEvidence, error) {
	t.Helper()
	m, err := evidence.New(serviceConfig(t, s, "/evidence/", token))
	require.NoError(t, err)
	var got uploadedEvidence
	answer, err := m.UploadEvidence(services.EvidenceDetails{SubjectUri: subject, DSSEFileRaw: body, ProviderId: "hallmark"})
	if err == nil {
		require.NoError(t, json.Unmarshal(answer, &got))
	}
	return got, err
}

func TestServicesEvidence(t *testing.T) {
	t.Parallel()
	for name, n := range notaries(t) {
		for _, quirk := range []string{"", "all"} {
			s := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{EvidenceKeys: quirk}})
			put(t, s, artifactorytest.Staging, "a/f")
			n.trust(t, s, "k1")
			got, err := uploadEvidence(t, s, artifactorytest.Annotator, artifactorytest.Staging+"/a/f", n.sign(t, "k1", about(helloSHA256)))
			require.NoError(t, err)
			require.Equal(t, quirk == "all" || (name != "p384" && name != "rsa3072"), got.Verified, name)
			require.Equal(t, []string{artifactorytest.Staging, "hsm-signature", "annotator", "hallmark"}, []string{got.Repository, got.Slug, got.CreatedBy, got.ProviderID})
			f, ok := s.File(artifactorytest.Staging, got.Path+"/"+got.Name)
			require.True(t, ok)
			require.Equal(t, got.SHA256, f.SHA256)
			require.True(t, strings.HasPrefix(got.Path, ".evidence/"+helloSHA256+"/"))

			unknown, err := uploadEvidence(t, s, artifactorytest.Annotator, artifactorytest.Staging+"/a/f", n.sign(t, "k2", about(helloSHA256)))
			require.NoError(t, err, "an unknown alias is no error")
			require.False(t, unknown.Verified)
		}
	}
}

func TestEvidenceRefusals(t *testing.T) {
	t.Parallel()
	s := classes(t, standin.Quirks{})
	for _, repo := range []string{"a-local", "fed"} {
		put(t, s, repo, "a/f")
	}
	_, _ = send(t, s, request{method: "GET", target: "/artifactory/mirror/far/f", token: artifactorytest.CI})
	n := newNotary(t)
	n.trust(t, s, "k1")
	good := n.sign(t, "k1", about(helloSHA256))
	twice := strings.Replace(string(good), `"signatures":[`, `"signatures":[{"keyid":"k2","sig":""},`, 1)
	for _, tt := range []struct {
		name, token, subject, body string
		status                     int
	}{
		{"good", artifactorytest.Signer, "a-local/a/f", string(good), 201},
		{"federated", artifactorytest.Signer, "fed/a/f", string(good), 201},
		{"cache", artifactorytest.Signer, "mirror-cache/far/f", string(good), 400},
		{"virtual", artifactorytest.Signer, "all/a/f", string(good), 400},
		{"folder", artifactorytest.Signer, "a-local/a", string(good), 400},
		{"missing", artifactorytest.Signer, "a-local/g", string(good), 404},
		{"no annotate", artifactorytest.Reader, "a-local/a/f", string(good), 403},
		{"other digest", artifactorytest.Signer, "a-local/a/f", string(n.sign(t, "k1", about(strings.Repeat("0", 64)))), 400},
		{"two signatures", artifactorytest.Signer, "a-local/a/f", twice, 400},
		{"no statement", artifactorytest.Signer, "a-local/a/f", string(n.sign(t, "k1", []byte(`{}`))), 400},
		{"no JSON", artifactorytest.Signer, "a-local/a/f", "x", 400},
		{"too large", artifactorytest.Signer, "a-local/a/f", strings.Repeat(" ", 16<<20) + string(good), 400},
	} {
		resp, body := send(t, s, request{method: "POST", target: "/evidence/api/v1/subject/" + tt.subject, token: tt.token, body: tt.body})
		require.Equal(t, tt.status, resp.StatusCode, "%s: %s", tt.name, body)
	}
	resp, _ := send(t, s, request{"POST", "/evidence/api/v1/subject/a-local/a/f", "", string(good), map[string]string{
		"Authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+artifactorytest.Admin)),
	}})
	require.Equal(t, 401, resp.StatusCode, "passwords are refused")
}

func TestSigstoreEvidence(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	for quirk, want := range map[string]bool{"": false, "verified": true} {
		s := artifactorytest.Start(t, standin.Config{Quirks: standin.Quirks{SigstoreEvidence: quirk}})
		put(t, s, artifactorytest.Staging, "f")
		n.trust(t, s, "k1")
		body := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":` + string(n.sign(t, "", about(helloSHA256))) + `}`
		got, err := uploadEvidence(t, s, artifactorytest.Signer, artifactorytest.Staging+"/f", []byte(body))
		require.NoError(t, err)
		require.Equal(t, want, got.Verified)
	}
}

// Prepare, sign elsewhere, upload: for a file, a build and a release bundle.
func TestPrepareEvidence(t *testing.T) {
	t.Parallel()
	n := newNotary(t)
	for _, tt := range []struct {
		name, quirk, subject string
		status               int
		post                 string
	}{
		{"artifact", "", `"subject_type":"artifact","repo_path":"libs-staging-local/org/a"`, 200, "libs-staging-local/org/a"},
		{"artifact with digest", "", `"subject_type":"artifact","repo_path":"libs-staging-local/org/a","sha256":"ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"`, 200, "libs-staging-local/org/a"},
		{"another digest", "", `"subject_type":"artifact","repo_path":"libs-staging-local/org/a","sha256":"` + helloSHA256 + `"`, 400, ""},
		{"the other field", "", `"subject_type":"artifact","path":"libs-staging-local/org/a"`, 400, ""},
		{"the other field where it is right", "path", `"subject_type":"artifact","path":"libs-staging-local/org/a"`, 200, "libs-staging-local/org/a"},
		{"build", "", `"subject_type":"build","build_name":"bld","build_number":"7"`, 200, "artifactory-build-info/bld/7-1795289215486.json"},
		{"release bundle", "", `"subject_type":"release_bundle","release_bundle_name":"rb","release_bundle_version":"1.0.0"`, 200, "release-bundles-v2/rb/1.0.0/release-bundle.json.evd"},
		{"package", "", `"subject_type":"package","package_name":"x"`, 400, ""},
	} {
		s := works(t, standin.Quirks{PrepareField: tt.quirk})
		require.NoError(t, bundles(t, s, artifactorytest.CI).CreateReleaseBundleFromArtifacts(rb, waiting, "", fromArtifacts("libs-staging-local/org/a")))
		n.trust(t, s, "k1")
		body := `{"subject":{` + tt.subject + `},"predicate":{"x":1},"predicate_type":"https://example.org/p/v1","markdown":"# x"}`
		resp, got := send(t, s, request{method: "POST", target: "/evidence/api/v1/evidence/prepare?include_pae=true", token: artifactorytest.Signer, body: body})
		require.Equal(t, tt.status, resp.StatusCode, "%s: %s", tt.name, got)
		if tt.status != 200 {
			continue
		}
		var p struct {
			Payload string `json:"dsse_payload"`
			PAE     string `json:"pre_authentication_encoding"`
			PostURL string `json:"post_url"`
		}
		require.NoError(t, json.Unmarshal([]byte(got), &p))
		require.Equal(t, "/evidence/api/v1/subject/"+tt.post, p.PostURL)
		payload, err := base64.StdEncoding.DecodeString(p.Payload)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("DSSEv1 28 %s %d %s", payloadType, len(payload), payload), p.PAE)
		resp, got = send(t, s, request{method: "POST", target: p.PostURL, token: artifactorytest.Signer, body: string(n.sign(t, "k1", payload))})
		require.Equal(t, 201, resp.StatusCode, got)
		require.Contains(t, got, `"verified":true`)
	}
}

func TestTrustedKeys(t *testing.T) {
	t.Parallel()
	s := artifactorytest.Start(t, standin.Config{})
	n := newNotary(t)
	kid := n.trust(t, s, "k1")
	const keys = "/artifactory/api/security/keys/trusted"
	_, body := send(t, s, request{method: "GET", target: keys, token: artifactorytest.Reader})
	require.Contains(t, body, `"alias":"k1","type":"EC P-256"`)
	for _, tt := range []struct {
		method, target, token, body string
		status                      int
	}{
		{"POST", keys, artifactorytest.CI, `{"alias":"k2","key":"x"}`, 403},
		{"POST", keys, artifactorytest.Admin, `{"alias":"k2","key":"x"}`, 400},
		{"GET", keys + "/" + kid, artifactorytest.Reader, "", 200},
		{"DELETE", keys + "/" + kid, artifactorytest.CI, "", 403},
		{"DELETE", keys + "/" + kid, artifactorytest.Admin, "", 204},
		{"DELETE", keys + "/" + kid, artifactorytest.Admin, "", 404},
		{"GET", keys + "/" + kid, artifactorytest.Reader, "", 404},
	} {
		resp, got := send(t, s, request{method: tt.method, target: tt.target, token: tt.token, body: tt.body})
		require.Equal(t, tt.status, resp.StatusCode, "%s %s: %s", tt.method, tt.target, got)
	}
}

func graphql(t *testing.T, s *standin.Server, token, query string) (string, error) {
	t.Helper()
	m, err := onemodel.NewManager(serviceConfig(t, s, "/onemodel/", token))
	require.NoError(t, err)
	body, err := json.Marshal(map[string]string{"query": query})
	require.NoError(t, err)
	got, err := m.GraphqlQuery(body)
	return string(got), err
}
