package gate_test

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// spki is the pin of a key of the rig.
func (r *rig) spki(key string) artifact.Digest {
	r.t.Helper()
	pub, err := hsm.NewPublic(key, lane(key), r.keys[key].Public())
	require.NoError(r.t, err)
	return pub.SPKI
}

// remember puts on the books that the service made a signature file of some bytes that stood at a path.
func (r *rig) remember(at time.Time, key, format, path, bytes, file string) {
	r.t.Helper()
	subject := artifact.Attachment{Content: []byte(bytes)}.SHA256()
	in, err := r.ledger.Begin(r.t.Context(), ledger.Intent{
		GrantID: "test", Ref: ref(staging, path), Subject: subject, KeyName: key, KeySPKI: r.spki(key), Formats: []string{format},
	})
	require.NoError(r.t, err)
	require.NoError(r.t, r.ledger.Sealed(r.t.Context(), in.ID, []ledger.Signature{{
		Subject: subject, KeyName: key, KeySPKI: r.spki(key), Format: format, Content: []byte(file), MadeAt: at,
	}}))
}

// service signs some bytes at a path as the service does: on the books, and beside the artifact.
func (r *rig) service(at time.Time, key, format, path, bytes string) (file string) {
	r.t.Helper()
	file = r.made(r.keys[key], format, bytes)
	r.remember(at, key, format, path, bytes, file)
	r.put(path+map[string]string{"sigstore": ".sigstore.json", "raw": ".sig"}[format], file)
	return file
}

// twin is the other signature that verifies wherever an ECDSA signature does.
func twin(t testing.TB, pub any, signature string) string {
	t.Helper()
	key, ok := pub.(*ecdsa.PublicKey)
	require.True(t, ok)
	var rs struct{ R, S *big.Int }
	_, err := asn1.Unmarshal([]byte(signature), &rs)
	require.NoError(t, err)
	rs.S.Sub(key.Params().N, rs.S)
	b, err := asn1.Marshal(rs)
	require.NoError(t, err)
	return string(b)
}

// Only the ledger's record of the very file tells when a signature was made.
func TestAgeOfSignatures(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	fresh := strings.Replace(oneSignature, "count: 1}", "count: 1, maxAge: 30d}", 1)
	for name, c := range map[string]struct {
		prepare func(r *rig)
		code    reason.Code
		found   string
	}{
		"young":         {func(r *rig) { r.service(time.Now().Add(-29*day), "release-a", "sigstore", path, content) }, "", ""},
		"old":           {func(r *rig) { r.service(time.Now().Add(-31*day), "release-a", "sigstore", path, content) }, reason.SignatureStale, "made "},
		"not on record": {func(r *rig) { r.sign("release-a", "sigstore") }, reason.SignatureUndated, "not on record"},
		"twin of a recorded one": {func(r *rig) {
			made := r.service(time.Now(), "release-a", "raw", path, content)
			r.put(raw, twin(r.t, r.keys["release-a"].Public(), made))
		}, reason.SignatureUndated, "not on record"},
		"record of another format": {func(r *rig) {
			r.sign("release-a", "raw")
			file, err := r.art.Content(staging, raw)
			require.NoError(r.t, err)
			r.remember(time.Now(), "release-a", "sigstore", path, content, string(file))
		}, reason.SignatureUndated, "not on record"},
		"record of another key": {func(r *rig) {
			r.sign("release-a", "raw")
			file, err := r.art.Content(staging, raw)
			require.NoError(r.t, err)
			r.remember(time.Now(), "release-b", "raw", path, content, string(file))
		}, reason.SignatureUndated, "not on record"},
		"young behind an old": {func(r *rig) {
			r.service(time.Now().Add(-31*day), "release-a", "sigstore", path, content)
			r.service(time.Now(), "release-b", "raw", path, content)
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, fresh)
			c.prepare(r)
			v := r.check(path)
			require.True(t, v.Decided)
			if c.code == "" {
				require.True(t, v.Allow, "%+v", v.Reasons)
				require.NotZero(t, v.Signatures[0].At)
				return
			}
			require.Equal(t, []reason.Code{c.code}, codes(v))
			require.Contains(t, v.Reasons[0].Found, c.found)
		})
	}
}

// What a retired key signed in its time counts; what it signed later, or nobody knows when, does not.
func TestSignaturesByRetiredKeys(t *testing.T) {
	t.Parallel()
	end := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	for name, c := range map[string]struct {
		prepare func(r *rig)
		code    reason.Code
	}{
		"in its time":    {func(r *rig) { r.service(end.Add(-time.Second), "release-a", "sigstore", path, content) }, ""},
		"later":          {func(r *rig) { r.service(end, "release-a", "sigstore", path, content) }, reason.KeyRetired},
		"nobody knows":   {func(r *rig) { r.sign("release-a", "sigstore") }, reason.KeyRetired},
		"by another too": {func(r *rig) { r.sign("release-a", "sigstore"); r.sign("release-b", "raw") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			r.retired = map[string]time.Time{"release-a": end}
			r.setPolicy(oneSignature)
			c.prepare(r)
			v := r.check(path)
			require.True(t, v.Decided)
			if c.code == "" {
				require.True(t, v.Allow, "%+v", v.Reasons)
				return
			}
			require.Equal(t, []reason.Code{c.code}, codes(v))
			require.Contains(t, v.Reasons[0].Found, "retired since")
			// A signature file of a retired key does not slip through beside one that counts.
			r.sign("release-b", "raw")
			require.True(t, r.check(path).Allow)
			require.Equal(t, []reason.Code{c.code}, codes(r.check(bundle)))
		})
	}
}

// The ledger knows what a foreign signature file was made for.
func TestForeignSignaturesAreNamed(t *testing.T) {
	t.Parallel()
	other := "app/1.0/b.tgz"
	for name, c := range map[string]struct {
		prepare func(r *rig)
		code    reason.Code
		found   []string
	}{
		"bundle of another artifact": {func(r *rig) {
			r.put(bundle, r.service(time.Now(), "release-a", "sigstore", other, "other"))
		}, reason.SignatureSwapped, []string{"a.tgz.sigstore.json is by release-a, made ", "it is the signature of " + staging + "/" + other + ", SHA-256 "}},
		"raw signature of another artifact": {func(r *rig) {
			r.put(raw, r.service(time.Now(), "release-a", "raw", other, "other"))
		}, reason.SignatureSwapped, []string{staging + "/" + other}},
		"under another format's name": {func(r *rig) {
			r.put(bundle, r.service(time.Now(), "release-a", "raw", other, "other"))
		}, reason.SignatureSwapped, []string{staging + "/" + other}},
		"of what stood here": {func(r *rig) {
			r.service(time.Now(), "release-a", "sigstore", path, content)
			r.put(path, "evil")
		}, reason.SignatureWrongBytes, []string{"is by release-a", "stood here before"}},
		"raw, of what stood here": {func(r *rig) {
			r.service(time.Now(), "release-a", "raw", path, content)
			r.put(path, "evil")
		}, reason.SignatureWrongBytes, []string{"is by release-a", "stood here before"}},
		"of what was promoted here": {func(r *rig) {
			r.put(bundle, r.service(time.Now(), "release-a", "sigstore", other, "other"))
			require.NoError(r.t, r.ledger.Finish(r.t.Context(), ledger.Outcome{
				Ref: ref(staging, path), Subject: artifact.Attachment{Content: []byte("other")}.SHA256(), State: ledger.Signed,
			}))
		}, reason.SignatureWrongBytes, []string{"stood here before"}},
		"the ledger has never held it": {func(r *rig) {
			r.put(bundle, r.made(r.keys["release-a"], "sigstore", "other"))
		}, reason.SignatureWrongBytes, nil},
		"damaged": {func(r *rig) {
			r.put(bundle, r.service(time.Now(), "release-a", "sigstore", other, "other")[1:])
		}, reason.SignatureInvalid, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			r.put(other, "other")
			c.prepare(r)
			v := r.check(path)
			require.True(t, v.Decided)
			require.Equal(t, []reason.Code{c.code}, codes(v))
			for _, part := range c.found {
				require.Contains(t, v.Reasons[0].Found, part)
			}
			require.Equal(t, "hallmark sign "+staging+"/"+path, v.Reasons[0].Fix[strings.Index(v.Reasons[0].Fix, "hallmark"):][:len("hallmark sign "+staging+"/"+path)])
		})
	}
}

const forbidding = signingPolicy + `kind: GatePolicy
name: libs-release
owner: release-managers
target: {repositories: [` + release + `], paths: ["**/*.tgz"]}
require:
  signatures:
    - {keys: [release-a]}
  forbidden: {lane: development}
`

// Who deletes the file of a forbidden key's signature does not undo the signature.
func TestForbiddenSignaturesAreRemembered(t *testing.T) {
	t.Parallel()
	r := newRig(t, forbidding)
	r.sign("release-a", "sigstore")
	require.True(t, r.check(path).Allow)
	r.service(time.Now(), "dev-a", "raw", path, content)
	v := r.check(path)
	require.Equal(t, []reason.Code{reason.KeyForbidden}, codes(v))
	require.Contains(t, v.Reasons[0].Found, "a.tgz.sig by dev-a")
	require.NoError(t, r.art.Delete("x", staging, raw))
	v = r.check(path)
	require.Equal(t, []reason.Code{reason.KeyForbidden}, codes(v))
	require.Contains(t, v.Reasons[0].Found, "the ledger's record of a signature of these bytes by dev-a")
	require.Len(t, v.Signatures, 1, "what is told of files is told of files that are there")

	r.put("app/1.0/b.tgz", "other")
	r.put("app/1.0/b.tgz.sigstore.json", r.made(r.keys["release-a"], "sigstore", "other"))
	require.True(t, r.check("app/1.0/b.tgz").Allow, "other bytes are not touched by it")
}

// The ledger's word counts against an artifact, never for it: without the file there is no signature.
func TestTheLedgerAloneIsNoSignature(t *testing.T) {
	t.Parallel()
	warns := strings.Replace(forbidding, "forbidden: {lane: development}", "forbidden: {keys: [release-b]}", 1)
	warns = strings.Replace(warns, "owner: release-managers\ntarget", "owner: release-managers\nmode: warn\ntarget", 1)
	enforces := strings.TrimPrefix(strings.NewReplacer("name: libs-release", "name: enforces").Replace(oneSignature), signingPolicy)
	r := newRig(t, warns+"---\n"+enforces)
	r.remember(time.Now(), "release-b", "raw", path, content, r.made(r.keys["release-b"], "raw", content))
	v := r.check(path)
	require.False(t, v.Allow, "%+v", v)
	require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(v))
}

// Without the ledger nothing is let in, and nobody waits for it.
func TestLedgerOutOfReach(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.sign("release-a", "sigstore")
	books := ledgertest.OpenConfig(t, ledger.Config{URL: ledgertest.URL(t, ledger.Postgres)})
	r.gate.Ledger, r.ledger = books, books
	require.True(t, r.check(path).Allow)
	tx, err := books.SQL().BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), `LOCK TABLE signature IN ACCESS EXCLUSIVE MODE`)
	require.NoError(t, err)
	v := r.ask(gate.Request{Artifact: ref(staging, path), Target: ref(release, path)})
	require.False(t, v.Allow)
	require.Equal(t, []reason.Code{reason.Undecided}, codes(v))
	require.Contains(t, v.Reasons[0].Found, "the ledger, which knows when")
	require.NoError(t, tx.Rollback())
	require.True(t, r.check(path).Allow)
}
