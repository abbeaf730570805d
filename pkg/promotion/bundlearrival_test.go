package promotion_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// arrived does something once, when Artifactory has put a file at the target and before Hallmark looks at it.
func (r *rig) arrived(repo, path string, do func()) {
	var once sync.Once
	r.fail(standin.Fault{Method: http.MethodGet, Path: "/lifecycle/api/v2/promotion/statuses/**", When: standin.After, Times: -1, Do: func(*http.Request) {
		if _, there := r.art.File(repo, path); there {
			once.Do(do)
		}
	}})
}

// Artifactory's word that a bundle is promoted says nothing about bytes: what is not what was judged gets no signature and
// no mark, and no source is deleted.
func TestBundleOverwrittenAtTheTarget(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.bundled("a.tgz", "b.tgz")
	r.arrived(release, "a.tgz", func() { r.put(release, "a.tgz", "evil") })
	report := r.promote(bundleRequest(true, true))
	require.Equal(t, promotion.StateIncomplete, report.State)
	require.Equal(t, "failed", states(report)["a.tgz"])
	require.Equal(t, []reason.Code{reason.TargetOccupied}, codes(report), "%+v", report)
	f, _ := r.art.File(release, "a.tgz")
	require.Empty(t, f.Properties["hallmark.state"])
	require.NotContains(t, r.art.Paths(release), "a.tgz.sig")
	require.NotContains(t, r.art.Paths(release), "a.tgz.sigstore.json")
	require.Len(t, r.art.Paths(staging), 6)
}

// The same of an image in a bundle, and of the manifests that it lists.
func TestBundledImageThatDidNotArrive(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(p *port, child string)
		want  reason.Code
		found string
	}{
		"a manifest of the index is missing": {func(p *port, child string) {
			require.NoError(p.t, p.art.Delete("ci", ociRelease, child))
		}, reason.StoreUnavailable, "nothing is at " + ociRelease},
		"a manifest of the index is another": {func(p *port, child string) { p.deploy(ociRelease, child, "evil") }, reason.ArtifactChanged, "was judged with the digest"},
		"the tag was pushed anew": {func(p *port, _ string) {
			r := artifactorytest.NewRegistry(p.t, p.art, ociRelease, artifactorytest.CI)
			other, _ := r.NewIndex("linux/amd64")
			r.Push(app, ":1", other)
		}, reason.ArtifactChanged, "was judged with the digest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, ledger.SQLite, standin.Quirks{})
			_, parts := p.index("1")
			var places []string
			for _, path := range p.art.Paths(ociStaging) {
				if strings.Contains(path, "/1/") || strings.Contains(path, parts[0].Digest) || strings.Contains(path, parts[1].Digest) {
					places = append(places, ociStaging+"/"+path)
				}
			}
			p.bundle(places...)
			child, top := app+"/"+parts[0].Digest+"/manifest.json", app+"/1/list.manifest.json"
			p.arrived(ociRelease, top, func() { c.spoil(p, child) })
			req := bundleRequest(true, true)
			req.Targets = []string{ociRelease}
			report := p.promote(req)
			require.Equal(t, promotion.StateIncomplete, report.State, "%+v", report)
			require.Equal(t, []reason.Code{c.want}, codes(report), "%+v", report)
			require.Contains(t, reasonsOf(report)[0].Found, c.found)
			f, _ := p.art.File(ociRelease, top)
			require.Empty(t, f.Properties["hallmark.state"])
			require.Equal(t, []string{"1"}, p.tags(ociStaging))
		})
	}
}
