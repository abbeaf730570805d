package gate_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

const (
	bundle = path + ".sigstore.json"
	raw    = path + ".sig"
)

// attack is what may lie in the repository, and the verdict on it.
type attack struct {
	prepare func(r *rig)
	code    reason.Code // "" allows
	found   string      // part of what the reason has found
}

var attacks = map[string]attack{
	"signed with a bundle":        {prepare: func(r *rig) { r.sign("release-a", "sigstore") }},
	"signed raw":                  {prepare: func(r *rig) { r.sign("release-b", "raw") }},
	"signed by the second key":    {prepare: func(r *rig) { r.signAs("release-b", "sigstore", false) }},
	"damaged file beside a good":  {prepare: func(r *rig) { r.sign("release-a", "raw"); r.put(bundle, "{") }},
	"good file behind a damaged":  {prepare: func(r *rig) { r.put(bundle, "{"); r.put(raw, "x"); r.signAs("release-a", "sigstore", false) }},
	"bundle that names no key":    {prepare: func(r *rig) { r.put(bundle, without(r.made(r.keys["release-a"], "sigstore", content), "hint")) }},
	"signed, and properties deny": {prepare: func(r *rig) { r.sign("release-a", "raw"); r.mark("denied") }},

	"unsigned":        {prepare: func(*rig) {}, code: reason.SignatureMissing, found: "no signature by a release key"},
	"forged property": {prepare: func(r *rig) { r.mark("signed") }, code: reason.PropertyFalse, found: "its properties say hallmark.state=signed"},
	"forged property beside a stranger's signature": {
		prepare: func(r *rig) { r.mark("signed"); r.put(bundle, r.made(stranger(r), "sigstore", content)) }, code: reason.SignatureWrongKey, found: "its properties say hallmark.state=signed",
	},
	"file of another name":  {prepare: func(r *rig) { r.put("app/1.0/b.tgz.sigstore.json", r.made(r.keys["release-a"], "sigstore", content)) }, code: reason.SignatureMissing},
	"file elsewhere":        {prepare: func(r *rig) { r.put("app/a.tgz.sigstore.json", r.made(r.keys["release-a"], "sigstore", content)) }, code: reason.SignatureMissing},
	"swapped bundle":        {prepare: func(r *rig) { r.put(bundle, r.made(r.keys["release-a"], "sigstore", "other")) }, code: reason.SignatureWrongBytes, found: "is by release-a"},
	"swapped raw signature": {prepare: func(r *rig) { r.put(raw, r.made(r.keys["release-a"], "raw", "other")) }, code: reason.SignatureInvalid},
	"overwritten after signing": {
		prepare: func(r *rig) { r.sign("release-a", "sigstore"); r.sign("release-a", "raw"); r.put(path, "evil") }, code: reason.SignatureWrongBytes,
	},
	"development key":  {prepare: func(r *rig) { r.sign("dev-a", "sigstore"); r.sign("dev-a", "raw") }, code: reason.KeyDevelopment, found: "is by dev-a"},
	"unknown key":      {prepare: func(r *rig) { r.put(bundle, r.made(stranger(r), "sigstore", content)) }, code: reason.SignatureWrongKey, found: "not pinned"},
	"unknown key, raw": {prepare: func(r *rig) { r.put(raw, r.made(stranger(r), "raw", content)) }, code: reason.SignatureInvalid},
	"unknown key in disguise": {
		prepare: func(r *rig) { r.put(bundle, disguised(r)) }, code: reason.SignatureInvalid, found: "is by release-a",
	},
	"bundle says these bytes but signs others": {
		prepare: func(r *rig) {
			r.put(bundle, swapDigest(r.made(r.keys["release-a"], "sigstore", "other"), content))
		}, code: reason.SignatureInvalid,
	},
	"damaged bundle":      {prepare: func(r *rig) { r.put(bundle, r.made(r.keys["release-a"], "sigstore", content)[:200]) }, code: reason.SignatureInvalid},
	"bundle with a cert":  {prepare: func(r *rig) { r.put(bundle, certified(r)) }, code: reason.SignatureWrongKey},
	"no bundle":           {prepare: func(r *rig) { r.put(bundle, "<html>not found</html>") }, code: reason.SignatureInvalid},
	"empty bundle":        {prepare: func(r *rig) { r.put(bundle, "") }, code: reason.SignatureInvalid, found: "empty"},
	"empty object":        {prepare: func(r *rig) { r.put(bundle, "{}") }, code: reason.SignatureInvalid},
	"oversized bundle":    {prepare: func(r *rig) { r.put(bundle, strings.Repeat(" ", 3<<20)+"{}") }, code: reason.SignatureInvalid, found: "more than"},
	"deep bundle":         {prepare: func(r *rig) { r.put(bundle, strings.Repeat(`{"a":`, 20_000)) }, code: reason.SignatureInvalid},
	"raw signature, zero": {prepare: func(r *rig) { r.put(raw, "\x30\x06\x02\x01\x00\x02\x01\x00") }, code: reason.SignatureInvalid},
	"raw behind padding":  {prepare: func(r *rig) { r.put(raw, r.made(r.keys["release-a"], "raw", content)+"\x00") }, code: reason.SignatureInvalid},

	"artifact missing": {prepare: func(r *rig) { r.sign("release-a", "raw"); require.NoError(r.t, r.art.Delete("x", staging, path)) }, code: reason.ArtifactGone},
	"no digest is known": {
		prepare: func(r *rig) {
			r.fail(standin.Fault{Path: "/artifactory/api/storage/**", Status: 200, Body: `{"repo":"` + staging + `","path":"/` + path + `","size":"5"}`})
		}, code: reason.DigestUnknown,
	},
	"facts of another file": {
		prepare: func(r *rig) {
			r.fail(standin.Fault{Path: "/artifactory/api/storage/**", Status: 200, Body: `{"repo":"` + staging + `","path":"/b.tgz","size":"5"}`})
		}, code: reason.PathRefused,
	},
	"replaced while checking": {
		prepare: func(r *rig) { r.sign("release-a", "raw"); r.meanwhile(func() { r.put(path, "evil") }) }, code: reason.ArtifactChanged,
	},
	"deleted while checking": {
		prepare: func(r *rig) {
			r.sign("release-a", "raw")
			r.meanwhile(func() { require.NoError(r.t, r.art.Delete("x", staging, path)) })
		}, code: reason.ArtifactGone,
	},
}

// Invariant 7: properties are never evidence; signatures are, by pinned keys, over the bytes' digest.
func TestGateBelievesSignaturesOnly(t *testing.T) {
	t.Parallel()
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			a.prepare(r)
			v := r.check(path)
			require.True(t, v.Decided)
			require.Equal(t, a.code == "", v.Allow, "%+v", v.Reasons)
			if a.code != "" {
				require.Equal(t, []reason.Code{a.code}, codes(v))
				require.Contains(t, v.Reasons[0].Found, a.found)
			}
			asked := 0
			for _, req := range r.art.Requests() {
				require.Equal(t, http.MethodGet, req.Method, "the gate writes nothing")
				if strings.Contains(req.Target, "properties") {
					asked++
				}
			}
			if v.Allow {
				require.Zero(t, asked, "nothing is allowed for a property")
			}
			require.LessOrEqual(t, asked, 1)
			kept, err := r.ledger.Verdicts(t.Context(), ref(staging, path), 10)
			require.NoError(t, err)
			require.Len(t, kept, 1)
			require.Equal(t, v.Allow, kept[0].Allow)
			require.Equal(t, "ci", kept[0].Caller)
			require.Equal(t, v.SHA256, kept[0].Subject)
			require.Equal(t, ref(release, path), kept[0].Target)
			require.Len(t, kept[0].Reasons, len(v.Reasons))
		})
	}
}

// meanwhile lets something happen when the gate reads the first signature file.
func (r *rig) meanwhile(do func()) {
	r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + staging + "/**", Do: func(*http.Request) { do() }})
}

// mark writes what only the service should write.
func (r *rig) mark(state string) {
	r.t.Helper()
	require.NoError(r.t, r.art.Put("mallory", staging, path, strings.NewReader(content), map[string][]string{
		"hallmark.state": {state}, "hallmark.sha256": {artifact.Attachment{Content: []byte(content)}.SHA256().String()}, "hallmark.keys": {"release-a"},
	}))
}

func stranger(r *rig) *sealtest.Key { return sealtest.NewKey(r.t, "P-256", "stranger") }

// edit changes a bundle.
func edit(bundle string, change func(map[string]any)) string {
	m := map[string]any{}
	if err := json.Unmarshal([]byte(bundle), &m); err != nil {
		return err.Error()
	}
	change(m)
	b, err := json.Marshal(m)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func at(m map[string]any, key string) map[string]any {
	inner, _ := m[key].(map[string]any)
	return inner
}

func without(bundle, field string) string {
	return edit(bundle, func(m map[string]any) { delete(at(at(m, "verificationMaterial"), "publicKey"), field) })
}

// disguised is a stranger's bundle that claims to be by a pinned key.
func disguised(r *rig) string {
	return edit(r.made(r.keys["release-a"], "sigstore", content), func(m map[string]any) {
		at(m, "messageSignature")["signature"] = base64.StdEncoding.EncodeToString([]byte(r.made(stranger(r), "raw", content)))
	})
}

func swapDigest(bundle, content string) string {
	d := artifact.Attachment{Content: []byte(content)}.SHA256()
	return edit(bundle, func(m map[string]any) {
		at(at(m, "messageSignature"), "messageDigest")["digest"] = base64.StdEncoding.EncodeToString(bytes.Clone(d[:]))
	})
}

func certified(r *rig) string {
	return edit(r.made(r.keys["release-a"], "sigstore", content), func(m map[string]any) {
		m["verificationMaterial"] = map[string]any{"certificate": map[string]any{"rawBytes": "AAAA"}}
	})
}
