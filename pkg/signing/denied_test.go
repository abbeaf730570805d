package signing_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func TestDeniedIsToldOnTheArtifact(t *testing.T) {
	t.Parallel()
	long := "other/" + strings.Repeat("x", 200) + "/" + strings.Repeat("y", 200) + "/" + strings.Repeat("z", 200) + "/a.tgz"
	for name, c := range map[string]struct {
		setup setup
		path  string
		code  reason.Code
	}{
		"no policy":       {setup{noMatch: policy.Deny}, "other/a.tgz", reason.NoPolicy},
		"policy conflict": {twoPolicies(), clashPath, reason.PolicyConflict},
		"long path":       {setup{noMatch: policy.Deny}, long, reason.NoPolicy},
		"odd path":        {setup{noMatch: policy.Deny}, `other/a,b|c=d ☃ "e".tgz`, reason.NoPolicy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.setup)
			digest := r.upload(c.path, "hello")
			require.NoError(t, r.do(c.path))
			require.Equal(t, ledger.Denied, r.outcome(c.path).State)
			requireExplained(t, r.outcome(c.path), c.code)
			props := r.props(c.path)
			require.Equal(t, []string{"denied"}, props["hallmark.state"])
			require.Equal(t, []string{digest.String()}, props["hallmark.sha256"])
			require.Len(t, props["hallmark.reason"], 1)
			require.True(t, strings.HasPrefix(props["hallmark.reason"][0], string(c.code)+": "), props["hallmark.reason"][0])
			require.LessOrEqual(t, len(props["hallmark.reason"][0]), 500)
			require.Len(t, props, 3)

			r.setPolicy(policy.Skip, strings.ReplaceAll(oneKey, "app/**", "**"))
			require.NoError(t, r.do(c.path))
			r.requireSigned(c.path, "hello")
			require.NotContains(t, r.props(c.path), "hallmark.reason")
		})
	}
}

func TestDeniedIsRecordedThoughItCannotBeMarked(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{noMatch: policy.Deny, token: artifactorytest.Reader})
	r.upload("other/a.tgz", "hello")
	require.Error(t, r.do("other/a.tgz"))
	o := r.outcome("other/a.tgz")
	require.Equal(t, ledger.Denied, o.State)
	requireExplained(t, o, reason.NoPolicy, reason.PropertyRefused)
	require.Empty(t, r.props("other/a.tgz"))
}

func TestWhatIsNotSignedSaysWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t, setup{})
	r.upload("other/a.tgz", "hello")
	r.upload("app/a.tgz.sig", "somebody's")
	r.upload("app/a.tgz.sigstore.json", "somebody's")
	for path, code := range map[string]reason.Code{
		"other/a.tgz": reason.NoPolicy, "app/a.tgz.sig": reason.SignatureFile, "app/a.tgz.sigstore.json": reason.SignatureFile, "app": reason.NotAFile,
	} {
		require.NoError(t, r.do(path))
		require.Equal(t, ledger.Skipped, r.outcome(path).State)
		requireExplained(t, r.outcome(path), code)
	}
	require.Zero(t, r.uses())
	require.Len(t, r.art.Paths(repo), 3, "nothing was stored")
}
