package promotion_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// deploy is an upload of somebody who may write to staging, past the registry.
func (r *rig) deploy(repo, path, content string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPut, r.art.URL()+"/artifactory/"+repo+"/"+path, strings.NewReader(content))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.CI)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	require.NoError(r.t, resp.Body.Close())
	require.Equal(r.t, http.StatusCreated, resp.StatusCode)
}

// A bundle froze other bytes under the digest of a manifest than an index vouches for, and the source was put right again.
func TestBundleWithForeignBytesUnderADigest(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	idx, parts := p.NewIndex("linux/amd64")
	p.Push(app, ":1.0", idx)
	p.sealWhole(app+"/1.0/list.manifest.json", keyA, "cosign")
	child := app + "/" + parts[0].Digest + "/manifest.json"
	p.deploy(ociStaging, child, "foreign")
	var places []string
	for _, path := range p.art.Paths(ociStaging) {
		if strings.Contains(path, "/1.0/") || strings.Contains(path, parts[0].Digest) {
			places = append(places, ociStaging+"/"+path)
		}
	}
	p.bundle(places...)
	p.deploy(ociStaging, child, string(parts[0].Raw))
	req := bundleRequest(true, false)
	req.Targets = []string{ociRelease}
	report := p.promote(req)
	require.Equal(t, promotion.StateRefused, report.State, "%+v", report)
	require.Contains(t, codes(report), reason.PartOfImage)
	require.Contains(t, report.Reasons[0].Found, child)
	require.Empty(t, p.art.Paths(ociRelease))
}

// What vouches for a manifest is the index that the bundle holds, not what has its tag now.
func TestBundleIndexReplacedSince(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	idx, _ := p.NewIndex("linux/amd64")
	p.Push(app, ":1.0", idx)
	p.sealWhole(app+"/1.0/list.manifest.json", keyA, "cosign")
	other, strangers := p.NewIndex("linux/arm64")
	p.Push(app, ":2.0", other)
	var places []string
	for _, path := range p.art.Paths(ociStaging) {
		if strings.Contains(path, "/1.0/") || strings.Contains(path, strangers[0].Digest) {
			places = append(places, ociStaging+"/"+path)
		}
	}
	p.bundle(places...)
	p.Push(app, ":1.0", other)
	req := bundleRequest(true, false)
	req.Targets = []string{ociRelease}
	report := p.promote(req)
	require.Equal(t, promotion.StateRefused, report.State, "%+v", report)
	require.True(t, slices.ContainsFunc(report.Items, func(it promotion.Item) bool { return strings.Contains(it.Artifact, strangers[0].Digest) }), "it is judged for itself")
	require.Empty(t, p.art.Paths(ociRelease))
}
