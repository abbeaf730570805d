package gate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Where too many wait, the answer comes at once, as it is.
func TestTooManyWait(t *testing.T) {
	t.Parallel()
	g := &Gate{waits: make(chan struct{}, 1), stopping: make(chan struct{})}
	g.waits <- struct{}{}
	v := Verdict{Decided: true, Reasons: []reason.Reason{{Code: reason.SignatureMissing}}}
	v.about.SHA256 = artifact.Digest{1}
	require.True(t, v.wanting())
	begun := time.Now()
	require.Zero(t, g.patiently(t.Context(), Request{Wait: MaxWait}, &v))
	require.Less(t, time.Since(begun), 5*time.Second)
	require.Len(t, g.waits, 1)

	v.Reasons = append(v.Reasons, reason.Reason{Code: reason.CheckFailed})
	require.False(t, v.wanting(), "a signature alone would not help")
}
