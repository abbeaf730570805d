package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/policy/policytest"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	examplesSet, err := policy.Load(examples, policy.Skip, exampleVocabulary())
	require.NoError(t, err)
	for _, tc := range []struct {
		name, ref, event, outcome string
		set                       *policy.Set
	}{
		{"signed", "libs-staging-local/app/1.4.2/app.tgz", "", "sign", examplesSet},
		{"event", "libs-staging-local/app/1.4.2/app.tgz", "artifact/cached", "skip", examplesSet},
		{"excluded", "libs-staging-local/tmp/app.tgz", "artifact/deployed", "skip", examplesSet},
		{"guarded", "libs-release-local/app/1.4.2/app.tgz", "", "skip", examplesSet},
		{"conflict", "libs/shared/" + policytest.HardName, "", "deny", load(t, policy.Skip, overlapping)},
		{"nothing", "libs/y", "", "deny", load(t, policy.Deny, overlapping)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := tc.set.Explain(ref(t, tc.ref), tc.event)
			require.Equal(t, tc.outcome, e.Outcome)
			text := e.Text()
			if tc.name == "nothing" { // its fix names the directory as given
				text = dirless(text)
			}
			golden(t, "testdata/explain/"+tc.name+".golden", text)
			out, err := json.Marshal(e)
			require.NoError(t, err)
			require.NotContains(t, string(out), "null")
		})
	}
}

// What explain says and what Decide does are one thing.
func TestExplainAgreesWithDecide(t *testing.T) {
	t.Parallel()
	for _, noMatch := range []policy.NoMatch{policy.Skip, policy.Deny} {
		set := load(t, noMatch, overlapping)
		for _, path := range []string{"libs/shared/" + policytest.HardName, "libs/shared/x", "libs/all/x", "libs/all/d/x", "libs/x", "other/x"} {
			d := set.Decide(policy.Request{Subject: subject(t, path)})
			e := set.Explain(ref(t, path), "")
			require.Equal(t, d.Grant != nil, e.Outcome == "sign", path)
			require.Equal(t, d.Skip, e.Skip)
			require.Equal(t, d.Rule, e.Rule)
			require.Len(t, e.Considered, 3)
			var matched []string
			for _, c := range e.Considered {
				require.NotEmpty(t, c.Why)
				if c.Matched {
					matched = append(matched, c.Rule)
				}
			}
			require.Equal(t, matched, d.Matched)
			if d.Grant != nil {
				require.Equal(t, d.Grant.Orders(), e.Orders)
			}
		}
	}
}
