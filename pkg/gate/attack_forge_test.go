package gate_test

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const other = "app/1.0/b.tgz" // another artifact, of which the service made signatures

// forging: signatures, or the look of them, that no pinned key made.
var forging = map[string]attack{
	"nothing at all": {prepare: func(*rig) {}, code: reason.SignatureMissing, found: "no signature by a release key"},
	"the property that says signed": {
		prepare: func(r *rig) { r.mark("signed") }, code: reason.PropertyFalse, found: "its properties say hallmark.state=signed",
	},
	"the property beside a stranger's signature": {
		prepare: func(r *rig) { r.mark("signed"); r.put(bundle, r.made(stranger(r), "sigstore", content)) },
		code:    reason.SignatureWrongKey, found: "its properties say hallmark.state=signed",
	},
	"a stranger's bundle":    {prepare: func(r *rig) { r.put(bundle, r.made(stranger(r), "sigstore", content)) }, code: reason.SignatureWrongKey, found: "not pinned"},
	"a stranger's signature": {prepare: func(r *rig) { r.put(raw, r.made(stranger(r), "raw", content)) }, code: reason.SignatureInvalid},
	"a stranger's in a pinned key's bundle": {
		prepare: func(r *rig) { r.put(bundle, disguised(r)) }, code: reason.SignatureInvalid, found: "is by release-a",
	},
	"a stranger's bundle with a pinned key's hint": {
		prepare: func(r *rig) { r.put(bundle, hinted(r.made(stranger(r), "sigstore", content), r)) }, code: reason.SignatureInvalid, found: "is by release-a",
	},
	"a stranger's bundle without a hint": {
		prepare: func(r *rig) { r.put(bundle, without(r.made(stranger(r), "sigstore", content), "hint")) }, code: reason.SignatureInvalid,
	},
	"a bundle that says these bytes and signs others": {
		prepare: func(r *rig) { r.put(bundle, swapDigest(r.made(r.keys["release-a"], "sigstore", "other"), content)) }, code: reason.SignatureInvalid,
	},
	"a certificate of one's own in the bundle": {prepare: func(r *rig) { r.put(bundle, certified(r)) }, code: reason.SignatureWrongKey},
	"a bundle cut off":                         {prepare: func(r *rig) { r.put(bundle, r.made(r.keys["release-a"], "sigstore", content)[:200]) }, code: reason.SignatureInvalid},
	"a page instead":                           {prepare: func(r *rig) { r.put(bundle, "<html>not found</html>") }, code: reason.SignatureInvalid},
	"an empty bundle":                          {prepare: func(r *rig) { r.put(bundle, "") }, code: reason.SignatureInvalid, found: "empty"},
	"an empty object":                          {prepare: func(r *rig) { r.put(bundle, "{}") }, code: reason.SignatureInvalid},
	"an endless bundle":                        {prepare: func(r *rig) { r.put(bundle, strings.Repeat(" ", 3<<20)+"{}") }, code: reason.SignatureInvalid, found: "more than"},
	"a deep bundle":                            {prepare: func(r *rig) { r.put(bundle, strings.Repeat(`{"a":`, 20_000)) }, code: reason.SignatureInvalid},
	"a signature of zeroes":                    {prepare: func(r *rig) { r.put(raw, "\x30\x06\x02\x01\x00\x02\x01\x00") }, code: reason.SignatureInvalid},
	"a signature with padding":                 {prepare: func(r *rig) { r.put(raw, r.made(r.keys["release-a"], "raw", content)+"\x00") }, code: reason.SignatureInvalid},
	"an image: a stranger's": {
		image: func(p *port) { p.attach(p.bundle(stranger(p.rig), "cosign", p.image)) }, code: reason.SignatureWrongKey,
	},
	"an image: another predicate": {image: func(p *port) {
		p.statement(func(s map[string]any) { s["predicateType"] = "https://slsa.dev/provenance/v1" })
	}, code: reason.SignatureInvalid},
	"an image: a statement that was edited": {image: func(p *port) {
		p.statement(func(s map[string]any) { s["predicate"] = map[string]any{"x": 1} })
	}, code: reason.SignatureInvalid},
	"an image: two signatures in one": {image: func(p *port) {
		p.envelope(func(e map[string]any) { s, _ := e["signatures"].([]any); e["signatures"] = append(s, s...) })
	}, code: reason.SignatureInvalid},
	"an image: an envelope without a signature": {
		image: func(p *port) { p.envelope(func(e map[string]any) { e["signatures"] = []any{} }) }, code: reason.SignatureInvalid,
	},
	"an image: so many referrers that the signature is hidden": {image: func(p *port) {
		p.signed("release-a")
		for i := range 64 {
			p.Refer(imageName, p.image, "application/spdx+json", []byte{byte(i)})
		}
	}, code: reason.SignaturesTooMany, fix: "delete the referrers"},
}

// swapping: signatures that a pinned key made, of something else.
var swapping = map[string]attack{
	"the bundle of another artifact": {prepare: func(r *rig) {
		r.put(bundle, r.service(time.Now(), "release-a", "sigstore", other, "other"))
	}, code: reason.SignatureSwapped, found: "it is the signature of " + staging + "/" + other},
	"the raw signature of another artifact": {prepare: func(r *rig) {
		r.put(raw, r.service(time.Now(), "release-a", "raw", other, "other"))
	}, code: reason.SignatureSwapped, found: "it is the signature of " + staging + "/" + other},
	"the signature of another version": {prepare: func(r *rig) {
		r.put(bundle, r.service(time.Now(), "release-a", "sigstore", "app/0.9/a.tgz", "older"))
	}, code: reason.SignatureSwapped, found: staging + "/app/0.9/a.tgz"},
	"another artifact's, under another format's name": {prepare: func(r *rig) {
		r.put(bundle, r.service(time.Now(), "release-a", "raw", other, "other"))
	}, code: reason.SignatureSwapped},
	"a bundle under the raw signature's name": {prepare: func(r *rig) { r.put(raw, r.made(r.keys["release-a"], "sigstore", content)) }, code: reason.SignatureInvalid},
	"a raw signature under the bundle's name": {prepare: func(r *rig) { r.put(bundle, r.made(r.keys["release-a"], "raw", content)) }, code: reason.SignatureInvalid},
	"one that the ledger has never held":      {prepare: func(r *rig) { r.put(bundle, r.made(r.keys["release-a"], "sigstore", "other")) }, code: reason.SignatureWrongBytes, found: "is by release-a"},
	"under the name of another file":          {prepare: func(r *rig) { r.put(other+".sigstore.json", r.made(r.keys["release-a"], "sigstore", content)) }, code: reason.SignatureMissing},
	"in another folder":                       {prepare: func(r *rig) { r.put("app/a.tgz.sigstore.json", r.made(r.keys["release-a"], "sigstore", content)) }, code: reason.SignatureMissing},
	"an image's signature for a file": {prepare: func(r *rig) {
		r.put(bundle, string(sealed(r, "cosign")))
	}, code: reason.SignatureInvalid},
	"an image's older signature for a file": {prepare: func(r *rig) {
		r.put(bundle, string(sealed(r, "cosign-tag")))
	}, code: reason.SignatureInvalid},
	"a release bundle's evidence for a file": {prepare: func(r *rig) {
		r.put(bundle, string(sealed(r, "evidence")))
	}, code: reason.SignatureInvalid},
	"an image: a file's signature of the same bytes": {image: func(p *port) {
		p.attach([]byte(p.made(p.keys["release-a"], "sigstore", string(p.image.Raw))))
	}, code: reason.SignatureInvalid},
	"an image: the older scheme's text as a bundle": {image: func(p *port) {
		p.attach(p.bundle(p.keys["release-a"], "cosign-tag", p.image))
	}, code: reason.SignatureInvalid},
	"an image: the signature of another": {image: func(p *port) {
		p.attach(p.bundle(p.keys["release-a"], "cosign", p.New("linux/arm64")))
	}, code: reason.SignatureWrongBytes},
	"an image: one platform's signature for the whole": {image: func(p *port) {
		index, children := p.NewIndex("linux/amd64", "linux/arm64")
		p.Push(imageName, ":3.0", index)
		p.Refer(imageName, index, bundleType, p.bundle(p.keys["release-a"], "cosign", children[0]))
	}, ask: asked(artifactorytest.OCIStaging, imageName+"/3.0/list.manifest.json", artifactorytest.OCIRelease), code: reason.SignatureWrongBytes, fix: "hallmark sign"},
}

// hinted is a bundle that names a pinned key.
func hinted(bundle string, r *rig) string {
	spki := r.spki("release-a")
	return edit(bundle, func(m map[string]any) {
		at(at(m, "verificationMaterial"), "publicKey")["hint"] = base64.StdEncoding.EncodeToString(spki[:])
	})
}
