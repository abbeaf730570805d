package policy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const counted = `kind: GatePolicy
name: strict
owner: o
target: {repositories: [out]}
require: {signatures: [{keys: [new], formats: [sigstore], maxAge: 30d}]}
---
kind: GatePolicy
name: lenient
owner: o
mode: warn
target: {repositories: [out, soft]}
require: {signatures: [{keys: [old]}]}
---
kind: GatePolicy
name: proven
owner: o
target: {repositories: [shop]}
require: {trustLevel: 3, signatures: [{keys: [new]}]}
`

// What a signature is worth at a place, by itself: the policies that only warn say so where no other does.
func TestWhichSignaturesCount(t *testing.T) {
	t.Parallel()
	v := policy.Vocabulary{
		Formats: []string{"sigstore", "raw"},
		Keys:    []policy.Key{{Name: "old", Lane: policy.LaneRelease}, {Name: "new", Lane: policy.LaneRelease}, {Name: "dev", Lane: policy.LaneDevelopment}},
	}
	set := policytest.Set(t, policy.Skip, v, map[string]string{"p.yaml": counted})
	now := time.Now()
	for name, c := range map[string]struct {
		target string
		e      policy.Evidence
		code   reason.Code
	}{
		"counts":                         {"out/x", policy.Evidence{Format: "sigstore", Key: "new", At: now}, ""},
		"in a format that nobody wants":  {"out/x", policy.Evidence{Format: "raw", Key: "new", At: now}, ""},
		"too old":                        {"out/x", policy.Evidence{Format: "sigstore", Key: "new", At: now.Add(-31 * 24 * time.Hour)}, reason.SignatureStale},
		"undated":                        {"out/x", policy.Evidence{Format: "sigstore", Key: "new"}, reason.SignatureUndated},
		"accepted by who warns":          {"out/x", policy.Evidence{Format: "sigstore", Key: "old", At: now}, reason.SignatureWrongKey},
		"accepted by who warns alone":    {"soft/x", policy.Evidence{Format: "sigstore", Key: "old"}, ""},
		"a development key's":            {"out/x", policy.Evidence{Format: "sigstore", Key: "dev", At: now}, reason.KeyDevelopment},
		"one that does not verify":       {"out/x", policy.Evidence{Format: "sigstore", Key: "new", At: now, Problem: reason.SignatureInvalid}, reason.SignatureInvalid},
		"one that the ledger alone has":  {"out/x", policy.Evidence{Format: "sigstore", Key: "new", At: now, Kept: true}, reason.SignatureMissing},
		"at a place that nothing guards": {"elsewhere/x", policy.Evidence{Format: "sigstore", Key: "new", At: now}, reason.SignatureWrongKey},
	} {
		demand, _ := set.Demand(ref(t, c.target))
		require.Equal(t, c.code, demand.Counts(c.e), name)
	}

	// What proves too little for the gate goes along with what proves enough; nothing else does that does not count.
	shop, _ := set.Demand(ref(t, "shop/x"))
	for e, codes := range map[policy.Evidence][2]reason.Code{
		{Format: "sigstore", Key: "new", Level: 3}:                                       {"", ""},
		{Format: "raw", Key: "new", Level: 2}:                                            {reason.TrustLevelLow, ""},
		{Format: "raw", Key: "old", Level: 2}:                                            {reason.SignatureWrongKey, reason.SignatureWrongKey},
		{Format: "raw", Key: "new", Problem: reason.SignatureInvalid}:                    {reason.SignatureInvalid, reason.SignatureInvalid},
		{Format: "raw", Key: "new", Level: 2, Distrusted: now.Add(-time.Hour)}:           {reason.KeyDistrusted, reason.KeyDistrusted},
		{Format: "sigstore", Key: "new", Level: 2, Problem: reason.CertificateUntrusted}: {reason.CertificateUntrusted, reason.CertificateUntrusted},
	} {
		require.Equal(t, codes, [2]reason.Code{shop.Counts(e), shop.Accompanies(e)}, "%+v", e)
	}

	demand, _ := set.Demand(ref(t, "out/x"))
	good := []policy.Evidence{{Format: "sigstore", Key: "new", At: now}}
	require.Empty(t, demand.Judge(good))
	require.False(t, demand.Enough(good), "who warns would like to see more")
	require.True(t, demand.Enough(append(good, policy.Evidence{Format: "raw", Key: "old"})))
	require.False(t, policy.Demand{}.Enough(nil))
}
