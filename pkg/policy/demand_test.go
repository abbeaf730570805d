package policy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const gates = `kind: SigningPolicy
name: staging
owner: release-managers
match: {repositories: [staging]}
sign: [{key: release-2026, formats: [sigstore, raw]}]
---
kind: SigningPolicy
name: dev
owner: build-team
match: {repositories: [dev]}
sign: [{key: dev-2026, formats: [sigstore]}]
---
kind: SigningPolicy
name: half
owner: build-team
match: {repositories: [clash], exclude: ` + policytest.HardExclude + `}
sign: [{key: release-2026, formats: [sigstore]}]
---
kind: SigningPolicy
name: other-half
owner: build-team
match: {repositories: [clash]}
sign: [{key: release-2027, formats: [sigstore]}]
---
kind: GatePolicy
name: release
owner: release-managers
target: {repositories: [release]}
require:
  signatures:
    - {lane: release, formats: [sigstore]}
---
kind: GatePolicy
name: four-eyes
owner: security
target: {repositories: [vault], paths: [app/**]}
require:
  signatures:
    - {keys: [release-2026, release-2027], count: 2}
---
kind: GatePolicy
name: vault-raw
owner: operations
target: {repositories: ["va*"]}
require:
  signatures:
    - {keys: [release-2026], formats: [raw]}
`

func file(format, key string, problem reason.Code) policy.Evidence {
	name := map[string]string{"sigstore": "app.tgz.sigstore.json", "raw": "app.tgz.sig"}[format]
	return policy.Evidence{File: name, Format: format, Key: key, Problem: problem}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, gates)
	made := file("sigstore", "dev-2026", "")
	made.At = time.Date(2026, 11, 21, 18, 4, 5, 0, time.FixedZone("", 3600))
	detailed := file("sigstore", "release-2026", reason.SignatureWrongBytes)
	detailed.Detail = "made for 9f0c…, the file is 11aa…"
	for _, tc := range []struct {
		name, artifact, target string
		found                  []policy.Evidence
		want                   []reason.Code
	}{
		{"good", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("sigstore", "release-2026", "")}, nil},
		{"other-release-key", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("sigstore", "release-2027", "")}, nil},
		{"good-beside-broken", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("raw", "", reason.SignatureInvalid), file("sigstore", "release-2026", "")}, nil},
		{"nothing", "staging/app.tgz", "release/app.tgz", nil, []reason.Code{reason.SignatureMissing}},
		{"wrong-lane", "staging/app.tgz", "release/app.tgz", []policy.Evidence{made}, []reason.Code{reason.KeyDevelopment}},
		{"unknown-key", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("sigstore", "", reason.SignatureWrongKey)}, []reason.Code{reason.SignatureWrongKey}},
		{"no-key-named", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("sigstore", "", "")}, []reason.Code{reason.SignatureWrongKey}},
		{"tampered", "staging/app.tgz", "release/app.tgz", []policy.Evidence{detailed}, []reason.Code{reason.SignatureWrongBytes}},
		{"damaged", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("sigstore", "release-2026", reason.SignatureInvalid)}, []reason.Code{reason.SignatureInvalid}},
		{"gravest-first", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("raw", "", reason.SignatureInvalid), detailed, made}, []reason.Code{reason.SignatureWrongBytes}},
		{"unread", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("sigstore", "", reason.Undecided)}, []reason.Code{reason.Undecided}},
		{"wrong-format", "staging/app.tgz", "release/app.tgz", []policy.Evidence{file("raw", "release-2026", "")}, []reason.Code{reason.SignatureMissing}},
		{"advice-needs-policy", "dev/app.tgz", "release/app.tgz", []policy.Evidence{made}, []reason.Code{reason.KeyDevelopment}},
		{"advice-needs-new-policy", "nowhere/app.tgz", "release/app.tgz", nil, []reason.Code{reason.SignatureMissing}},
		{"advice-needs-peace", "clash/" + policytest.HardName, "release/app.tgz", nil, []reason.Code{reason.SignatureMissing}},
		{"no-gate", "staging/app.tgz", "elsewhere/app.tgz", []policy.Evidence{file("sigstore", "release-2026", "")}, []reason.Code{reason.NoGatePolicy}},
		{"two-gates", "staging/app.tgz", "vault/app/app.tgz", nil, []reason.Code{reason.SignatureMissing, reason.SignatureMissing}},
		{"half", "staging/app.tgz", "vault/app/app.tgz", []policy.Evidence{file("raw", "release-2026", ""), file("sigstore", "release-2026", "")}, []reason.Code{reason.SignatureMissing}},
		{"one-key-twice-is-one", "staging/app.tgz", "vault/app/app.tgz", []policy.Evidence{file("raw", "release-2026", ""), file("raw", "release-2026", "")}, []reason.Code{reason.SignatureMissing}},
		{"both", "staging/app.tgz", "vault/app/app.tgz", []policy.Evidence{file("raw", "release-2026", ""), file("sigstore", "release-2027", "")}, nil},
		{"other-path", "staging/app.tgz", "vault/x.tgz", []policy.Evidence{file("raw", "release-2026", "")}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			demand, _ := set.Demand(ref(t, tc.target))
			reasons := demand.For(ref(t, tc.artifact)).Judge(tc.found)
			var codes []reason.Code
			var text strings.Builder
			for _, r := range reasons {
				codes = append(codes, r.Code)
				text.WriteString(r.Text())
				for _, field := range []string{r.Message, r.Found, r.Expected, r.Fix, r.Who} {
					require.NotEmpty(t, field, "%+v", r)
				}
			}
			require.Equal(t, tc.want, codes)
			if len(reasons) > 0 {
				golden(t, "testdata/refusals/"+tc.name+".golden", dirless(text.String()))
			}
		})
	}
}

func TestDemandListsWhatToLookFor(t *testing.T) {
	t.Parallel()
	set := load(t, policy.Skip, gates)
	demand, ok := set.Demand(ref(t, "vault/app/x"))
	require.True(t, ok)
	require.Equal(t, []string{"release-2026", "release-2027"}, demand.Keys())
	require.Equal(t, []string{"raw", "sigstore"}, demand.Formats())
	require.Equal(t, "four-eyes, vault-raw", demand.Policy())
	require.Equal(t, "policies/p.yaml:33 (four-eyes), policies/p.yaml:41 (vault-raw)", demand.Rule())
}

// Without the artifact's name the advice names the target; it is never empty.
func TestAdviceWithoutArtifact(t *testing.T) {
	t.Parallel()
	demand, _ := load(t, policy.Skip, gates).Demand(ref(t, "release/app.tgz"))
	require.Equal(t, "hallmark sign release/app.tgz", demand.Judge(nil)[0].Fix)
}

func TestGateOfOtherInstanceDoesNotCount(t *testing.T) {
	t.Parallel()
	set := policytest.Set(t, policy.Skip, vocabulary, map[string]string{"p.yaml": `
kind: GatePolicy
name: release
owner: o
target: {instances: [other], repositories: [release]}
require: {signatures: [{lane: release}]}
`})
	_, ok := set.Demand(ref(t, "release/app.tgz"))
	require.False(t, ok)
}
