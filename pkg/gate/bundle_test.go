package gate_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const (
	bundleRepo   = "release-bundles-v2"
	bundleRecord = "gateway-suite/2026.8.1/release-bundle.json.evd"
	evidenceFile = "/artifactory/" + bundleRepo + "/.evidence/**"
)

const bundleGate = signingPolicy + `kind: GatePolicy
name: bundles
owner: release-managers
target: {repositories: [` + release + `]}
require:
  signatures:
    - {lane: release, count: 1}
`

// yard is a rig with one release bundle of the artifact.
func yard(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, bundleGate)
	r.sign("release-a", "sigstore")
	r.bundle(path)
	return r
}

// bundle makes the release bundle of some files in staging.
func (r *rig) bundle(paths ...string) {
	r.t.Helper()
	list := make([]map[string]string, len(paths))
	for i, p := range paths {
		list[i] = map[string]string{"path": staging + "/" + p}
	}
	r.post("/lifecycle/api/v2/release_bundle?async=false", map[string]any{
		"release_bundle_name": "gateway-suite", "release_bundle_version": "2026.8.1", "source_type": "artifacts",
		"source": map[string]any{"artifacts": list},
	})
}

func (r *rig) post(target string, body any) {
	r.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(r.t, err)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.art.URL()+target, bytes.NewReader(raw))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.Admin)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	said, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	require.Equal(r.t, http.StatusCreated, resp.StatusCode, "%s", said)
}

// remove deletes a file in staging.
func (r *rig) remove(path string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Delete("anybody", staging, path))
}

// record is the bytes that are signed.
func (r *rig) record() string {
	r.t.Helper()
	content, err := r.art.Content(bundleRepo, bundleRecord)
	require.NoError(r.t, err)
	return string(content)
}

func (r *rig) attach(evidence string) {
	r.t.Helper()
	r.post("/evidence/api/v1/subject/"+bundleRepo+"/"+bundleRecord, json.RawMessage(evidence))
}

func (r *rig) checkBundle(path string) gate.Verdict {
	r.t.Helper()
	return r.ask(gate.Request{Artifact: ref(bundleRepo, path), Target: ref(release, path), Caller: "ci"})
}

// With a release key's evidence over the record that is there a bundle may go, whatever Artifactory thinks of the evidence
// and whatever else is attached.
func TestBundleMayGo(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string]bool{"verified by Artifactory": true, "Artifactory knows no such key": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := yard(t)
			if trusted {
				r.post("/artifactory/api/security/keys/trusted", map[string]string{"alias": "release-a", "key": string(r.keys["release-a"].PEM(t))})
			}
			r.attach(forgery(r))
			require.Equal(t, []reason.Code{reason.SignatureInvalid}, codes(r.checkBundle(bundleRecord)))
			r.attach(r.made(r.keys["release-a"], "evidence", r.record()))
			v := r.checkBundle(bundleRecord)
			require.True(t, v.Allow, "%+v", v)
			require.Len(t, v.Signatures, 2)
			require.Equal(t, "evidence", v.Signatures[0].Format)
			require.Equal(t, bundleRepo+"/"+bundleRecord, v.Subject)
		})
	}
}

// Whoever may annotate can attach anything. None of it opens the gate.
func TestBundleMayNotGo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attached func(r *rig) string // "" for nothing
		served   func(r *rig) string // instead of it, when it is fetched
		fault    standin.Fault
		path     string
		want     reason.Code
	}{
		"nothing attached":   {want: reason.SignatureMissing},
		"a development key":  {attached: func(r *rig) string { return r.made(r.keys["dev-a"], "evidence", r.record()) }, want: reason.KeyDevelopment},
		"a foreign key":      {attached: func(r *rig) string { return forgery(r) }, want: reason.SignatureInvalid},
		"for another bundle": {attached: func(r *rig) string { return r.made(r.keys["release-a"], "evidence", r.record()) }, served: func(r *rig) string { return r.made(r.keys["release-a"], "evidence", "another") }, want: reason.SignatureWrongBytes},
		"no envelope":        {attached: func(r *rig) string { return r.made(r.keys["release-a"], "evidence", r.record()) }, served: func(*rig) string { return "{}" }, want: reason.SignatureInvalid},
		"huge":               {attached: func(r *rig) string { return r.made(r.keys["release-a"], "evidence", r.record()) }, served: func(*rig) string { return string(make([]byte, 200_000)) }, want: reason.SignatureInvalid},
		"another predicate": {attached: func(r *rig) string { return r.made(r.keys["release-a"], "evidence", r.record()) }, served: func(r *rig) string {
			return retyped(r, r.made(r.keys["release-a"], "evidence", r.record()))
		}, want: reason.SignatureInvalid},
		"no evidence service":        {fault: standin.Fault{Method: http.MethodPost, Path: "/onemodel/**", Status: http.StatusNotFound}, want: reason.EvidenceUnavailable},
		"the search does not answer": {fault: standin.Fault{Method: http.MethodPost, Path: "/onemodel/**", Status: http.StatusInternalServerError}, want: reason.Undecided},
		"the evidence cannot be read": {
			attached: func(r *rig) string { return r.made(r.keys["release-a"], "evidence", r.record()) },
			fault:    standin.Fault{Method: http.MethodGet, Path: evidenceFile, Status: http.StatusForbidden}, want: reason.Undecided,
		},
		"what it holds":       {path: "gateway-suite/2026.8.1/artifacts/generic/" + path, want: reason.PartOfBundle},
		"no bundle":           {path: "gateway-suite/2026.8.2/release-bundle.json.evd", want: reason.ArtifactGone},
		"a sidecar beside it": {path: "gateway-suite/2026.8.1/release-bundle.json.evd.sig", want: reason.SignatureMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := yard(t)
			if c.attached != nil {
				r.attach(c.attached(r))
			}
			if c.served != nil {
				r.fail(standin.Fault{Method: http.MethodGet, Path: evidenceFile, Status: http.StatusOK, Body: c.served(r)})
			}
			if c.fault.Status != 0 {
				r.fail(c.fault)
			}
			p := c.path
			if p == "" {
				p = bundleRecord
			}
			v := r.checkBundle(p)
			require.False(t, v.Allow)
			require.Equal(t, []reason.Code{c.want}, codes(v), "%+v", v.Reasons)
		})
	}
}

// impostor is a key under the name of another.
type impostor struct{ *sealtest.Key }

func (impostor) Name() string { return "release-a" }

// forgery is evidence by a foreign key that says it is ours.
func forgery(r *rig) string {
	r.t.Helper()
	f, _ := seal.Lookup("evidence")
	file, err := f.Seal(r.t.Context(), impostor{sealtest.NewKey(r.t, "P-256", "somebody")}, seal.FromSHA256(sha256.Sum256([]byte(r.record()))))
	require.NoError(r.t, err)
	require.Contains(r.t, string(file), `"keyid":"release-a"`)
	return string(file)
}

// retyped is evidence whose payload says something else than was signed.
func retyped(r *rig, evidence string) string {
	r.t.Helper()
	var e map[string]any
	require.NoError(r.t, json.Unmarshal([]byte(evidence), &e))
	e["payload"] = bytes.Replace(payload(r, evidence), []byte(seal.EvidencePredicate), []byte("https://example.com/other/v1"), 1)
	out, err := json.Marshal(e)
	require.NoError(r.t, err)
	return string(out)
}

func payload(r *rig, evidence string) []byte {
	r.t.Helper()
	var e struct {
		Payload []byte `json:"payload"`
	}
	require.NoError(r.t, json.Unmarshal([]byte(evidence), &e))
	return e.Payload
}

// The evidence service may write an envelope anew: its date goes by the signature in it, and by no other that verifies.
func TestAgeOfEvidence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		served func(r *rig, made string) string
		code   reason.Code
	}{
		"as it was made": {func(_ *rig, made string) string { return made }, ""},
		"written anew": {func(r *rig, made string) string {
			var b bytes.Buffer
			require.NoError(r.t, json.Indent(&b, []byte(made), "", "  "))
			return b.String()
		}, ""},
		"its signature's twin": {func(r *rig, made string) string {
			return edit(made, func(m map[string]any) {
				list, _ := m["signatures"].([]any)
				one, _ := list[0].(map[string]any)
				text, _ := one["sig"].(string)
				sig, err := base64.StdEncoding.DecodeString(text)
				require.NoError(r.t, err)
				one["sig"] = base64.StdEncoding.EncodeToString([]byte(twin(r.t, r.keys["release-a"].Public(), string(sig))))
			})
		}, reason.SignatureUndated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, strings.ReplaceAll(bundleGate, "count: 1}", "count: 1, maxAge: 30d}"))
			r.service(time.Now(), "release-a", "sigstore", path, content)
			r.bundle(path)
			made := r.made(r.keys["release-a"], "evidence", r.record())
			r.attach(made)
			r.remember(time.Now(), "release-a", "evidence", path, r.record(), made)
			r.fail(standin.Fault{Method: http.MethodGet, Path: evidenceFile, Status: http.StatusOK, Body: c.served(r, made)})
			v := r.checkBundle(bundleRecord)
			require.True(t, v.Decided)
			if c.code != "" {
				require.Equal(t, []reason.Code{c.code}, codes(v))
				return
			}
			require.True(t, v.Allow, "%+v", v.Reasons)
			require.NotZero(t, v.Signatures[0].At)
		})
	}
}
