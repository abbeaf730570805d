package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// A pipeline that uploads and promotes at once does not fail for being fast: it waits for the signature, however late the
// news of the upload comes, and no longer than it has to for what is never signed.
func TestPromotionRightAfterUpload(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{})
	s.Artifactory.HoldEvents()
	check := func(path string, more ...string) []string {
		return append([]string{"gate", "check", sandbox.Staging + "/" + path, "--target", sandbox.Release}, more...)
	}

	upload(t, s, app, "fresh")
	var v gate.Verdict
	hallmarkJSON(t, s, 1, &v, check(app)...)
	require.Equal(t, "signature-missing", string(v.Reasons[0].Code))
	released := time.AfterFunc(2*time.Second, func() { s.Artifactory.ReleaseEvents(nil) })
	defer released.Stop()
	r := hallmark(t, s, check(app, "--wait", "1m")...)
	require.Equal(t, 0, r.code, r.out+r.err)
	require.Contains(t, r.out, "ALLOWED")
	require.Contains(t, r.err, "waiting up to 1m0s for signatures that are under way")

	// Of several files each has the time that is left.
	for _, name := range []string{"a", "b", "c"} {
		upload(t, s, "app/many/"+name+".tgz", "fresh "+name)
	}
	var report promotion.Report
	hallmarkJSON(t, s, 0, &report, "promote", sandbox.Staging+"/app/many/*.tgz", "--target", sandbox.Release, "--confirm", "--wait", "1m")
	require.Equal(t, promotion.StateDone, report.State)
	require.Len(t, report.Items, 3)

	// What no policy signs is not waited for.
	upload(t, s, "manual/unsigned.bin", "unsigned")
	begun := time.Now()
	hallmarkJSON(t, s, 1, &v, check("manual/unsigned.bin", "--wait", "1m")...)
	require.Less(t, time.Since(begun), 30*time.Second)

	for _, wait := range []string{"61s", "-1s", "soon"} {
		r = hallmark(t, s, check(app, "--wait", wait)...)
		require.Equal(t, 2, r.code)
		require.Empty(t, r.out)
		require.True(t, strings.Contains(r.err, "--wait"), r.err)
	}
}
