package signing_test

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// gate is one that believes what the service believes.
func (r *rig) gate() *gate.Gate {
	r.t.Helper()
	g := &gate.Gate{
		Instances: map[string]*artifactory.Client{"main": r.client}, Policies: r.policies.Load, Trust: r.keys.Keys(), Ledger: r.ledger, Log: slog.New(slog.DiscardHandler),
	}
	if r.realm != nil {
		g.Trusted = gate.Trusted{Verifier: r.realm.Verifier(), Root: sha256.Sum256(r.realm.TrustedRoot())}
	}
	require.NoError(r.t, g.Init(prometheus.NewRegistry()))
	return g
}

// carry has a file stand elsewhere with a signature file of it, as after a promotion.
func (r *rig) carry(from, to, suffix string) {
	r.t.Helper()
	for _, s := range []string{"", suffix} {
		content, err := r.art.Content(repo, from+s)
		require.NoError(r.t, err)
		r.put(to+s, string(content), nil)
	}
}

const chained = `kind: GatePolicy
name: guarded
owner: release-managers
target: {repositories: [` + repo + `], paths: ["gate/**"]}
require:
  trustLevel: 3
  signatures: [{keys: [` + key + `]}]
`

// What stands where a gate guards is judged as the gate would: by trust level, with dates, and with its reasons.
func TestSweepJudgesAsTheGateDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.upload("app/bare.tgz", "bare")
	require.NoError(t, r.do("app/bare.tgz"))
	r.attested = true
	r.restart()
	r.upload("app/proven.tgz", "proven")
	require.NoError(t, r.do("app/proven.tgz"))
	r.requireProven("app/proven.tgz", "proven")
	r.carry("app/bare.tgz", "gate/bare.tgz", ".sigstore.json")
	r.carry("app/proven.tgz", "gate/proven.tgz", ".sigstore.json")
	r.carry("app/proven.tgz", "gate/raw.tgz", ".sig")
	now := time.Now()

	judged := func(prepare func()) map[string]reason.Code {
		prepare()
		r.setPolicy(policy.Skip, chained)
		s := r.sweeper(atHand)
		run := s.run(ledger.Sweep{Prefix: "gate"})
		defer s.stop()
		require.Zero(t, run.Repaired)
		found := map[string]reason.Code{}
		list, err := r.ledger.Findings(context.Background(), run.ID, 100)
		require.NoError(t, err)
		for _, f := range list {
			require.Equal(t, "unsigned", f.Name, f.Path)
			found[f.Path] = f.Reasons[0].Code
			v := r.gate().Check(t.Context(), gate.Request{Artifact: r.ref(f.Path), Target: r.ref(f.Path), Caller: "ci"})
			require.Equal(t, v.Reasons, f.Reasons, "the gate's words")
		}
		require.EqualValues(t, 3-len(found), run.Findings["signed"], "%v", run.Findings)
		return found
	}
	low := map[string]reason.Code{"gate/bare.tgz": reason.TrustLevelLow, "gate/raw.tgz": reason.TrustLevelLow}
	require.Equal(t, low, judged(func() {}))
	require.Equal(t, low, judged(func() { r.retired = map[string]time.Time{key: now.Add(time.Hour)} }), "they were made in its time")
	all := func(code reason.Code) map[string]reason.Code {
		return map[string]reason.Code{"gate/bare.tgz": code, "gate/raw.tgz": code, "gate/proven.tgz": code}
	}
	require.Equal(t, all(reason.KeyRetired), judged(func() { r.retired = map[string]time.Time{key: now.Add(-time.Hour)} }))
	require.Equal(t, all(reason.KeyDistrusted), judged(func() {
		r.retired = nil
		k, _ := r.keys.Key(key)
		_, err := r.ledger.Distrust(t.Context(), ledger.Distrust{KeyName: key, KeySPKI: k.SPKI, From: now.Add(-time.Hour), By: "alice", Why: "stolen"})
		require.NoError(t, err)
	}))
}
