package gate_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal/sealtest"
)

// verifications is how many signature files were judged from one source, computed or remembered.
func (r *rig) verifications(source string) (n int) {
	r.t.Helper()
	families, err := r.metrics.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "hallmark_gate_verifications_total" && m.GetLabel()[0].GetValue() == source {
				n += int(m.GetCounter().GetValue())
			}
		}
	}
	return n
}

// judged asks and tells how many signature files were judged anew and from memory for the answer.
func (r *rig) judged() (v gate.Verdict, computed, remembered int) {
	r.t.Helper()
	computed, remembered = r.verifications("computed"), r.verifications("remembered")
	v = r.check(path)
	return v, r.verifications("computed") - computed, r.verifications("remembered") - remembered
}

// asked are the requests that were made since the last call.
func (r *rig) asked() (list []string) {
	for _, q := range r.art.Requests() {
		list = append(list, q.Method+" "+q.Target)
	}
	r.art.ForgetRequests()
	return list
}

// The arithmetic is remembered, what stands in Artifactory never: a second verdict costs the same looks and says the same.
func TestCacheSavesNoLook(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(r *rig){
		"signed":       func(r *rig) { r.sign("release-a", "sigstore") },
		"signed twice": func(r *rig) { r.sign("release-a", "raw"); r.sign("release-a", "sigstore") },
		"wrong key":    func(r *rig) { r.sign("dev-a", "sigstore") },
		"wrong bytes":  func(r *rig) { r.put(bundle, r.made(r.keys["release-a"], "sigstore", "other")) },
		"malformed":    func(r *rig) { r.put(bundle, "{") },
		"unsigned":     func(*rig) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			prepare(r)
			cold, computed, remembered := r.judged()
			require.Zero(t, remembered)
			looks := r.asked()
			warm, again, fromMemory := r.judged()
			require.Zero(t, again)
			require.Equal(t, computed, fromMemory)
			require.ElementsMatch(t, looks, r.asked())
			cold.At, warm.At = time.Time{}, time.Time{}
			said := [2]string{}
			for i, v := range []gate.Verdict{cold, warm} {
				text, err := json.Marshal(v)
				require.NoError(t, err)
				said[i] = string(text)
			}
			require.JSONEq(t, said[0], said[1])
		})
	}
}

// For a key that takes another digest than the one Artifactory reports, the artifact is read once, not for each verdict.
func TestCacheSavesHashing(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.ReplaceAll(oneSignature, "key: release-a", "key: release-384"), "release-384:P-384", "dev-384:P-384")
	r.sign("release-384", "sigstore")
	for range 3 {
		require.True(t, r.check(path).Allow)
		require.Equal(t, 1, r.pulled())
	}
	r.put(path, "other")
	require.Equal(t, []reason.Code{reason.SignatureWrongBytes}, codes(r.check(path)))
	require.Equal(t, 2, r.pulled())
}

// Whatever a remembered yes rests on is changed: it is not found again.
func TestCacheIsOfTheSameQuestion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(r *rig)
		code   reason.Code // "" for a yes
	}{
		"other bytes":                  {func(r *rig) { r.put(path, "evil!") }, reason.SignatureWrongBytes},
		"another signature by the key": {func(r *rig) { r.sign("release-b", "sigstore") }, ""},
		"a signature by another":       {func(r *rig) { r.sign("dev-a", "sigstore") }, reason.KeyDevelopment},
		"one of other bytes":           {func(r *rig) { r.put(bundle, r.made(r.keys["release-a"], "sigstore", "other")) }, reason.SignatureWrongBytes},
		"one bit": {func(r *rig) {
			r.put(bundle, strings.Replace(r.made(r.keys["release-a"], "sigstore", content), `"signature":"M`, `"signature":"N`, 1))
		}, reason.SignatureInvalid},
		"the key is not pinned":          {func(r *rig) { r.gate.Trust = r.gate.Trust[1:] }, reason.SignatureWrongKey},
		"another key under its name":     {func(r *rig) { r.pin(0, "release-a", sealtest.NewKey(t, "P-256", "successor")) }, reason.SignatureWrongKey},
		"the key under another name":     {func(r *rig) { r.pin(0, "dev-z", r.keys["release-a"]) }, reason.SignatureWrongKey},
		"the keys change places":         {func(r *rig) { r.gate.Trust[0], r.gate.Trust[1] = r.gate.Trust[1], r.gate.Trust[0] }, ""},
		"the gate was started once more": {func(r *rig) { r.start() }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			r.sign("release-a", "sigstore")
			require.True(t, r.check(path).Allow)
			require.True(t, r.check(path).Allow)
			c.change(r)
			v, computed, remembered := r.judged()
			require.Equal(t, 1, computed)
			require.Zero(t, remembered)
			require.Equal(t, c.code == "", v.Allow, "%+v", v)
			if c.code != "" {
				require.Equal(t, []reason.Code{c.code}, codes(v))
			}
		})
	}
}

// start is what a new process does.
func (r *rig) start() {
	r.t.Helper()
	r.metrics = prometheus.NewRegistry()
	require.NoError(r.t, r.gate.Init(r.metrics))
}

// pin replaces a pinned key.
func (r *rig) pin(i int, name string, key *sealtest.Key) {
	pub, err := hsm.NewPublic(name, lane(name), key.Public())
	require.NoError(r.t, err)
	r.gate.Trust[i] = pub
}

// What was gone, unreadable or unknown is not remembered, nor what another demand would have found out.
func TestCacheOfWhatIsCertain(t *testing.T) {
	t.Parallel()
	wide := strings.ReplaceAll(oneSignature, "key: release-a", "key: release-384")
	r := newRig(t, wide, "release-384:P-384", "dev-384:P-384")
	r.sign("release-384", "sigstore")
	struck := r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + staging + "/" + path, Status: http.StatusOK, Body: "HELLO"})
	require.Equal(t, []reason.Code{reason.Undecided}, codes(r.check(path)), "the artifact cannot be hashed")
	require.Equal(t, 1, struck())
	require.True(t, r.check(path).Allow)

	r.sign("dev-384", "sigstore")
	v, computed, _ := r.judged()
	require.Equal(t, []reason.Code{reason.SignatureWrongKey}, codes(v))
	require.Equal(t, 1, computed)
	r.setPolicy(strings.ReplaceAll(wide, "{lane: release, count: 1}", "{keys: [dev-384], count: 1}"))
	v = r.check(path)
	require.True(t, v.Allow, "%+v", v)
}
