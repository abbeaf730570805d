package gate_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Properties explain a refusal; when they cannot be read, it stands as it is, and in time.
func TestPropertiesOnlyExplain(t *testing.T) {
	t.Parallel()
	const asked = "/artifactory/api/storage/" + staging + "/" + path
	for name, fault := range map[string]standin.Fault{
		"forbidden":   {Status: http.StatusForbidden},
		"in trouble":  {Status: http.StatusBadGateway},
		"nonsense":    {Status: http.StatusOK, Body: "<html>"},
		"no answer":   {Delay: 10 * time.Second},
		"another way": {Status: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			r.mark("signed")
			fault.Times = -1
			fault.Match = func(q *http.Request) bool { return q.URL.Path == asked && q.URL.RawQuery == "properties" }
			struck := r.fail(fault)
			v := r.check(path)
			require.True(t, v.Decided, "%+v", v.Reasons)
			require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(v))
			require.NotZero(t, struck())
		})
	}
}

// A property says something false only where no signature verifies: what is signed, and not enough, is told as that.
func TestSignedButNotEnough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(r *rig)
		code    reason.Code
	}{
		"one of two":        {func(r *rig) { r.sign("release-a", "sigstore") }, reason.SignatureMissing},
		"development key's": {func(r *rig) { r.sign("dev-a", "sigstore") }, reason.KeyDevelopment},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, strings.ReplaceAll(oneSignature, "{lane: release, count: 1}", "{keys: [release-a, release-b], count: 2}"))
			r.mark("signed")
			c.prepare(r)
			v := r.check(path)
			require.Equal(t, []reason.Code{c.code}, codes(v))
			require.NotContains(t, v.Reasons[0].Found, "properties")
		})
	}
}
