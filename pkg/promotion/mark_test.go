package promotion_test

import (
	"net/http"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// atSource is what the mark of a source names as its policy: by it a mark that Artifactory copied is told from ours.
const atSource = "staging-policy"

// claim gives a source the mark that signing gave it.
func (r *rig) claim(repo string, paths ...string) {
	r.t.Helper()
	for _, path := range paths {
		f, ok := r.art.File(repo, path)
		require.True(r.t, ok, path)
		require.NoError(r.t, r.clients(artifactorytest.CI)["main"].Merge(r.t.Context(), artifact.Ref{Instance: "main", Repo: repo, Path: path}, map[string][]string{
			"hallmark.state": {"signed"}, "hallmark.sha256": {f.SHA256}, "hallmark.keys": {keyA}, "hallmark.policy": {atSource},
		}))
	}
}

// holds reports whether the signatures that the target requires verify there.
func (r *rig) holds(repo, path string) bool {
	r.t.Helper()
	ref := artifact.Ref{Instance: "main", Repo: repo, Path: path}
	g := *r.gate
	g.Instances = r.clients(promoter)
	require.NoError(r.t, g.Init(prometheus.NewRegistry()))
	return g.Inspect(r.t.Context(), gate.Request{Artifact: ref, Target: ref}).Allow
}

// honest checks that what a target has of our marks is true.
func (r *rig) honest(repo string, paths ...string) {
	r.t.Helper()
	for _, path := range paths {
		f, _ := r.art.File(repo, path)
		if state := f.Properties["hallmark.state"]; len(state) == 0 || f.Properties["hallmark.policy"][0] == atSource {
			continue // none, or Artifactory's copy
		}
		require.Equal(r.t, []string{"signed"}, f.Properties["hallmark.state"], path)
		require.True(r.t, r.holds(repo, path), "%s says that it is signed", path)
	}
}

// Artifactory copies properties with what it carries, so the mark of the source stands at the target before the
// signatures do, for as long as these do not come. It is no evidence to a gate, and the guide tells of it.
func TestArtifactoryCopiesTheMark(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare func(p *port) (repo, path string, req promotion.Request)
		fault   standin.Fault
	}{
		"image": {func(p *port) (string, string, promotion.Request) {
			_, path := p.image("1")
			p.claim(ociStaging, path)
			return ociRelease, path, p.ask(":1", true, false)
		}, standin.Fault{Method: http.MethodPut, Path: "/artifactory/api/docker/" + ociRelease + "/**"}},
		"bundle": {func(p *port) (string, string, promotion.Request) {
			p.signed("a.tgz")
			p.claim(staging, "a.tgz")
			p.bundle(staging + "/a.tgz")
			return release, "a.tgz", bundleRequest(true, false)
		}, standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/**"}},
		"image in a bundle": {func(p *port) (string, string, promotion.Request) {
			_, path := p.image("1")
			p.claim(ociStaging, path)
			p.bundle(ociStaging + "/" + path)
			req := bundleRequest(true, false)
			req.Targets = []string{ociRelease}
			return ociRelease, path, req
		}, standin.Fault{Method: http.MethodPut, Path: "/artifactory/api/docker/" + ociRelease + "/**"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPort(t, ledger.SQLite, standin.Quirks{})
			repo, path, req := c.prepare(p)
			c.fault.Status, c.fault.Times = http.StatusServiceUnavailable, -1
			disarm := p.fail(c.fault)
			require.Equal(t, promotion.StateIncomplete, p.promote(req).State)
			disarm()
			f, ok := p.art.File(repo, path)
			require.True(t, ok)
			require.Equal(t, []string{"signed"}, f.Properties["hallmark.state"])
			require.Equal(t, []string{atSource}, f.Properties["hallmark.policy"])
			require.False(t, p.holds(repo, path), "properties are no evidence")
			require.Equal(t, promotion.StateDone, p.promote(req).State)
			f, _ = p.art.File(repo, path)
			require.NotEqual(t, []string{atSource}, f.Properties["hallmark.policy"])
			p.honest(repo, path)
		})
	}
}
