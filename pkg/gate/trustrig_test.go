package gate_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// keyBundle is where a bundle with a key's hint stands.
const keyBundle = "app/1.0/a.tgz.sigstore-key.json"

// chained demands what oneSignature demands, of trust level 3.
const chained = `kind: GatePolicy
name: libs-release
owner: release-managers
target: {repositories: [` + release + `], paths: ["**/*.tgz"]}
require:
  trustLevel: 3
  signatures: [{lane: release, count: 1}]
`

// pinned is the same of trust level 2.
const pinned = `kind: GatePolicy
name: libs-release
owner: release-managers
target: {repositories: [` + release + `], paths: ["**/*.tgz"]}
require:
  signatures: [{lane: release, count: 1}]
`

// trustRig is a rig whose gate believes a realm, which the service of the rig's keys lives in; the other realm it does not
// know.
type trustRig struct {
	*rig
	realm, other *notarytest.Realm
}

func newTrustRig(t testing.TB, policies string) *trustRig {
	t.Helper()
	r := &trustRig{rig: newRig(t, policies), realm: notarytest.New(t), other: notarytest.NewWith(t, notarytest.Config{Name: "elsewhere"})}
	r.believe(r.realm)
	return r
}

// believe has the gate begin anew with the trusted root of a realm.
func (r *trustRig) believe(realm *notarytest.Realm) {
	r.t.Helper()
	r.gate.Trusted = gate.Trusted{Verifier: realm.Verifier(), Root: sha256.Sum256(realm.TrustedRoot())}
	r.metrics = prometheus.NewRegistry()
	require.NoError(r.t, r.gate.Init(r.metrics))
}

func digests(t testing.TB, key *sealtest.Key, text string) seal.Digests {
	t.Helper()
	d, err := seal.NewDigester(key.Public())
	require.NoError(t, err)
	_, _ = d.Write([]byte(text))
	return d.Digests()
}

// sealed is a signature file of some bytes with all that the realm puts into it.
func (r *trustRig) sealed(realm *notarytest.Realm, key, format, text string) string {
	r.t.Helper()
	k := r.keys[key]
	return string(realm.Seal(k, digests(r.t, k, text), format)[format])
}

// patchwork is a notary some of whose parts are others'.
type patchwork struct {
	seal.Notary
	certificate []byte
	stamps      seal.Notary
}

func (p patchwork) Certificate(ctx context.Context) ([]byte, error) {
	if p.certificate != nil {
		return p.certificate, nil
	}
	return p.Notary.Certificate(ctx)
}

func (p patchwork) Stamp(ctx context.Context, signature []byte) ([]byte, error) {
	if p.stamps != nil {
		return p.stamps.Stamp(ctx, signature)
	}
	return p.Notary.Stamp(ctx, signature)
}

// patched is a bundle by release-a; its log entry is in the realm, the rest as patch makes it.
func (r *trustRig) patched(realm *notarytest.Realm, patch func(*patchwork)) string {
	r.t.Helper()
	k := r.keys["release-a"]
	d := digests(r.t, k, content)
	u := realm.Begin(k, d.SHA256(), "sigstore")
	p := patchwork{Notary: u.Use}
	patch(&p)
	files, err := seal.SealAll(r.t.Context(), k, d, notarytest.Formats(r.t, "sigstore"), seal.Context{Notary: p})
	require.NoError(r.t, err)
	u.Keep(files)
	realm.Notary.Ended(r.t.Context(), u.Use)
	return string(files["sigstore"])
}

// notaryOf is the notary of a realm, for a use of release-a that comes to nothing but what is taken from it.
func (r *trustRig) notaryOf(realm *notarytest.Realm) seal.Notary {
	r.t.Helper()
	u := realm.Begin(r.keys["release-a"], sha256.Sum256([]byte("nothing")), "raw")
	r.t.Cleanup(func() { realm.Notary.Ended(context.Background(), u.Use) })
	return u.Use
}

// issued is a certificate of release-a by an authority that is like that of the realm but for some of it.
func (r *trustRig) issued(change func(*trust.AuthorityConfig)) []byte {
	r.t.Helper()
	c := trust.AuthorityConfig{Key: r.realm.Keys.Issuing, Chain: r.realm.Chains.Issuing, SCT: r.realm.Keys.SCT, Issuer: r.realm.Issuer}
	change(&c)
	a, err := trust.NewAuthority(c)
	require.NoError(r.t, err)
	der, err := a.Issue(r.t.Context(), trust.Request{Public: r.keys["release-a"].Public(), Identity: trust.KeyIdentity(c.Issuer, "release-a"), Announce: func(context.Context, []byte) error { return nil }})
	require.NoError(r.t, err)
	return der
}

// edited is a bundle after a change of its verification material.
func edited(t testing.TB, bundle string, change func(material map[string]any)) string {
	t.Helper()
	var b map[string]any
	require.NoError(t, json.Unmarshal([]byte(bundle), &b))
	material, ok := b["verificationMaterial"].(map[string]any)
	require.True(t, ok)
	change(material)
	out, err := json.Marshal(b)
	require.NoError(t, err)
	return string(out)
}

// material is the verification material of a bundle.
func material(t testing.TB, bundle string) (m map[string]any) {
	t.Helper()
	edited(t, bundle, func(material map[string]any) { m = material })
	return m
}
