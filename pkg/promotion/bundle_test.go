package promotion_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/ledger/ledgertest"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// lifecycle calls the interface for release bundles with all rights.
func (r *rig) lifecycle(method, target string, body any) (int, string) {
	r.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(r.t, err)
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.art.URL()+"/lifecycle/api/v2/"+target, strings.NewReader(string(raw)))
	require.NoError(r.t, err)
	req.Header.Set("Authorization", "Bearer "+artifactorytest.Admin)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer func() { _ = resp.Body.Close() }()
	said, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	return resp.StatusCode, string(said)
}

// bundle makes release bundle suite/1 of what lies at repository/path.
func (r *rig) bundle(places ...string) {
	r.t.Helper()
	var sources []map[string]string
	for _, p := range places {
		sources = append(sources, map[string]string{"path": p})
	}
	status, said := r.lifecycle(http.MethodPost, "release_bundle?async=false", map[string]any{
		"release_bundle_name": "suite", "release_bundle_version": "1", "source_type": "artifacts", "source": map[string]any{"artifacts": sources},
	})
	require.Equal(r.t, http.StatusCreated, status, said)
}

// bundled makes it of signed artifacts.
func (r *rig) bundled(paths ...string) {
	r.t.Helper()
	r.signed(paths...)
	var places []string
	for _, p := range paths {
		places = append(places, staging+"/"+p)
	}
	r.bundle(places...)
}

func (r *rig) dropBundle() {
	status, said := r.lifecycle(http.MethodDelete, "release_bundle/records/suite/1?async=false", nil)
	require.Equal(r.t, http.StatusNoContent, status, said)
}

func (r *rig) promotions() int {
	r.t.Helper()
	_, said := r.lifecycle(http.MethodGet, "promotion/records/suite/1", nil)
	return strings.Count(said, `"COMPLETED"`)
}

func bundleRequest(confirm, move bool) promotion.Request {
	return promotion.Request{
		Instance: "main", Bundle: &promotion.Bundle{Name: "suite", Version: "1", Environment: artifactorytest.Production}, Targets: []string{release}, Caller: "ci", Confirm: confirm, Move: move,
	}
}

func TestBundle(t *testing.T) {
	t.Parallel()
	ledgertest.Each(t, func(t *testing.T, d ledger.Dialect) {
		for name, move := range map[string]bool{"copy": false, "move": true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t, d)
				paths := []string{"app/1/a.tgz", "app/1/sub/b ü+#.tgz"}
				r.bundled(paths...)
				dry := r.promote(bundleRequest(false, move))
				require.Equal(t, promotion.StateAllowed, dry.State, "%+v", dry)
				require.Equal(t, []any{promotion.KindBundle, "suite/1 for PROD", release}, []any{dry.Kind, dry.Name, dry.Target})
				require.Empty(t, r.art.Paths(release))
				require.Zero(t, r.promotions())

				done := r.promote(bundleRequest(true, move))
				require.Equal(t, promotion.StateDone, done.State, "%+v", done)
				r.stands(paths...)
				require.Equal(t, 1, r.promotions())
				if move {
					require.Empty(t, r.art.Paths(staging))
				}
				again := r.promote(bundleRequest(true, move))
				require.Equal(t, promotion.StateDone, again.State, "%+v", again)
				require.Equal(t, 1, r.promotions())
			})
		}
	})
}

// A bundle may hold the signature files, too; and one that somebody else promoted gets them.
func TestBundleSignatures(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz")
	r.bundle(staging+"/a.tgz", staging+"/a.tgz.sig")
	report := r.promote(bundleRequest(true, true))
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	r.stands("a.tgz")
	require.Len(t, r.art.Paths(release), 3)
	require.Empty(t, r.art.Paths(staging))

	r = newRig(t, ledger.SQLite)
	r.bundled("a.tgz", "b.tgz")
	status, said := r.lifecycle(http.MethodPost, "promotion/records/suite/1?async=false", map[string]any{"environment": "PROD", "included_repository_keys": []string{release}})
	require.Less(t, status, 300, said)
	require.Len(t, r.art.Paths(release), 2)
	report = r.promote(bundleRequest(true, false))
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	r.stands("a.tgz", "b.tgz")
	require.Equal(t, 1, r.promotions())
}

// Files and images in one bundle go into one repository of each type.
func TestBundleOfTwoTypes(t *testing.T) {
	t.Parallel()
	for _, move := range []bool{false, true} {
		p := newPort(t, ledger.SQLite, standin.Quirks{})
		p.signed("a.tgz")
		idx, parts := p.NewIndex("linux/amd64", "linux/arm64")
		p.Push(app, ":1.0", idx)
		p.sealWhole(app+"/1.0/list.manifest.json", keyA, "cosign") // the index alone: it vouches for its parts
		img, path := p.image("2.0")
		places := []string{staging + "/a.tgz"}
		for _, at := range p.art.Paths(ociStaging) {
			if rest := strings.TrimPrefix(at, app+"/"); strings.HasPrefix(rest, "1.0/") || strings.HasPrefix(rest, "2.0/") ||
				strings.HasPrefix(rest, parts[0].Digest) || strings.HasPrefix(rest, parts[1].Digest) {
				places = append(places, ociStaging+"/"+at)
			}
		}
		p.bundle(places...)
		req := bundleRequest(true, move)
		_, err := p.service.Promote(t.Context(), req)
		require.NoError(t, err)
		require.Empty(t, p.art.Paths(release), "there was no target for images")
		req.Targets = []string{release, ociRelease}
		for range 2 {
			report := p.promote(req)
			require.Equal(t, promotion.StateDone, report.State, "%+v", report)
			require.Len(t, report.Items, 3, "%+v", report)
			require.Equal(t, release+","+ociRelease, report.Target)
			p.stands("a.tgz")
			p.ships(app+"/1.0/list.manifest.json", idx)
			_, there := p.art.File(ociRelease, app+"/"+parts[0].Digest+"/manifest.json")
			require.True(t, there)
			p.ships(path, img)
		}
		require.Equal(t, move, len(p.tags(ociStaging)) == 0)
	}
}

func TestBundleRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(r *rig, req *promotion.Request)
		want  reason.Code
	}{
		"unknown":             {func(_ *rig, req *promotion.Request) { req.Bundle.Version = "2" }, reason.NothingSelected},
		"deleted":             {func(r *rig, _ *promotion.Request) { r.dropBundle() }, reason.NothingSelected},
		"no environment":      {func(_ *rig, req *promotion.Request) { req.Bundle.Environment = "" }, reason.PathRefused},
		"no target":           {func(_ *rig, req *promotion.Request) { req.Targets = nil }, reason.PathRefused},
		"a target twice":      {func(_ *rig, req *promotion.Request) { req.Target = release }, reason.PathRefused},
		"a target of images":  {func(_ *rig, req *promotion.Request) { req.Targets = []string{ociRelease} }, reason.PathRefused},
		"two of one type":     {func(_ *rig, req *promotion.Request) { req.Targets = append(req.Targets, release+"-too") }, reason.PathRefused},
		"target without rule": {func(_ *rig, req *promotion.Request) { req.Targets = []string{release + "-too"} }, reason.NoGatePolicy},
		"not signed": {func(r *rig, _ *promotion.Request) {
			require.NoError(r.t, r.art.Delete("dev1", staging, "a.tgz.sig"))
			require.NoError(r.t, r.art.Delete("dev1", staging, "a.tgz.sigstore.json"))
		}, reason.SignatureMissing},
		"source gone": {func(r *rig, _ *promotion.Request) { require.NoError(r.t, r.art.Delete("dev1", staging, "a.tgz")) }, reason.ArtifactGone},
		"source replaced by another signed one": {func(r *rig, _ *promotion.Request) {
			r.put(staging, "a.tgz", "next")
			r.put(staging, "a.tgz.sig", r.signature(keyA, "raw", "next"))
			r.put(staging, "a.tgz.sigstore.json", r.signature(keyA, "sigstore", "next"))
		}, reason.ArtifactChanged},
		"target taken": {func(r *rig, _ *promotion.Request) { r.put(release, "a.tgz", "other") }, reason.TargetOccupied},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.bundled("a.tgz", "b.tgz")
			req := bundleRequest(true, true)
			c.spoil(r, &req)
			report, err := r.service.Promote(t.Context(), req)
			if no := (*reason.Refused)(nil); err != nil {
				require.ErrorAs(t, err, &no)
				require.Equal(t, c.want, no.Reasons[0].Code, "%v", err)
			} else {
				require.Equal(t, promotion.StateRefused, report.State, "%+v", report)
				require.Contains(t, codes(report), c.want)
			}
			require.Zero(t, len(r.art.Paths(release+"-too")))
			_, there := r.art.File(release, "b.tgz")
			require.False(t, there)
		})
	}
}

// Whatever call fails: nothing is lost, what failed is told, and the same command completes it.
func TestEveryCallOfABundleFails(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]standin.Fault{
		"promote":        {Method: http.MethodPost, Path: "/lifecycle/api/v2/promotion/records/**"},
		"status":         {Method: http.MethodGet, Path: "/lifecycle/api/v2/promotion/statuses/**"},
		"contents":       {Method: http.MethodGet, Path: "/lifecycle/api/v2/release_bundle/records/**"},
		"look":           {Method: http.MethodGet, Path: "/artifactory/api/storage/" + release + "/b.tgz"},
		"signature":      {Method: http.MethodPost, Path: "/artifactory/api/copy/**/b.tgz.sig"},
		"all signatures": {Method: http.MethodPost, Path: "/artifactory/api/copy/**/b.tgz.*"},
		"property":       {Method: http.MethodPatch, Path: "/artifactory/api/metadata/" + release + "/b.tgz"},
		"delete":         {Method: http.MethodDelete, Path: "/artifactory/" + staging + "/b.tgz"},
	} {
		for _, when := range []standin.When{standin.Before, standin.After} {
			t.Run(fmt.Sprintf("%s/after=%t", name, when == standin.After), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ledger.SQLite)
				r.signed("a.tgz", "b.tgz")
				r.claim(staging, "a.tgz", "b.tgz")
				r.bundle(staging+"/a.tgz", staging+"/b.tgz")
				f := call
				f.When, f.Times, f.Status = when, -1, http.StatusServiceUnavailable
				disarm := r.fail(f)
				report := r.promote(bundleRequest(true, true))
				require.Positive(t, disarm(), "nothing failed")
				r.whole("a.tgz", "b.tgz")
				r.honest(release, "a.tgz", "b.tgz")
				if report.State != promotion.StateDone {
					require.NotEmpty(t, codes(report), "%+v", report)
				}
				report = r.promote(bundleRequest(true, true))
				require.Equal(t, promotion.StateDone, report.State, "%+v", report)
				r.stands("a.tgz", "b.tgz")
				require.Empty(t, r.art.Paths(staging))
				require.Equal(t, 1, r.promotions())
			})
		}
	}
}

// A promotion that Artifactory breaks off leaves nothing behind, so that the next run can succeed; also where it carried
// half of the bundle.
func TestBundlePromotionBreaksOff(t *testing.T) {
	t.Parallel()
	for _, abort := range []string{"half", "none"} {
		t.Run(abort, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			require.NoError(t, r.art.SetQuirks(standin.Quirks{PromotionAbort: abort}))
			r.bundled("a.tgz", "b.tgz", "c.tgz")
			n := 0
			r.art.Interrupt(func(_, _ string) error {
				if n++; n == 3 {
					return fmt.Errorf("disk full")
				}
				return nil
			})
			report := r.promote(bundleRequest(true, true))
			require.Equal(t, promotion.StateIncomplete, report.State)
			require.Equal(t, []reason.Code{reason.PromotionRefused}, codes(report), "%+v", report)
			require.Contains(t, report.Reasons[0].Found, "disk full")
			require.Equal(t, map[string]string{"a.tgz": "withdrawn", "b.tgz": "withdrawn", "c.tgz": "waiting"}, states(report))
			require.Empty(t, r.art.Paths(release))
			require.Len(t, r.art.Paths(staging), 9)
			r.art.Interrupt(nil)
			report = r.promote(bundleRequest(true, true))
			require.Equal(t, promotion.StateDone, report.State, "%+v", report)
			r.stands("a.tgz", "b.tgz", "c.tgz")
		})
	}
}

// What a broken promotion left and cannot be taken away again is told, by name.
func TestBundleLeftoversThatStay(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	rights := promoterRights()
	rights[release] = "rwa"
	require.NoError(t, r.art.AddToken(standin.Token{Value: promoter, User: "promoter", Rights: rights}))
	r.bundled("a.tgz", "b.tgz")
	n := 0
	r.art.Interrupt(func(_, _ string) error {
		if n++; n == 2 {
			return fmt.Errorf("disk full")
		}
		return nil
	})
	report := r.promote(bundleRequest(true, false))
	require.Equal(t, map[string]string{"a.tgz": "failed", "b.tgz": "waiting"}, states(report))
	require.Contains(t, report.Items[0].Reasons[0].Message, "LEFT IT AT THE TARGET")
	require.Contains(t, report.Items[0].Reasons[0].Fix, release+"/a.tgz")
}

// A bundle that is deleted after the verdict, and a target that may not be written.
func TestBundleGoneOrForbidden(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.bundled("a.tgz")
	r.after = r.dropBundle
	report := r.promote(bundleRequest(true, true))
	require.Equal(t, []reason.Code{reason.ArtifactGone}, codes(report), "%+v", report)
	require.Equal(t, promotion.StateIncomplete, report.State)
	require.Empty(t, r.art.Paths(release))
	require.Len(t, r.art.Paths(staging), 3)

	r = newRig(t, ledger.SQLite)
	rights := promoterRights()
	rights[release] = "r"
	require.NoError(t, r.art.AddToken(standin.Token{Value: promoter, User: "promoter", Rights: rights}))
	r.bundled("a.tgz")
	report = r.promote(bundleRequest(true, true))
	require.Equal(t, []reason.Code{reason.PromotionRefused}, codes(report), "%+v", report)
	require.Equal(t, promotion.StateIncomplete, report.State)
	require.Len(t, r.art.Paths(staging), 3)
}

func TestBundleTwiceAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.bundled("a.tgz", "b.tgz")
	done := make(chan promotion.State, 3)
	for range cap(done) {
		go func() {
			report, _ := r.service.Promote(t.Context(), bundleRequest(true, true))
			done <- report.State
		}()
	}
	for range cap(done) {
		require.Equal(t, promotion.StateDone, <-done)
	}
	r.stands("a.tgz", "b.tgz")
	require.Equal(t, 1, r.promotions())
}
