package promotion_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/e2e/artifactory/artifactorytest"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// What somebody else puts at the target after the verdict is neither overwritten nor deleted, whenever it comes; and no
// signature files are left beside it.
func TestTakenMeanwhile(t *testing.T) {
	t.Parallel()
	copyOf := func(name string) standin.Fault {
		return standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/" + staging + "/" + name}
	}
	for name, when := range map[string]func(r *rig, put func()){
		"after the verdict": func(r *rig, put func()) { r.after = put },
		"after the first signature file": func(r *rig, put func()) {
			f := copyOf("a.tgz.sigstore.json")
			f.Do = func(*http.Request) { put() }
			r.fail(f)
		},
		"and the copy is refused": func(r *rig, put func()) {
			f := copyOf("a.tgz")
			f.Do, f.Status, f.Times = func(*http.Request) { put() }, http.StatusConflict, -1
			r.fail(f)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.signed("a.tgz")
			when(r, func() {
				require.NoError(t, r.art.Put("dev1", release, "a.tgz", strings.NewReader("somebody else's"), nil))
			})
			report := r.move(staging + "/a.tgz")
			require.Contains(t, []promotion.State{promotion.StateIncomplete, promotion.StateRefused}, report.State)
			require.Equal(t, []reason.Code{reason.TargetOccupied}, codes(report), "%+v", report)
			content, err := r.art.Content(release, "a.tgz")
			require.NoError(t, err)
			require.Equal(t, "somebody else's", string(content))
			require.Equal(t, []string{"a.tgz"}, r.art.Paths(release))
			require.Len(t, r.art.Paths(staging), 3)
		})
	}
}

// A signature file that somebody else has put there, the very one that was to come, is not taken away with the others.
func TestTakenByTheSameSignature(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz")
	theirs, err := r.art.Content(staging, "a.tgz.sig")
	require.NoError(t, err)
	r.fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/api/storage/" + release + "/a.tgz.sig", Do: func(*http.Request) {
		r.put(release, "a.tgz.sig", string(theirs))
	}})
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/" + staging + "/a.tgz", Do: func(*http.Request) {
		r.put(staging, "a.tgz", "evil")
	}})
	report := r.confirm(staging + "/a.tgz")
	require.Equal(t, map[string]string{"a.tgz": "withdrawn"}, states(report))
	require.Equal(t, []string{"a.tgz.sig"}, r.art.Paths(release))
}

// Where the server does not say that it copied, and the source was replaced, nobody can tell whose the bytes are.
func TestTakenByNobodyKnowsWhom(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz")
	looks := 0
	r.fail(standin.Fault{Method: http.MethodGet, Path: "/artifactory/api/storage/" + release + "/a.tgz", Times: 2, Do: func(*http.Request) {
		if looks++; looks == 2 { // right before the copy
			r.put(staging, "a.tgz", "evil")
		}
	}})
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/" + staging + "/a.tgz", Status: http.StatusConflict, When: standin.After, Times: -1})
	report := r.confirm(staging + "/a.tgz")
	require.Equal(t, map[string]string{"a.tgz": "failed"}, states(report))
	require.Contains(t, report.Items[0].Reasons[0].Message, "COULD NOT BE TAKEN AWAY")
	require.Equal(t, []string{"a.tgz"}, r.art.Paths(release), "without signature files")
}

// A tag that somebody else pushes to the target while Artifactory refuses the promotion stays.
func TestTagTakenWhileRefused(t *testing.T) {
	t.Parallel()
	p := newPort(t, ledger.SQLite, standin.Quirks{})
	p.image("1")
	r := artifactorytest.NewRegistry(t, p.art, ociRelease, artifactorytest.CI)
	other := r.New("linux/amd64")
	p.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/docker/**/promote", Status: http.StatusConflict, Times: -1, Do: func(*http.Request) { r.Push(app, ":1", other) }})
	report := p.promote(p.ask(":1", true, true))
	require.Equal(t, []reason.Code{reason.TargetOccupied}, codes(report), "%+v", report)
	f, ok := p.art.File(ociRelease, app+"/1/manifest.json")
	require.True(t, ok)
	require.Equal(t, other.SHA256(), f.SHA256)
}
