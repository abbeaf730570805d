package promotion_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// A signature of a retired key that nobody can date does not go along with an artifact that another one lets in.
func TestWhatDoesNotCountStaysBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	v := policy.Vocabulary{Formats: seal.Formats(), Apart: seal.Apart(), Kinds: seal.Kinds(), Keys: []policy.Key{
		{Name: keyA, Lane: policy.LaneRelease}, {Name: keyB, Lane: policy.LaneRelease, Retired: time.Now().Add(-time.Hour)}, {Name: dev, Lane: policy.LaneDevelopment},
	}}
	r.policies.Store(policytest.Set(t, policy.Skip, v, map[string]string{"gate.yaml": gatePolicy}))
	r.signed("a.tgz")
	r.put(staging, "a.tgz."+keyB+".sig", r.signature(keyB, "raw", "content of a.tgz"))
	report := r.confirm(staging + "/a.tgz")
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	require.ElementsMatch(t, []string{"a.tgz.sigstore.json", "a.tgz.sig"}, report.Items[0].Files)
	require.Equal(t, []string{"a.tgz." + keyB + ".sig"}, report.Items[0].Left)
}
