package gate_test

import (
	"net/http"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

var fresh = strings.Replace(oneSignature, "count: 1}", "count: 1, maxAge: 30d}", 1)

// retire ends the time of release-a an hour ago.
func (r *rig) retire() {
	r.retired = map[string]time.Time{"release-a": time.Now().Add(-time.Hour)}
	r.setPolicy(oneSignature)
}

// replaying: signatures that were good once.
var replaying = map[string]attack{
	"the old signature after an overwrite": {prepare: func(r *rig) {
		file := r.service(time.Now(), "release-a", "sigstore", path, content)
		r.put(path, "evil")
		r.put(bundle, file)
	}, code: reason.SignatureWrongBytes, found: "stood here before"},
	"the old raw signature after an overwrite": {prepare: func(r *rig) {
		file := r.service(time.Now(), "release-a", "raw", path, content)
		r.put(path, "evil")
		r.put(raw, file)
	}, code: reason.SignatureWrongBytes, found: "stood here before"},
	"a retired key's, made after its time": {prepare: func(r *rig) {
		r.retire()
		r.service(time.Now(), "release-a", "sigstore", path, content)
	}, code: reason.KeyRetired, found: "retired since"},
	"a retired key's, uploaded without a record": {prepare: func(r *rig) {
		r.retire()
		r.put(bundle, r.made(r.keys["release-a"], "sigstore", content))
	}, code: reason.KeyRetired, found: "retired since"},
	"a retired key's, turned into its twin": {prepare: func(r *rig) {
		r.retire()
		file := r.service(time.Now().Add(-2*time.Hour), "release-a", "raw", path, content)
		r.put(raw, twin(r.t, r.keys["release-a"].Public(), file))
	}, code: reason.KeyRetired},
	"an old release where fresh ones are demanded": {
		policy:  fresh,
		prepare: func(r *rig) { r.service(time.Now().Add(-31*24*time.Hour), "release-a", "sigstore", path, content) },
		code:    reason.SignatureStale,
	},
	"a signature without a date where fresh ones are demanded": {
		policy: fresh, prepare: func(r *rig) { r.sign("release-a", "sigstore") }, code: reason.SignatureUndated,
	},
	"an old signature's twin where fresh ones are demanded": {policy: fresh, prepare: func(r *rig) {
		file := r.service(time.Now(), "release-a", "raw", path, content)
		r.put(raw, twin(r.t, r.keys["release-a"].Public(), file))
	}, code: reason.SignatureUndated},
	"bytes signed for development, their signature deleted": {policy: forbidding, prepare: func(r *rig) {
		r.service(time.Now(), "dev-a", "raw", path, content)
		require.NoError(r.t, r.art.Delete("x", staging, raw))
		r.sign("release-a", "sigstore")
	}, code: reason.KeyForbidden, found: "the ledger's record", fix: "build it anew"},
	"an image: an old index, one of its manifests gone": {image: func(p *port) {
		index, children := p.NewIndex("linux/amd64", "linux/arm64")
		p.Push(imageName, ":3.0", index)
		p.Refer(imageName, index, bundleType, p.bundle(p.keys["release-a"], "cosign", index))
		require.NoError(p.t, p.art.Delete("x", artifactorytest.OCIStaging, imageName+"/"+children[1].Digest+"/manifest.json"))
	}, ask: asked(artifactorytest.OCIStaging, imageName+"/3.0/list.manifest.json", artifactorytest.OCIRelease), code: reason.ImageIncomplete, fix: "push the image again"},
	"an image: an old signature for a new index": {image: func(p *port) {
		old, _ := p.NewIndex("linux/amd64", "linux/arm64")
		fresh, _ := p.NewIndex("linux/amd64", "linux/arm64")
		p.Push(imageName, ":3.0", fresh)
		p.Refer(imageName, fresh, bundleType, p.bundle(p.keys["release-a"], "cosign", old))
	}, ask: asked(artifactorytest.OCIStaging, imageName+"/3.0/list.manifest.json", artifactorytest.OCIRelease), code: reason.SignatureWrongBytes, fix: "hallmark sign"},
	"an image: a new one at the signed tag": {image: func(p *port) {
		p.signed("release-a")
		p.Push(imageName, ":1.0", p.New("linux/amd64"))
	}, code: reason.SignatureMissing},
}

// overwriting: other bytes where signed ones stood.
var overwriting = map[string]attack{
	"after it was signed": {
		prepare: func(r *rig) { r.sign("release-a", "sigstore"); r.sign("release-a", "raw"); r.put(path, "evil") }, code: reason.SignatureWrongBytes,
	},
	"after it was signed, properties and all": {prepare: func(r *rig) {
		r.service(time.Now(), "release-a", "raw", path, content)
		r.mark("signed")
		require.NoError(r.t, r.art.Put("mallory", staging, path, strings.NewReader("evil"), map[string][]string{"hallmark.state": {"signed"}}))
	}, code: reason.SignatureWrongBytes, found: "hallmark.state=signed"},
	"after an answer was given": {prepare: func(r *rig) {
		r.sign("release-a", "sigstore")
		require.True(r.t, r.gate.Inspect(r.t.Context(), gate.Request{Artifact: ref(staging, path), Target: ref(release, path)}).Allow)
		r.put(path, "evil")
	}, code: reason.SignatureWrongBytes},
	"the signature file, by junk": {prepare: func(r *rig) { r.sign("release-a", "sigstore"); r.put(bundle, "junk") }, code: reason.SignatureInvalid},
	"deleted":                     {prepare: func(r *rig) { r.sign("release-a", "raw"); require.NoError(r.t, r.art.Delete("x", staging, path)) }, code: reason.ArtifactGone, fix: "check the path"},
	"the signature file deleted":  {prepare: func(r *rig) { r.sign("release-a", "raw"); require.NoError(r.t, r.art.Delete("x", staging, raw)) }, code: reason.SignatureMissing},
	"without a digest of its own": {prepare: func(r *rig) {
		r.fail(standin.Fault{Path: "/artifactory/api/storage/**", Status: 200, Body: `{"repo":"` + staging + `","path":"/` + path + `","size":"5"}`})
	}, code: reason.DigestUnknown, fix: "upload the file again"},
	"with the facts of another file": {prepare: func(r *rig) {
		r.fail(standin.Fault{Path: "/artifactory/api/storage/**", Status: 200, Body: `{"repo":"` + staging + `","path":"/b.tgz","size":"5"}`})
	}, code: reason.PathRefused, fix: "rename"},
	"an image: bytes that are not reported": {image: func(p *port) {
		p.signed("release-a")
		require.NoError(p.t, p.art.Corrupt(artifactorytest.OCIStaging, imageFile, []byte("{}")))
	}, code: reason.DigestMismatch, fix: "consistency check"},
}

// racing: what changes while the gate looks.
var racing = map[string]attack{
	"the artifact replaced": {
		prepare: func(r *rig) { r.sign("release-a", "raw"); r.meanwhile(func() { r.put(path, "evil") }) }, code: reason.ArtifactChanged, fix: "ask again",
	},
	"the artifact replaced at the last moment": {prepare: func(r *rig) {
		r.sign("release-a", "raw")
		r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/api/storage/**", Match: after(1), Do: func(*http.Request) { r.put(path, "evil") }})
	}, code: reason.ArtifactChanged, fix: "ask again"},
	"the artifact deleted": {prepare: func(r *rig) {
		r.sign("release-a", "raw")
		r.meanwhile(func() { require.NoError(r.t, r.art.Delete("x", staging, path)) })
	}, code: reason.ArtifactGone, fix: "check the path"},
	"the artifact replaced by what the files are of": {prepare: func(r *rig) {
		r.put(path, "evil")
		r.sign("release-a", "raw") // of what comes in a moment
		r.meanwhile(func() { r.put(path, content) })
	}, code: reason.SignatureInvalid},
	"the signature file that is promoted replaced": {prepare: func(r *rig) {
		r.sign("release-a", "sigstore")
		r.sign("release-a", "raw")
		n := 0
		r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + staging + "/" + raw, When: standin.After, Times: -1, Do: func(*http.Request) {
			if n++; n == 2 { // once among the evidence, once for itself
				r.put(raw, "malware")
			}
		}})
	}, ask: asked(staging, raw, release), code: reason.ArtifactChanged, fix: "ask again"},
	"policy loosened meanwhile": {
		policy: strings.Replace(oneSignature, "{lane: release, count: 1}", "{keys: [release-b]}", 1),
		prepare: func(r *rig) {
			r.sign("release-a", "raw")
			r.meanwhile(func() { r.setPolicy(oneSignature) })
		}, code: reason.SignatureWrongKey, fix: "release-b",
	},
	"policy loosened while the second look is taken": {
		policy: strings.Replace(oneSignature, "{lane: release, count: 1}", "{keys: [release-a, release-b], count: 2}", 1),
		prepare: func(r *rig) {
			r.sign("release-a", "raw")
			r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + staging + "/" + bundle, Do: func(*http.Request) { r.setPolicy(oneSignature) }})
		}, code: reason.SignatureMissing, fix: "release-b",
	},
	"an image: the tag moves": {image: func(p *port) {
		p.signed("release-a")
		other := p.New("linux/amd64")
		p.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/api/docker/*/v2/" + imageName + "/referrers/**", Do: func(*http.Request) { p.Push(imageName, ":1.0", other) }})
	}, code: reason.ArtifactChanged, fix: "ask again"},
}

// asked is a request about a path on its way into a repository.
func asked(repo, path, into string) *gate.Request {
	return &gate.Request{Artifact: ref(repo, path), Target: ref(into, path)}
}

// sealed is what a format that is not for files makes of the file's digest.
func sealed(r *rig, format string) []byte {
	r.t.Helper()
	f, ok := seal.Lookup(format)
	require.True(r.t, ok)
	file, err := f.Seal(r.t.Context(), r.keys["release-a"], seal.FromSHA256(artifact.Attachment{Content: []byte(content)}.SHA256()))
	require.NoError(r.t, err)
	return file
}
