package gate_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// A signature file is promoted too. It may go where its artifact may, if it is a signature of that artifact.
func TestPromotingASignatureFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(r *rig)
		asked   string
		code    reason.Code
		subject string // default the artifact
	}{
		"bundle":                {func(r *rig) { r.sign("release-a", "sigstore") }, bundle, "", path},
		"raw":                   {func(r *rig) { r.sign("release-a", "raw") }, raw, "", path},
		"under the key's name":  {func(r *rig) { r.sign("release-a", "raw"); r.signAs("release-b", "raw", false) }, "app/1.0/a.tgz.release-b.sig", "", path},
		"only under the key's":  {func(r *rig) { r.signAs("release-b", "raw", false) }, "app/1.0/a.tgz.release-b.sig", "", path},
		"artifact is unsigned":  {func(r *rig) { r.put(bundle, "{}") }, bundle, reason.SignatureInvalid, path},
		"garbage beside a good": {func(r *rig) { r.sign("release-a", "sigstore"); r.put(raw, "malware") }, raw, reason.SignatureInvalid, path},
		"too large beside good": {func(r *rig) { r.sign("release-a", "sigstore"); r.put(raw, strings.Repeat("x", 1<<20)) }, raw, reason.SignatureInvalid, path},
		"development key's":     {func(r *rig) { r.sign("release-a", "sigstore"); r.sign("dev-a", "raw") }, raw, reason.KeyDevelopment, path},
		"a stranger's":          {func(r *rig) { r.sign("release-a", "raw"); r.put(bundle, r.made(stranger(r), "sigstore", content)) }, bundle, reason.SignatureWrongKey, path},
		"of other bytes": {func(r *rig) {
			r.sign("release-a", "raw")
			r.put(bundle, r.made(r.keys["release-a"], "sigstore", "other"))
		}, bundle, reason.SignatureWrongBytes, path},
		"without its artifact": {func(r *rig) { r.sign("release-a", "sigstore"); require.NoError(r.t, r.art.Delete("x", staging, path)) }, bundle, reason.ArtifactGone, ""},
		"that is not there":    {func(r *rig) { r.sign("release-a", "sigstore") }, raw, reason.ArtifactGone, path},
		"replaced meanwhile": {func(r *rig) {
			r.sign("release-a", "sigstore")
			r.sign("release-a", "raw")
			n := 0
			r.art.Fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/" + staging + "/" + raw, When: standin.After, Times: -1, Do: func(*http.Request) {
				if n++; n == 2 { // once among the evidence, once for itself
					r.put(raw, "malware")
				}
			}})
		}, raw, reason.ArtifactChanged, path},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, oneSignature)
			c.prepare(r)
			v := r.check(c.asked)
			require.True(t, v.Decided, "%+v", v)
			require.Equal(t, staging+"/"+c.asked, v.Artifact)
			if c.subject != "" {
				require.Equal(t, staging+"/"+c.subject, v.Subject)
			}
			if c.code == "" {
				require.True(t, v.Allow, "%+v", v.Reasons)
				return
			}
			require.Equal(t, []reason.Code{c.code}, codes(v))
		})
	}
}

// A name can be read in two ways; the artifact that is there counts.
func TestASignatureFileOfTwoReadings(t *testing.T) {
	t.Parallel()
	r := newRig(t, strings.ReplaceAll(oneSignature, "**/*.tgz", "**"))
	odd := "app/1.0/a.tgz.release-b" // an artifact whose name ends like a key's
	r.put(odd, "other")
	r.put(odd+".sig", r.made(r.keys["release-a"], "raw", "other"))
	v := r.ask(gate.Request{Artifact: ref(staging, odd+".sig"), Target: ref(release, odd+".sig")})
	require.True(t, v.Allow, "%+v", v.Reasons)
	require.Equal(t, staging+"/"+odd, v.Subject)
}

// A bare signature is no less genuine where more is demanded: it goes along with what has more, and opens nothing by itself.
func TestABareSignatureGoesAlong(t *testing.T) {
	t.Parallel()
	r := newTrustRig(t, chained)
	r.sign("release-a", "raw")
	require.Equal(t, []reason.Code{reason.TrustLevelLow}, codes(r.check(raw)))
	r.put(bundle, r.sealed(r.realm, "release-a", "sigstore", content))
	v := r.check(raw)
	require.True(t, v.Allow, "%+v", v.Reasons)
	v = r.check(path)
	require.True(t, v.Allow, "%+v", v.Reasons)
	for _, s := range v.Signatures {
		require.Equal(t, []bool{s.Format == "sigstore", true}, []bool{s.Counts, s.Along}, s.File)
	}
	r.put(raw, r.made(r.keys["dev-a"], "raw", content))
	require.Equal(t, []reason.Code{reason.KeyDevelopment}, codes(r.check(raw)))
	for _, s := range r.check(path).Signatures {
		require.Equal(t, s.Format == "sigstore", s.Along, s.File)
	}
}
