package gate_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// falsified: genuine signatures by a pinned key that carry what is not true. Each is refused, whatever level is demanded: a
// false certificate does not make it a signature without one.
var falsified = map[string]struct {
	bundle func(r *trustRig) string
	code   reason.Code
}{
	"the log's proof of another signature": {func(r *trustRig) string {
		other := material(r.t, r.sealed(r.realm, "release-a", "sigstore", "other bytes"))["tlogEntries"]
		return edited(r.t, r.sealed(r.realm, "release-a", "sigstore", content), func(m map[string]any) { m["tlogEntries"] = other })
	}, reason.LogProofInvalid},
	"no log entry": {func(r *trustRig) string {
		return edited(r.t, r.sealed(r.realm, "release-a", "sigstore", content), func(m map[string]any) { delete(m, "tlogEntries") })
	}, reason.LogProofInvalid},
	"an entry in a log that nobody knows": {func(r *trustRig) string {
		own := r.notaryOf(r.realm)
		cert, err := own.Certificate(r.t.Context())
		require.NoError(r.t, err)
		return r.patched(r.other, func(p *patchwork) { p.certificate, p.stamps = cert, own })
	}, reason.LogUnknown},
	"the time-stamp of another signature": {func(r *trustRig) string {
		other := material(r.t, r.sealed(r.realm, "release-a", "sigstore", "other bytes"))["timestampVerificationData"]
		return edited(r.t, r.sealed(r.realm, "release-a", "sigstore", content), func(m map[string]any) { m["timestampVerificationData"] = other })
	}, reason.TimestampInvalid},
	"a time-stamp by an authority that nobody knows": {func(r *trustRig) string {
		return r.patched(r.realm, func(p *patchwork) { p.stamps = r.notaryOf(r.other) })
	}, reason.TimestampInvalid},
	"no time-stamp": {func(r *trustRig) string {
		return edited(r.t, r.sealed(r.realm, "release-a", "sigstore", content), func(m map[string]any) { delete(m, "timestampVerificationData") })
	}, reason.TimestampInvalid},
	"a time-stamp from before the certificate": {func(r *trustRig) string {
		cert := r.issued(func(c *trust.AuthorityConfig) {
			c.Now = func() time.Time { return time.Now().Add(48 * time.Hour) }
		})
		return r.patched(r.realm, func(p *patchwork) { p.certificate = cert })
	}, reason.CertificateExpired},
	"a certificate by an authority that nobody knows": {func(r *trustRig) string {
		cert, err := r.notaryOf(r.other).Certificate(r.t.Context())
		require.NoError(r.t, err)
		return r.patched(r.realm, func(p *patchwork) { p.certificate = cert })
	}, reason.CertificateUntrusted},
	"a certificate with another identity": {func(r *trustRig) string {
		cert, err := r.notaryOf(r.realm).Certificate(r.t.Context())
		require.NoError(r.t, err)
		swapped := bytes.ReplaceAll(cert, []byte("/keys/release-a"), []byte("/keys/release-b"))
		require.NotEqual(r.t, cert, swapped)
		return r.patched(r.realm, func(p *patchwork) { p.certificate = swapped })
	}, reason.CertificateUntrusted},
	"a certificate that promises another log": {func(r *trustRig) string {
		cert := r.issued(func(c *trust.AuthorityConfig) { c.SCT = r.other.Keys.SCT })
		return r.patched(r.realm, func(p *patchwork) { p.certificate = cert })
	}, reason.CertificateUntrusted},
	"a certificate that promises no log": {func(r *trustRig) string {
		cert := r.issued(func(c *trust.AuthorityConfig) { c.SCT = nil })
		return r.patched(r.realm, func(p *patchwork) { p.certificate = cert })
	}, reason.CertificateUntrusted},
	"a certificate of another key": {func(r *trustRig) string {
		other := material(r.t, r.sealed(r.realm, "release-b", "sigstore", "other bytes"))["certificate"]
		return edited(r.t, r.sealed(r.realm, "release-a", "sigstore", content), func(m map[string]any) { m["certificate"] = other })
	}, reason.SignatureInvalid},
	"everything from a realm that nobody knows": {func(r *trustRig) string { return r.sealed(r.other, "release-a", "sigstore", content) }, reason.TimestampInvalid},
	"a key's hint, and the proof of another signature": {func(r *trustRig) string {
		other := material(r.t, r.sealed(r.realm, "release-a", "sigstore-key", "other bytes"))["tlogEntries"]
		return edited(r.t, r.sealed(r.realm, "release-a", "sigstore-key", content), func(m map[string]any) { m["tlogEntries"] = other })
	}, reason.LogProofInvalid},
}

func TestFalseMaterial(t *testing.T) {
	t.Parallel()
	for name, a := range falsified {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrustRig(t, chained)
			r.put(bundle, a.bundle(r))
			for range 2 { // computed, and remembered
				v := r.check(path)
				require.True(t, v.Decided)
				require.Equal(t, []reason.Code{a.code}, codes(v), "%+v", v.Reasons)
				require.Equal(t, a.code, v.Signatures[0].Problem)
				require.Zero(t, v.Signatures[0].Level)
			}
			r.setPolicy(pinned)
			require.Equal(t, []reason.Code{a.code}, codes(r.check(path)), "no lower level either")
			r.setPolicy(chained)
			require.Equal(t, []reason.Code{a.code}, codes(r.check(bundle)), "nor does the file itself go along")

			// Beside a genuine one it harms nobody.
			r.put("app/1.0/a.tgz.release-b.sigstore.json", r.sealed(r.realm, "release-b", "sigstore", content))
			require.True(t, r.check(path).Allow)
		})
	}
}

// What another replica adds to what is believed counts from the next look on, also for what was refused before.
func TestWhatIsBelievedGrows(t *testing.T) {
	t.Parallel()
	r := newTrustRig(t, chained)
	r.put(bundle, r.sealed(r.realm, "release-a", "sigstore", content))
	known := r.gate.Trusted
	m := r.realm.Material()
	m.Logs = r.other.Material().Logs
	root, err := trust.BuildRoot(m)
	require.NoError(t, err)
	v, err := trust.NewVerifier(root)
	require.NoError(t, err)
	now := gate.Trusted{Verifier: v, Root: sha256.Sum256(root)}
	r.gate.Trusted.Renew = func(context.Context) gate.Trusted { return now }
	for range 2 { // computed, and remembered
		refused := r.check(path)
		require.Equal(t, []reason.Code{reason.LogUnknown}, codes(refused))
		require.Contains(t, refused.Reasons[0].Found, r.realm.Origin)
		require.Contains(t, refused.Reasons[0].Fix, "trust.former")
	}
	now = known
	require.True(t, r.check(path).Allow)
}

// What chains to the root is of level 3, says who and when, and passes where level 3 is demanded. All else does not.
func TestTrustLevels(t *testing.T) {
	t.Parallel()
	r := newTrustRig(t, chained)
	low := func(what string) {
		t.Helper()
		v := r.check(path)
		require.Equal(t, []reason.Code{reason.TrustLevelLow}, codes(v), "%s: %+v", what, v.Reasons)
		require.Contains(t, v.Reasons[0].Found, "at trust level 2")
		require.Contains(t, v.Reasons[0].Expected, "trust level 3")
	}
	r.sign("release-a", "sigstore")
	low("a bundle with nothing but a key's hint")
	r.put(keyBundle, r.sealed(r.realm, "release-a", "sigstore-key", content))
	low("a key's hint with log and time")
	r.sign("release-a", "raw")
	low("a signature without a bundle")

	r.put(bundle, r.sealed(r.realm, "release-a", "sigstore", content))
	v := r.check(path)
	require.True(t, v.Allow, "%+v", v.Reasons)
	var found bool
	for _, s := range v.Signatures {
		if s.Format != "sigstore" {
			continue
		}
		found = true
		require.Equal(t, 3, s.Level)
		require.Equal(t, r.realm.Issuer+"/keys/release-a", s.Identity)
		require.WithinDuration(t, time.Now(), s.Stamped, time.Hour)
		require.Equal(t, s.Stamped, s.At)
		require.Zero(t, s.Recorded, "the ledger of this gate does not know it")
	}
	require.True(t, found)

	// Another root: what was remembered under the old one is not asked for.
	r.believe(r.other)
	require.Equal(t, []reason.Code{reason.TimestampInvalid}, codes(r.check(path)))
	r.gate.Trusted.Verifier = nil
	r.setPolicy(pinned)
	require.True(t, r.check(path).Allow, "who believes nobody but pinned keys does not look at the rest")
}

// An image's bundle is judged like a file's.
func TestTrustLevelOfImages(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	r := &trustRig{rig: p.rig, realm: notarytest.New(t)}
	r.believe(r.realm)
	r.setPolicy(imageGate + "  trustLevel: 3\n")
	digest, err := artifact.ParseDigest(p.image.SHA256())
	require.NoError(t, err)
	p.signed("release-a")
	require.Equal(t, []reason.Code{reason.TrustLevelLow}, codes(p.verdict(imageFile)))
	p.attach(r.realm.Seal(p.keys["release-a"], seal.FromSHA256(digest), "cosign")["cosign"])
	v := p.verdict(imageFile)
	require.True(t, v.Allow, "%+v", v.Reasons)
}

// The time-stamp's word goes before the ledger's, and both are told.
func TestTimeStampsDateSignatures(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		retired  time.Duration // from now
		recorded time.Duration
		code     reason.Code
	}{
		"in its time, by the stamp":                       {time.Hour, 0, ""},
		"in its time, whatever the ledger says":           {time.Hour, 2 * time.Hour, ""},
		"later, by the stamp":                             {-time.Hour, 0, reason.KeyRetired},
		"later, though the ledger says that it was early": {-time.Hour, -2 * time.Hour, reason.KeyRetired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrustRig(t, pinned)
			r.retired = map[string]time.Time{"release-a": time.Now().Add(c.retired)}
			r.setPolicy(pinned)
			file := r.sealed(r.realm, "release-a", "sigstore", content)
			r.put(bundle, file)
			if c.recorded != 0 {
				r.remember(time.Now().Add(c.recorded), "release-a", "sigstore", path, content, file)
			}
			v := r.check(path)
			if c.code == "" {
				require.True(t, v.Allow, "%+v", v.Reasons)
			} else {
				require.Equal(t, []reason.Code{c.code}, codes(v))
			}
			s := v.Signatures[0]
			require.Equal(t, s.Stamped, s.At)
			require.NotZero(t, s.Stamped)
			require.Equal(t, c.recorded == 0, s.Recorded.IsZero())
		})
	}
}
