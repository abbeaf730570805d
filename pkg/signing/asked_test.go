package signing_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Every outcome that a policy decided holds the question: asked again, the same set gives the same answer.
func TestOutcomesHoldTheQuestion(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{noMatch: policy.Deny})
	for path, state := range map[string]ledger.State{artifactPath: ledger.Signed, "other/a.tgz": ledger.Denied} {
		r.upload(path, "hello")
		ev := r.event(path)
		ev.Caller = "ann"
		require.NoError(t, r.service.Do(t.Context(), ev))
		o := r.outcome(path)
		require.Equal(t, state, o.State)
		require.Equal(t, "ann", o.Caller)
		require.NotNil(t, o.Asked)
		request, err := o.Asked.Request(o.Ref, o.Subject)
		require.NoError(t, err)
		require.Equal(t, "artifact/deployed", request.Event)
		require.EqualValues(t, 5, request.Subject.Size)
		require.NotZero(t, request.Subject.Created)
		require.False(t, request.At.After(o.At))
		d := r.service.Policies().Decide(request)
		require.Equal(t, o.Asked.Granted, d.Grant.Orders())
		require.Equal(t, o.Asked.Refused, len(d.Denied))
		require.Equal(t, state == ledger.Signed, len(d.Denied) == 0)
	}
	require.NoError(t, r.do("app/none.tgz"))
	require.Nil(t, r.outcome("app/none.tgz").Asked, "nothing was decided on what is not there")
}
