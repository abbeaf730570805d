package gate_test

import (
	"strings"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const twoOfTwo = "{keys: [release-a, release-b], count: 2}"

// demanding is oneSignature with another line of demands.
func demanding(line string) string {
	return strings.Replace(oneSignature, "{lane: release, count: 1}", line, 1)
}

// beside is a second gate policy for the same place.
const beside = `---
kind: GatePolicy
name: lenient
owner: developers
target: {repositories: [` + release + `]}
`

// downgrading: less than is demanded, or a place where less is demanded.
var downgrading = map[string]attack{
	"a weaker format only": {
		policy: demanding("{lane: release, count: 1, formats: [sigstore]}"), prepare: func(r *rig) { r.sign("release-a", "raw") }, code: reason.SignatureMissing,
	},
	"the second signature in another format": {
		policy:  demanding("{keys: [release-a, release-b], count: 2, formats: [sigstore]}"),
		prepare: func(r *rig) { r.sign("release-a", "sigstore"); r.signAs("release-b", "raw", false) }, code: reason.SignatureMissing, fix: "release-b",
	},
	"one key for two: two formats": {
		policy: demanding(twoOfTwo), prepare: func(r *rig) { r.sign("release-a", "sigstore"); r.sign("release-a", "raw") },
		code: reason.SignatureMissing, found: "1 of 2: signed by release-a", fix: "release-b",
	},
	"one key for two: two names": {policy: demanding(twoOfTwo), prepare: func(r *rig) {
		r.sign("release-a", "sigstore")
		r.put("app/1.0/a.tgz.release-b.sigstore.json", r.made(r.keys["release-a"], "sigstore", content))
	}, code: reason.SignatureMissing, found: "1 of 2: signed by release-a", fix: "release-b"},
	"one key for two: its hint edited": {policy: demanding(twoOfTwo), prepare: func(r *rig) {
		r.sign("release-b", "sigstore")
		r.put("app/1.0/a.tgz.release-a.sigstore.json", hinted(r.made(r.keys["release-b"], "sigstore", content), r))
	}, code: reason.SignatureInvalid, found: "1 of 2: signed by release-b"},
	"one key for two: a signature and its twin": {policy: demanding(twoOfTwo), prepare: func(r *rig) {
		r.sign("release-a", "raw")
		r.put("app/1.0/a.tgz.release-b.sig", twin(r.t, r.keys["release-a"].Public(), r.made(r.keys["release-a"], "raw", content)))
	}, code: reason.SignatureMissing, found: "1 of 2: signed by release-a", fix: "release-b"},
	"a development key": {
		prepare: func(r *rig) { r.sign("dev-a", "sigstore"); r.sign("dev-a", "raw") }, code: reason.KeyDevelopment, found: "is by dev-a",
	},
	"a development key under a release key's name": {
		prepare: func(r *rig) { r.put("app/1.0/a.tgz.release-a.sig", r.made(r.keys["dev-a"], "raw", content)) }, code: reason.KeyDevelopment, found: "is by dev-a",
	},
	"another release key than the one demanded": {
		policy: demanding("{keys: [release-b]}"), prepare: func(r *rig) { r.sign("release-a", "sigstore") }, code: reason.SignatureWrongKey, fix: "release-b",
	},
	"a lower level of trust": {
		policy: strings.Replace(oneSignature, "  signatures:", "  trustLevel: 3\n  signatures:", 1), prepare: func(r *rig) { r.sign("release-a", "sigstore") }, code: reason.TrustLevelLow,
	},
	"a gate that only warns beside the one that counts": {
		policy:  oneSignature + beside + "mode: warn\nrequire: {signatures: [{lane: development}]}\n",
		prepare: func(r *rig) { r.sign("dev-a", "sigstore") }, code: reason.KeyDevelopment,
	},
	"the lenient one of two gates": {
		policy:  oneSignature + beside + "require: {signatures: [{lane: development}]}\n",
		prepare: func(r *rig) { r.sign("dev-a", "sigstore") }, code: reason.KeyDevelopment,
	},
	"a development key's signature that is forbidden": {
		policy: forbidding, prepare: func(r *rig) { r.sign("release-a", "sigstore"); r.sign("dev-a", "raw") }, code: reason.KeyForbidden, found: "by dev-a", fix: "build it anew",
	},
	"the target in capitals": {
		prepare: signedWell, ask: asked(staging, path, strings.ToUpper(release)), code: reason.NoGatePolicy, fix: "target of a GatePolicy",
	},
	"the target with a dot behind it": {
		prepare: signedWell, ask: asked(staging, path, release+"."), code: reason.NoGatePolicy, fix: "target of a GatePolicy",
	},
	"a target that does not exist": {
		prepare: signedWell, ask: asked(staging, path, "libs-releases"), code: reason.NoGatePolicy, fix: "target of a GatePolicy",
	},
	"the virtual repository in front of the target": {
		prepare: func(r *rig) {
			signedWell(r)
			require.NoError(r.t, r.art.AddRepository(standin.Repository{Key: "libs-release", Class: standin.Virtual, Members: []string{release}}))
		}, ask: asked(staging, path, "libs-release"), code: reason.NoGatePolicy, fix: "target of a GatePolicy",
	},
	"a path at the target that no gate covers": {
		prepare: func(r *rig) { r.put("app/1.0/a.bin", content) }, ask: asked(staging, "app/1.0/a.bin", release), code: reason.NoGatePolicy, fix: "target of a GatePolicy",
	},
	"the path with an encoded slash": {
		prepare: signedWell, ask: asked(staging, "app%2F1.0/a.tgz", release), code: reason.ArtifactGone, fix: "check the path",
	},
	"the path in capitals": {
		prepare: signedWell, ask: asked(staging, strings.ToUpper(path[:3])+path[3:], release), code: reason.ArtifactGone, fix: "check the path",
	},
	"properties in the path": {
		prepare: signedWell, ask: asked(staging, "app/1.0/a;hallmark.state=signed.tgz", release), code: reason.PathRefused, fix: "rename",
	},
	"a path into an archive": {
		prepare: signedWell, ask: asked(staging, "app/1.0/x.zip!/a.tgz", release), code: reason.PathRefused, fix: "rename",
	},
	"a folder": {policy: strings.Replace(oneSignature, "**/*.tgz", "**", 1), prepare: signedWell, ask: asked(staging, "app", release), code: reason.NotAFile, fix: "path of a file"},
	"signed in one member of a virtual repository, taken from another": {
		prepare: func(r *rig) {
			signedWell(r)
			require.NoError(r.t, r.art.AddRepository(standin.Repository{Key: "evil", Class: standin.Local}))
			require.NoError(r.t, r.art.Put("mallory", "evil", path, strings.NewReader("evil"), nil))
			require.NoError(r.t, r.art.AddRepository(standin.Repository{Key: "all", Class: standin.Virtual, Members: []string{"evil", staging}}))
		}, ask: asked("all", path, release), code: reason.SignatureMissing, fix: "evil/" + path,
	},
	"an image: a development key": {image: func(p *port) { p.signed("dev-a") }, code: reason.KeyDevelopment},
	"an image: the older scheme where it is not accepted": {image: func(p *port) {
		p.setPolicy(strings.Replace(imageGate, "count: 1}", "count: 1, formats: [cosign]}", 1))
		p.legacy()
	}, code: reason.SignatureMissing},
}

func signedWell(r *rig) { r.sign("release-a", "sigstore") }

// legacy signs the image in cosign's older scheme.
func (p *port) legacy() {
	p.t.Helper()
	client := newClient(p.t, p.art.URL(), artifactorytest.CI)
	meaning, err := artifact.Resolve(p.t.Context(), client, ref(artifactorytest.OCIStaging, imageFile))
	require.NoError(p.t, err)
	_, err = client.Refer(p.t.Context(), meaning.Whole(), "cosign-tag", p.bundle(p.keys["release-a"], "cosign-tag", p.image))
	require.NoError(p.t, err)
}
