package gate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// distrust puts on the books that a key is distrusted from a moment on.
func (r *rig) distrust(key string, from time.Time) {
	r.t.Helper()
	_, err := r.ledger.Distrust(r.t.Context(), ledger.Distrust{KeyName: key, KeySPKI: r.spki(key), From: from, By: "alice", Why: "stolen"})
	require.NoError(r.t, err)
}

// What a distrusted key signed before counts, if something trustworthy tells so. What it signed since, or nobody knows when,
// does not.
func TestDistrustedKeys(t *testing.T) {
	t.Parallel()
	from := time.Now().Add(-time.Hour).Truncate(time.Second)
	for name, c := range map[string]struct {
		prepare func(r *trustRig)
		found   string // "" lets it in
	}{
		"recorded before":                   {func(r *trustRig) { r.service(from.Add(-time.Second), "release-a", "sigstore", path, content) }, ""},
		"recorded since":                    {func(r *trustRig) { r.service(from, "release-a", "sigstore", path, content) }, "which is distrusted from"},
		"nobody knows when":                 {func(r *trustRig) { r.sign("release-a", "sigstore") }, "at a time that nothing trustworthy tells; the key is distrusted from"},
		"raw, nobody knows when":            {func(r *trustRig) { r.sign("release-a", "raw") }, "at a time that nothing trustworthy tells"},
		"time-stamped since":                {func(r *trustRig) { r.put(bundle, r.sealed(r.realm, "release-a", "sigstore", content)) }, "which is distrusted from"},
		"time-stamped since, recorded long": {func(r *trustRig) { r.stampedAndRecorded(from.Add(-time.Hour)) }, "which is distrusted from"},
		"by another key, too":               {func(r *trustRig) { r.sign("release-a", "sigstore"); r.sign("release-b", "raw") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTrustRig(t, pinned)
			c.prepare(r)
			require.True(t, r.check(path).Allow, "it is remembered as good")
			second := &gate.Gate{Instances: r.gate.Instances, Policies: r.gate.Policies, Trust: r.gate.Trust, Trusted: r.gate.Trusted, Ledger: r.ledger, Log: r.gate.Log}
			require.NoError(t, second.Init(prometheus.NewRegistry()))
			req := gate.Request{Artifact: ref(staging, path), Target: ref(release, path), Caller: "ci"}
			require.True(t, second.Check(t.Context(), req).Allow)

			r.distrust("release-a", from)
			for _, v := range []gate.Verdict{r.check(path), second.Check(t.Context(), req)} { // at once, on every replica
				require.True(t, v.Decided)
				if c.found == "" {
					require.True(t, v.Allow, "%+v", v.Reasons)
					continue
				}
				require.Equal(t, []reason.Code{reason.KeyDistrusted}, codes(v))
				require.Contains(t, v.Reasons[0].Found, c.found)
			}
			_, err := r.ledger.Distrust(t.Context(), ledger.Distrust{KeyName: "release-a", KeySPKI: r.spki("release-a"), Lifted: true, By: "alice"})
			require.NoError(t, err)
			require.True(t, r.check(path).Allow)
		})
	}
}

// stampedAndRecorded is a bundle that is stamped now and on the books with another time.
func (r *trustRig) stampedAndRecorded(at time.Time) {
	file := r.sealed(r.realm, "release-a", "sigstore", content)
	r.put(bundle, file)
	r.remember(at, "release-a", "sigstore", path, content, file)
}

// A key that must not have signed has signed, whether it is distrusted or its signature carries what is not true.
func TestForbiddenAllTheSame(t *testing.T) {
	t.Parallel()
	forbidding := strings.Replace(pinned, "require:\n", "require:\n  forbidden: {lane: development}\n", 1)
	r := newTrustRig(t, forbidding)
	r.sign("release-a", "raw")
	require.True(t, r.check(path).Allow)
	falsified := edited(t, r.sealed(r.realm, "dev-a", "sigstore", content), func(m map[string]any) { delete(m, "tlogEntries") })
	r.put(bundle, falsified)
	require.Equal(t, []reason.Code{reason.KeyForbidden}, codes(r.check(path)), "its proof is gone, its signature is not")

	r = newTrustRig(t, forbidding)
	r.sign("release-a", "raw")
	r.sign("dev-a", "sigstore")
	r.distrust("dev-a", time.Now().Add(-time.Hour))
	require.Equal(t, []reason.Code{reason.KeyForbidden}, codes(r.check(path)))
}
