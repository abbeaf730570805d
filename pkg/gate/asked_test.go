package gate_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Every verdict that policies made holds the question: asked again, the same set gives the same answer.
func TestVerdictsHoldTheQuestion(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.check(path)
	r.sign("release-a", "sigstore")
	r.check(path)
	r.check("app/1.0/none.tgz")
	r.check(path + ".sigstore.json")

	kept, err := r.ledger.Verdicts(t.Context(), ref(staging, path), 10)
	require.NoError(t, err)
	require.Len(t, kept, 2)
	about, err := r.ledger.Verdicts(t.Context(), ref(staging, path+".sigstore.json"), 10)
	require.NoError(t, err)
	for i, v := range append(kept, about...) {
		require.NotNil(t, v.Asked)
		require.Contains(t, v.Rule, "(libs-release)")
		require.Equal(t, v.At, v.Asked.At)
		require.ElementsMatch(t, []string{"release-a", "release-b"}, v.Asked.Looked.Keys)
		require.NotEmpty(t, v.Asked.Looked.Formats)
		demand, err := v.Asked.Demand(r.policies.Load(), v.Ref, v.Target, v.Subject)
		require.NoError(t, err)
		refused, _ := demand.Weigh(v.Asked.Evidence)
		require.Len(t, refused, v.Asked.Refused)
		require.Equal(t, v.Allow, len(refused) == 0, "%d", i)
	}
	require.Equal(t, staging+"/"+path, about[0].Asked.Place)
	none, err := r.ledger.Verdicts(t.Context(), ref(staging, "app/1.0/none.tgz"), 10)
	require.NoError(t, err)
	require.Nil(t, none[0].Asked, "there was nothing to ask about")
}
