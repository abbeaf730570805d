package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// pulled is how often the artifact's own bytes were read.
func (r *rig) pulled() (n int) {
	for _, q := range r.art.Requests() {
		if q.Target == "/artifactory/"+staging+"/"+path {
			n++
		}
	}
	return n
}

// Artifactory reports SHA-256 only: for a P-384 key the gate hashes the bytes itself, when nothing else will do.
func TestKeysWithAnotherHash(t *testing.T) {
	t.Parallel()
	wide := strings.ReplaceAll(oneSignature, "key: release-a", "key: release-384")
	keys := []string{"release-384:P-384", "release-256", "dev-384:P-384"}
	for name, c := range map[string]struct {
		prepare func(r *rig)
		code    reason.Code
		pulled  int
	}{
		"bundle":                   {func(r *rig) { r.sign("release-384", "sigstore") }, "", 1},
		"raw":                      {func(r *rig) { r.sign("release-384", "raw") }, "", 1},
		"both":                     {func(r *rig) { r.sign("release-384", "raw"); r.sign("release-384", "sigstore") }, "", 1},
		"signed by the other":      {func(r *rig) { r.sign("release-256", "sigstore") }, "", 0},
		"signed raw by the other":  {func(r *rig) { r.sign("release-256", "raw") }, "", 0},
		"unsigned":                 {func(*rig) {}, reason.SignatureMissing, 0},
		"development key":          {func(r *rig) { r.sign("dev-384", "sigstore") }, reason.SignatureWrongKey, 0},
		"swapped":                  {func(r *rig) { r.put(bundle, r.made(r.keys["release-384"], "sigstore", "other")) }, reason.SignatureWrongBytes, 1},
		"overwritten":              {func(r *rig) { r.sign("release-384", "sigstore"); r.put(path, "evil!") }, reason.SignatureWrongBytes, 1},
		"replaced before the pull": {func(r *rig) { r.sign("release-384", "sigstore"); r.meanwhile(func() { r.put(path, "evil!") }) }, reason.ArtifactChanged, 1},
		"replaced after the pull": {func(r *rig) {
			r.sign("release-384", "sigstore")
			r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + staging + "/" + path, When: standin.After, Do: func(*http.Request) { r.put(path, "evil!") }})
		}, reason.ArtifactChanged, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, wide, keys...)
			c.prepare(r)
			v := r.check(path)
			require.True(t, v.Decided, "%+v", v)
			require.Equal(t, c.pulled, r.pulled())
			require.Equal(t, c.code == "", v.Allow, "%+v", v.Reasons)
			if c.code != "" {
				require.Equal(t, []reason.Code{c.code}, codes(v))
			}
		})
	}
}

// Bytes that are not those that Artifactory reports prove nothing.
func TestStorageThatLies(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.ReplaceAll(oneSignature, "key: release-a", "key: release-384"), "release-384:P-384")
	r.put(bundle, r.made(r.keys["release-384"], "sigstore", "HELLO"))
	r.fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + staging + "/" + path, Status: http.StatusOK, Body: "HELLO"})
	v := r.check(path)
	require.False(t, v.Allow)
	require.Equal(t, []reason.Code{reason.Undecided}, codes(v))
}
