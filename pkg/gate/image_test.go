package gate_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const (
	imageName  = "team/app"
	imageFile  = imageName + "/1.0/manifest.json"
	bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

const imageGate = `kind: GatePolicy
name: oci-release
owner: release-managers
target: {repositories: [` + artifactorytest.OCIRelease + `]}
require:
  signatures:
    - {lane: release, count: 1}
`

// port is a rig with an image in the staging repository.
type port struct {
	*rig
	artifactorytest.Registry
	image artifactorytest.Manifest
}

func newPort(t *testing.T) *port {
	t.Helper()
	r := newRigOn(t, artifactorytest.Wide(), imageGate)
	p := &port{rig: r, Registry: artifactorytest.NewRegistry(t, r.art, artifactorytest.OCIStaging, artifactorytest.CI)}
	p.image = p.Push(imageName, ":1.0", p.New("linux/amd64"))
	return p
}

// bundle is what a key signs for a manifest.
func (p *port) bundle(key *sealtest.Key, format string, m artifactorytest.Manifest) []byte {
	p.t.Helper()
	digest, err := artifact.ParseDigest(m.SHA256())
	require.NoError(p.t, err)
	return sealtest.Seal(p.t, format, key, seal.FromSHA256(digest), nil)
}

// attach refers a bundle to the image.
func (p *port) attach(content []byte) { p.Refer(imageName, p.image, bundleType, content) }

func (p *port) signed(key string) { p.attach(p.bundle(p.keys[key], "cosign", p.image)) }

// envelope changes the DSSE envelope of a good bundle.
func (p *port) envelope(change func(map[string]any)) {
	p.attach([]byte(edit(string(p.bundle(p.keys["release-a"], "cosign", p.image)), func(m map[string]any) { change(at(m, "dsseEnvelope")) })))
}

// statement changes the statement in it, so that the signature is over another.
func (p *port) statement(change func(map[string]any)) {
	p.envelope(func(e map[string]any) {
		payload, _ := e["payload"].(string)
		text, err := base64.StdEncoding.DecodeString(payload)
		require.NoError(p.t, err)
		e["payload"] = base64.StdEncoding.EncodeToString([]byte(edit(string(text), change)))
	})
}

func (p *port) verdict(path string) gate.Verdict {
	p.t.Helper()
	return p.ask(gate.Request{Artifact: ref(artifactorytest.OCIStaging, path), Target: ref(artifactorytest.OCIRelease, path), Caller: "ci"})
}

// imageAttacks are what may stand with an image, and the verdict on it.
var imageAttacks = map[string]struct {
	prepare func(p *port)
	code    reason.Code // "" allows
}{
	"signed":                  {func(p *port) { p.signed("release-a") }, ""},
	"signed among others":     {func(p *port) { p.signed("dev-a"); p.attach([]byte("{")); p.signed("release-b") }, ""},
	"unsigned":                {func(*port) {}, reason.SignatureMissing},
	"development key":         {func(p *port) { p.signed("dev-a") }, reason.KeyDevelopment},
	"unknown key":             {func(p *port) { p.attach(p.bundle(stranger(p.rig), "cosign", p.image)) }, reason.SignatureWrongKey},
	"of another manifest":     {func(p *port) { p.attach(p.bundle(p.keys["release-a"], "cosign", p.New("linux/arm64"))) }, reason.SignatureWrongBytes},
	"signature of a file":     {func(p *port) { p.attach([]byte(p.made(p.keys["release-a"], "sigstore", string(p.image.Raw)))) }, reason.SignatureInvalid},
	"no bundle":               {func(p *port) { p.attach([]byte("<html>")) }, reason.SignatureInvalid},
	"empty":                   {func(p *port) { p.attach([]byte{}) }, reason.SignatureInvalid},
	"larger than a signature": {func(p *port) { p.attach([]byte(strings.Repeat(" ", 200<<10))) }, reason.SignatureInvalid},
	"another predicate": {func(p *port) {
		p.statement(func(s map[string]any) { s["predicateType"] = "https://slsa.dev/provenance/v1" })
	}, reason.SignatureInvalid},
	"statement tampered with": {func(p *port) { p.statement(func(s map[string]any) { s["predicate"] = map[string]any{"x": 1} }) }, reason.SignatureInvalid},
	"two signatures in one": {func(p *port) {
		p.envelope(func(e map[string]any) { s, _ := e["signatures"].([]any); e["signatures"] = append(s, s...) })
	}, reason.SignatureInvalid},
	"no signature in it":       {func(p *port) { p.envelope(func(e map[string]any) { e["signatures"] = []any{} }) }, reason.SignatureInvalid},
	"referrers of other kinds": {func(p *port) { p.Refer(imageName, p.image, "application/spdx+json", []byte("{}")) }, reason.SignatureMissing},
	"more referrers than are read": {func(p *port) {
		p.signed("release-a")
		for i := range 64 {
			p.Refer(imageName, p.image, "application/spdx+json", []byte{byte(i)})
		}
	}, reason.SignaturesTooMany},
	"another image at the tag": {func(p *port) { p.signed("release-a"); p.Push(imageName, ":1.0", p.New("linux/amd64")) }, reason.SignatureMissing},
	"the tag moves meanwhile": {func(p *port) {
		p.signed("release-a")
		other := p.New("linux/amd64")
		p.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/api/docker/*/v2/" + imageName + "/referrers/**", Do: func(*http.Request) { p.Push(imageName, ":1.0", other) }})
	}, reason.ArtifactChanged},
	"no such tag": {func(p *port) { require.NoError(p.t, p.art.Delete("x", artifactorytest.OCIStaging, imageFile)) }, reason.ArtifactGone},
	"bytes that are not reported": {func(p *port) {
		p.signed("release-a")
		require.NoError(p.t, p.art.Corrupt(artifactorytest.OCIStaging, imageFile, []byte("{}")))
	}, reason.DigestMismatch},
}

func TestGateJudgesImages(t *testing.T) {
	t.Parallel()
	for name, a := range imageAttacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t)
			a.prepare(p)
			v := p.verdict(imageFile)
			require.True(t, v.Decided, "%+v", v.Reasons)
			require.Equal(t, a.code == "", v.Allow, "%+v", v.Reasons)
			if a.code != "" {
				require.Equal(t, []reason.Code{a.code}, codes(v), "%+v", v.Reasons)
			}
		})
	}
}

func TestGateJudgesAnIndex(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	index, children := p.NewIndex("linux/amd64", "linux/arm64")
	p.Push(imageName, ":2.0", index)
	file := imageName + "/2.0/list.manifest.json"
	require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(p.verdict(file)))
	p.Refer(imageName, index, bundleType, p.bundle(p.keys["release-a"], "cosign", index))
	v := p.verdict(file)
	require.True(t, v.Allow, "an index commits to its manifests: %+v", v.Reasons)
	require.Equal(t, index.SHA256(), v.SHA256.String())
	require.NoError(t, p.art.Delete("x", artifactorytest.OCIStaging, imageName+"/"+children[1].Digest+"/manifest.json"))
	require.Equal(t, []reason.Code{reason.ImageIncomplete}, codes(p.verdict(file)))
}

// A signature at the tag of the older scheme, where the list of referrers is forbidden: it suffices, and without it nothing
// can be decided, with the right that is missing.
func TestGateWithoutReferrers(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"403", "404"} {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			p := newPort(t)
			require.NoError(t, p.art.SetQuirks(standin.Quirks{Referrers: answer}))
			v := p.verdict(imageFile)
			require.False(t, v.Allow)
			if answer == "403" {
				require.False(t, v.Decided, "%+v %+v", v.Reasons[0].Found, v.Signatures)
				require.Equal(t, []reason.Code{reason.Undecided}, codes(v))
				require.Contains(t, v.Reasons[0].Expected, "the right Read on "+artifactorytest.OCIStaging)
			} else {
				require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(v))
			}
			client := newClient(t, p.art.URL(), artifactorytest.CI)
			meaning, err := artifact.Resolve(t.Context(), client, ref(artifactorytest.OCIStaging, imageFile))
			require.NoError(t, err)
			_, err = client.Refer(t.Context(), meaning.Whole(), "cosign-tag", p.bundle(p.keys["release-a"], "cosign-tag", p.image))
			require.NoError(t, err)
			v = p.verdict(imageFile)
			require.True(t, v.Allow, "%+v", v.Reasons)
		})
	}
}
