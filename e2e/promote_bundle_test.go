package e2e

import (
	"net/http"
	"testing"

	"github.com/jfrog/jfrog-client-go/lifecycle/services"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/sandbox"
	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// shippers lets CI make release bundles, and the promotion identity promote them.
func shippers(c *standin.Config) {
	c.Environments = map[string][]string{production: {sandbox.Release}}
	for i := range c.Tokens {
		switch c.Tokens[i].User {
		case sandbox.Developer, sandbox.Promoter:
			c.Tokens[i].Rights["release-bundles-v2"] = "rw"
		}
	}
}

// hallmark promote --bundle, from JFrog's upload and release bundle to cosign's and openssl's yes on the files in the
// release repository.
func TestPromoteBundle(t *testing.T) {
	t.Parallel()
	s := start(t, sandbox.Config{Trust: true, Standin: shippers})
	m := jfrogClient(t, s)
	contents := map[string][]byte{}
	for _, path := range []string{"app/7/app.tgz", "app/7/lib/lib one.tgz"} {
		contents[path] = staged(t, s, m, path)
	}
	require.NoError(t, jfrogBundles(t, s).CreateReleaseBundleFromArtifacts(gatewaySuite, services.CommonOptionalQueryParams{}, "",
		bundleArtifacts("app/7/app.tgz", "app/7/lib/lib one.tgz")))
	spent := signaturesMade(t, s)
	args := []string{"promote", "--bundle", "gateway-suite/2026.8.1", "--environment", production, "--target", sandbox.Release}
	r := hallmark(t, s, args...)
	require.Equal(t, 0, r.code, r.out+r.err)
	require.Regexp(t, `(?s)ALLOWED.*bundle +gateway-suite/2026.8.1 for PROD\n.*app/7/app.tgz`, r.out)
	require.Empty(t, s.Artifactory.Paths(sandbox.Release))

	// Half way: a signature cannot be copied.
	disarm := s.Artifactory.Fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/**/app.tgz.sig", Status: http.StatusBadGateway, Times: -1})
	var report promotion.Report
	hallmarkJSON(t, s, 2, &report, append(args, "--confirm")...)
	require.Positive(t, disarm())
	require.Equal(t, promotion.StateIncomplete, report.State)

	hallmarkJSON(t, s, 0, &report, append(args, "--confirm")...)
	require.Equal(t, []any{promotion.StateDone, promotion.KindBundle}, []any{report.State, report.Kind})
	for path, content := range contents {
		released(t, s, path, content)
	}
	require.Equal(t, spent, signaturesMade(t, s), "nothing new was signed")
	var record api.Promotion
	hallmarkJSON(t, s, 0, &record, "promote", "show", "2")
	require.Equal(t, []string{"done", "bundle", "gateway-suite/2026.8.1 for PROD"}, []string{record.State, record.Kind, record.Name})

	r = hallmark(t, s, "promote", "--bundle", "gateway-suite/2026.8.2", "--environment", production, "--target", sandbox.Release)
	require.Equal(t, 1, r.code)
	require.Contains(t, r.out, "there is no such release bundle")
	r = hallmark(t, s, "promote", "some/path", "--target", sandbox.Release+",other")
	require.Equal(t, 2, r.code)
	require.Contains(t, r.err, "only a release bundle has several")
}
