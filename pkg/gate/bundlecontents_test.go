package gate_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Evidence over a bundle's record lets no content in that the gate refuses by itself.
func TestBundleGoesOnlyWithItsContents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(r *rig)
		want   reason.Code
		found  string
	}{
		"never signed": {func(r *rig) { r.remove("app/1.0/a.tgz.sigstore.json") }, reason.BundleRefused, string(reason.SignatureMissing)},
		"replaced":     {func(r *rig) { r.put(path, "other") }, reason.BundleRefused, string(reason.SignatureWrongBytes)},
		"signed anew": {func(r *rig) {
			r.put(path, "other")
			r.put("app/1.0/a.tgz.sigstore.json", r.made(r.keys["release-a"], "sigstore", "other"))
		}, reason.BundleRefused, string(reason.ArtifactChanged)},
		"deleted": {func(r *rig) { r.remove(path) }, reason.BundleRefused, string(reason.ArtifactGone)},
		"unreadable": {func(r *rig) {
			r.fail(standin.Fault{Path: "/artifactory/api/storage/" + staging + "/**", Status: http.StatusForbidden})
		}, reason.Undecided, "403"},
		"contents hang": {func(r *rig) {
			r.fail(standin.Fault{Path: "/artifactory/api/storage/" + staging + "/**", Delay: time.Minute})
		}, reason.Undecided, "0 of 1 artifacts"},
		"signed by dev":   {func(r *rig) { r.remove("app/1.0/a.tgz.sigstore.json"); r.sign("dev-a", "sigstore") }, reason.BundleRefused, string(reason.KeyDevelopment)},
		"nothing changed": {func(*rig) {}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := yard(t)
			r.attach(r.made(r.keys["release-a"], "evidence", r.record()))
			c.change(r)
			v := r.checkBundle(bundleRecord)
			if c.want == "" {
				require.True(t, v.Allow, "%+v", v.Reasons)
				return
			}
			require.Equal(t, []reason.Code{c.want}, codes(v), "%+v", v.Reasons)
			require.Contains(t, v.Reasons[0].Found, c.found)
			if c.want == reason.BundleRefused {
				require.Contains(t, v.Reasons[0].Found, staging+"/"+path)
			}
			if c.found == "0 of 1 artifacts" {
				require.Contains(t, v.Reasons[0].Fix, "hallmark promote --bundle gateway-suite/2026.8.1 --environment ")
			}
		})
	}
}

// The reason names the first of many, and more than a verdict has time for is left to the dry run of a promotion.
func TestBundleOfManyContents(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]reason.Code{7: reason.BundleRefused, 501: reason.Undecided} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, bundleGate)
			paths := make([]string, n)
			for i := range paths {
				paths[i] = fmt.Sprintf("many/%d.tgz", i)
				r.put(paths[i], paths[i])
			}
			r.bundle(paths...)
			r.attach(r.made(r.keys["release-a"], "evidence", r.record()))
			v := r.checkBundle(bundleRecord)
			require.Equal(t, []reason.Code{want}, codes(v))
			if want == reason.Undecided {
				require.Contains(t, v.Reasons[0].Found, "501 artifacts")
				require.Contains(t, v.Reasons[0].Fix, "hallmark promote --bundle gateway-suite/2026.8.1 --environment ")
				return
			}
			require.Equal(t, 3, strings.Count(v.Reasons[0].Found, staging+"/many/"))
			require.Contains(t, v.Reasons[0].Found, "and 4 more")
		})
	}
}
