package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// channeled also asks for a property of what enters.
const channeled = oneSignature + `  checks:
    - {name: channel, property: {name: channel, values: [stable]}}
`

// A gate's checks are asked over what Artifactory says now; what cannot be learnt is a no that tells what to grant, and a
// gate without checks asks for nothing more.
func TestChecksOfGates(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.put(path, content)
	r.sign("release-a", "sigstore")
	asked := func() (properties int) {
		for _, q := range r.art.Requests() {
			if strings.HasSuffix(q.Target, "?properties") {
				properties++
			}
		}
		return properties
	}
	require.True(t, r.check(path).Allow)
	require.Zero(t, asked())

	r.setPolicy(channeled)
	v := r.check(path)
	require.True(t, v.Decided)
	require.False(t, v.Allow)
	require.Equal(t, reason.CheckFailed, v.Reasons[0].Code)
	require.NoError(t, r.art.Put("anybody", staging, path, strings.NewReader(content), map[string][]string{"channel": {"stable"}}))
	require.True(t, r.check(path).Allow)

	for status, fix := range map[int]string{http.StatusServiceUnavailable: "hallmark gate check", http.StatusForbidden: "grant it"} {
		disarm := r.art.Fail(standin.Fault{Match: func(q *http.Request) bool { return q.URL.RawQuery == "properties" }, Status: status, Times: -1})
		v = r.check(path)
		disarm()
		require.False(t, v.Decided)
		require.False(t, v.Allow)
		require.Equal(t, reason.FactsUnavailable, v.Reasons[0].Code)
		require.Contains(t, v.Reasons[0].Fix, fix)
	}
	require.True(t, r.check(path).Allow)
}
