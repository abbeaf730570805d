package signing_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/audit"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/notary/notarytest"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/seal"
	"github.com/hallmark-signing/hallmark/pkg/signing"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// bareRig has signed a file before there was a notary, and has one now.
func bareRig(t *testing.T, s setup, formats string) *rig {
	t.Helper()
	s.policy = policyOf(formats)
	r := newRig(t, s)
	r.upload("app/a.tgz", "hello")
	require.NoError(t, r.do("app/a.tgz"))
	r.attested = true
	r.restart()
	return r
}

func policyOf(formats string) string {
	return `kind: SigningPolicy
name: release-binaries
owner: release-managers
match: {repositories: [` + repo + `], paths: ["app/**"]}
sign:
  - {key: ` + key + `, formats: ` + formats + `}
---
kind: GatePolicy
name: libs-release
owner: release-managers
target: {repositories: [` + artifactorytest.Release + `]}
require: {signatures: [{keys: [` + key + `], formats: [sigstore]}]}
`
}

// level is what a file beside app/a.tgz proves to who has the trusted root.
func (r *rig) level(suffix string) trust.Finding {
	r.t.Helper()
	stored, err := r.art.Content(repo, "app/a.tgz"+suffix)
	require.NoError(r.t, err)
	k, _ := r.keys.Key(key)
	d, err := seal.NewDigester(k.PublicKey)
	require.NoError(r.t, err)
	_, _ = d.Write([]byte("hello"))
	found, err := r.realm.Verifier().Verify(stored, k.PublicKey, d.Digests()[k.Hash])
	require.NoError(r.t, err)
	return found
}

// promotable asks the gate, which demands no more than it did before.
func (r *rig) promotable() gate.Verdict {
	r.t.Helper()
	to := r.ref("app/a.tgz")
	to.Repo = artifactorytest.Release
	return r.gate().Check(r.t.Context(), gate.Request{Artifact: r.ref("app/a.tgz"), Target: to, Caller: "ci"})
}

// What was signed before there was a notary is signed again when it comes up, once, and logged; raw signatures have nothing
// to add. At every moment the gate finds one signature or the other.
func TestBareSignaturesAreMadeAnew(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []hsm.Algorithm{hsm.P256, hsm.P384} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			r := bareRig(t, setup{token: artifactorytest.CI, keys: map[string]hsm.Algorithm{key: algorithm}}, "[sigstore, raw, sigstore-key]")
			raw, err := r.art.Content(repo, "app/a.tgz.sig")
			require.NoError(t, err)
			bare, err := r.art.Content(repo, "app/a.tgz.sigstore.json")
			require.NoError(t, err)
			before := r.uses()
			require.Equal(t, trust.Finding{Level: trust.LevelKey}, r.level(".sigstore.json"))
			require.True(t, r.promotable().Allow)

			r.art.Fail(standin.Fault{Method: http.MethodPut, Path: "/artifactory/" + repo + "/app/a.tgz.sigstore.json", Status: http.StatusBadGateway})
			require.Error(t, r.do("app/a.tgz"))
			require.Equal(t, trust.LevelKey, r.level(".sigstore.json").Level)
			require.True(t, r.promotable().Allow, "the old one still stands")
			require.NoError(t, r.do("app/a.tgz"))
			require.Equal(t, trust.LevelRoot, r.level(".sigstore.json").Level)
			keyed := r.level(".sigstore-key.json")
			require.Equal(t, trust.LevelKey, keyed.Level)
			require.False(t, keyed.At.IsZero())
			require.Equal(t, r.realm.Origin, keyed.LogOrigin)
			require.Equal(t, before+1, r.uses(), "one signature serves both bundles")
			now, err := r.art.Content(repo, "app/a.tgz.sig")
			require.NoError(t, err)
			require.Equal(t, raw, now)
			require.True(t, r.promotable().Allow)
			r.requireSigned("app/a.tgz", "hello", "app/a.tgz.sigstore.json", "app/a.tgz.sig", "app/a.tgz.sigstore-key.json")

			require.NoError(t, r.do("app/a.tgz"))
			r.restart()
			require.NoError(t, r.do("app/a.tgz"))
			require.Equal(t, before+1, r.uses(), "once")

			// A copy of the first one that stands elsewhere is as good as it was, and dated.
			r.put("app/a.tgz.sigstore.json", string(bare), nil)
			v := r.promotable()
			require.True(t, v.Allow)
			require.False(t, v.Signatures[0].Recorded.IsZero())

			require.Len(t, notarytest.Of[audit.Rekord](r.realm.Entries()), 2, "by certificate and by key")
			r.realm.RequireSound()
		})
	}
}

// A full sweep finds them. Where the service may not replace its own file, the new one takes the name that bears its key.
func TestSweepFindsBareSignatures(t *testing.T) {
	t.Parallel()
	for token, name := range map[string]string{artifactorytest.CI: ".sigstore.json", artifactorytest.Signer: "." + key + ".sigstore.json"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := bareRig(t, setup{token: token}, "[sigstore, raw]")
			before := r.uses()
			s := r.sweeper(atHand)
			require.Equal(t, map[string]string{"app/a.tgz": "bare"}, s.found(s.run(ledger.Sweep{Kind: signing.SweepCheck})))
			run := s.run(ledger.Sweep{})
			require.EqualValues(t, 1, run.Repaired)
			s.idle()
			require.Equal(t, trust.LevelRoot, r.level(name).Level)
			require.Equal(t, before+1, r.uses())
			again := s.run(ledger.Sweep{})
			require.Empty(t, s.found(again))
			require.Zero(t, again.Repaired)
			require.Equal(t, before+1, r.uses())
		})
	}
}

// Nobody believes the notary any more whom an earlier trusted root named: what it vouched for is made anew, too.
func TestBundlesOfAFormerNotaryAreMadeAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{token: artifactorytest.CI, trust: true})
	r.upload("app/a.tgz", "hello")
	require.NoError(t, r.do("app/a.tgz"))
	before := r.uses()
	r.realm.Close()
	r.realm = nil
	r.enthrone()
	r.service.Notary, r.service.Trusted.Verifier = r.realm.Notary, r.realm.Verifier()
	require.NoError(t, r.do("app/a.tgz"))
	r.requireProven("app/a.tgz", "hello")
	require.Equal(t, before+1, r.uses())
}

// A distrusted key signs nothing any more. What it signed before stays what it is.
func TestADistrustedKeysBareSignatureStays(t *testing.T) {
	t.Parallel()
	r := bareRig(t, setup{token: artifactorytest.CI}, "[sigstore, raw]")
	before := r.uses()
	k, _ := r.keys.Key(key)
	_, err := r.ledger.Distrust(t.Context(), ledger.Distrust{KeyName: key, KeySPKI: k.SPKI, From: time.Now().Add(time.Second), By: "alice", Why: "stolen"})
	require.NoError(t, err)
	require.NoError(t, r.do("app/a.tgz"))
	r.requireSigned("app/a.tgz", "hello")
	require.Equal(t, trust.LevelKey, r.level(".sigstore.json").Level)
	require.Equal(t, before, r.uses())
	s := r.sweeper(atHand)
	require.Empty(t, s.found(s.run(ledger.Sweep{Kind: signing.SweepCheck})))
}

// An image keeps the bare signature and gets one that proves more beside it, which is what counts.
func TestBareSignaturesOfImagesAreMadeAnew(t *testing.T) {
	t.Parallel()
	p := newPort(t, setup{})
	m, path := p.Push(imageName, ":1.0", p.New("linux/amd64")), imageName+"/1.0/manifest.json"
	require.NoError(t, p.sign(path))
	p.attested = true
	p.restart()
	before := p.uses()
	s := p.sweeper(atHand)
	require.Equal(t, map[string]string{path: "bare"}, s.found(s.run(ledger.Sweep{Repo: docker, Kind: signing.SweepCheck})))
	require.EqualValues(t, 1, s.run(ledger.Sweep{Repo: docker}).Repaired)
	p.settled()
	require.Equal(t, before+1, p.uses())
	p.verified(m, "cosign", "cosign")
	require.Empty(t, s.found(s.run(ledger.Sweep{Repo: docker})))
	require.NoError(t, p.sign(path))
	require.Equal(t, before+1, p.uses())

	p.setPolicy(policy.Skip, imagePolicy+"---\n"+strings.NewReplacer(repo, artifactorytest.OCIRelease, `, paths: ["gate/**"]`, "").Replace(chained))
	from := artifact.Ref{Instance: "main", Repo: docker, Path: path}
	to := artifact.Ref{Instance: "main", Repo: artifactorytest.OCIRelease, Path: path}
	v := p.gate().Check(t.Context(), gate.Request{Artifact: from, Target: to, Caller: "ci"})
	require.True(t, v.Allow, "%+v", v.Reasons)
}

// A key whose turn is over makes nothing anew: the one whose turn it is signs instead.
func TestTheKeyInTurnMakesBareSignaturesAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{token: artifactorytest.CI, keys: map[string]hsm.Algorithm{"old": hsm.P256, key: hsm.P256}, policy: strings.Replace(oneKey, key, "old", 1)})
	r.upload("app/a.tgz", "hello")
	require.NoError(t, r.do("app/a.tgz"))
	r.from = map[string]time.Time{key: time.Now().Add(-time.Hour)}
	r.setPolicy(policy.Skip, strings.Replace(oneKey, "key: "+key, "keys: [old, "+key+"]", 1))
	require.NoError(t, r.do("app/a.tgz"))
	require.Equal(t, 1, r.uses(), "its signature serves on")
	r.attested = true
	r.restart()
	require.NoError(t, r.do("app/a.tgz"))
	require.NoError(t, r.do("app/a.tgz"))
	require.Equal(t, 2, r.uses())
	r.requireProven("app/a.tgz", "hello")
}
