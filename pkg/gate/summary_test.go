package gate_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// A verification summary opens no gate that does not name the format, and one that does only by a key that counts.
func TestSummaryCountsWhereItIsNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, oneSignature)
	r.sign("release-a", "vsa")
	v := r.check(path)
	require.False(t, v.Allow)
	require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(v))
	r.sign("release-a", "sigstore-key")
	require.True(t, r.check(path).Allow)

	demanding := strings.ReplaceAll(oneSignature, "count: 1", "count: 1, formats: [vsa]")
	r = newRig(t, demanding)
	r.sign("release-a", "sigstore")
	require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(r.check(path)))
	r.sign("dev-a", "vsa")
	require.False(t, r.check(path).Allow)
	r.sign("release-a", "vsa")
	v = r.check(path)
	require.True(t, v.Allow)
	require.True(t, v.Signatures[0].Counts)
	r.put("app/1.0/a.tgz.vsa.json", r.made(r.keys["release-a"], "vsa", "other bytes"))
	require.Equal(t, []reason.Code{reason.SignatureWrongBytes}, codes(r.check(path)))
}

// referAs stores a bundle in the registry as a format.
func (p *port) referAs(format string, content []byte) {
	p.t.Helper()
	client := newClient(p.t, p.art.URL(), artifactorytest.CI)
	meaning, err := artifact.Resolve(p.t.Context(), client, ref(artifactorytest.OCIStaging, imageFile))
	require.NoError(p.t, err)
	_, err = client.Refer(p.t.Context(), meaning.Whole(), format, content)
	require.NoError(p.t, err)
}

// The same in the registry, where a bundle is known by what its referrer says, which anybody can say.
func TestSummaryOfAnImage(t *testing.T) {
	t.Parallel()
	p := newPort(t)
	made := func(p *port, format string) []byte { return p.bundle(p.keys["release-a"], format, p.image) }
	p.referAs("vsa", made(p, "vsa"))
	require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(p.verdict(imageFile)))
	p.referAs("cosign-key", made(p, "vsa"))
	require.Equal(t, []reason.Code{reason.SignatureInvalid}, codes(p.verdict(imageFile)))
	p.referAs("cosign-key", made(p, "cosign-key"))
	require.True(t, p.verdict(imageFile).Allow)

	for _, format := range []string{"cosign-key", "vsa"} {
		p := newPort(t)
		p.setPolicy(strings.Replace(imageGate, "count: 1}", "count: 1, formats: ["+format+"]}", 1))
		p.referAs("cosign", made(p, "cosign"))
		require.Equal(t, []reason.Code{reason.SignatureMissing}, codes(p.verdict(imageFile)), format)
		p.referAs(format, made(p, format))
		require.True(t, p.verdict(imageFile).Allow, format)
		require.NoError(t, p.art.SetQuirks(standin.Quirks{Referrers: "403"}))
		require.False(t, p.verdict(imageFile).Decided, "%s: nobody may read the list", format)
	}
}
