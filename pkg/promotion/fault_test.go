package promotion_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// whole checks that nothing of the given artifacts is lost: each stands whole in one of the two repositories.
func (r *rig) whole(paths ...string) {
	r.t.Helper()
	for _, path := range paths {
		for _, suffix := range []string{"", ".sig", ".sigstore.json"} {
			_, here := r.art.File(staging, path+suffix)
			_, there := r.art.File(release, path+suffix)
			require.True(r.t, here || there, "%s is lost", path+suffix)
		}
	}
}

// Whatever call fails, before or after its effect, for good or for long: nothing is lost, what stands where is told, and
// the same command completes it.
func TestEveryCallFails(t *testing.T) {
	t.Parallel()
	paths := []string{"app/a.tgz", "app/b.tgz"}
	calls := map[string]standin.Fault{
		"copy of a signature": {Method: http.MethodPost, Path: "/artifactory/api/copy/**/a.tgz.sig"},
		"copy of an artifact": {Method: http.MethodPost, Path: "/artifactory/api/copy/**/a.tgz"},
		"look at a signature": {Method: http.MethodGet, Path: "/artifactory/api/storage/" + release + "/app/a.tgz.sig"},
		"look at an artifact": {Method: http.MethodGet, Path: "/artifactory/api/storage/" + release + "/app/a.tgz"},
		"properties":          {Method: http.MethodPatch, Path: "/artifactory/api/metadata/" + release + "/app/a.tgz"},
		"delete an artifact":  {Method: http.MethodDelete, Path: "/artifactory/" + staging + "/app/a.tgz"},
		"delete a signature":  {Method: http.MethodDelete, Path: "/artifactory/" + staging + "/app/a.tgz.sig"},
		"list the source":     {Method: http.MethodGet, Path: "/artifactory/api/storage/" + staging + "/app"},
		"list the target":     {Method: http.MethodGet, Path: "/artifactory/api/storage/" + release + "/app"},
	}
	for name, call := range calls {
		for _, when := range []standin.When{standin.Before, standin.After} {
			for how, set := range map[string]func(*standin.Fault){
				"503":   func(f *standin.Fault) { f.Status = 503 },
				"reset": func(f *standin.Fault) { f.Reset = true },
			} {
				for _, move := range []bool{false, true} {
					if !move && call.Method == http.MethodDelete {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/after=%t/move=%t", name, how, when == standin.After, move), func(t *testing.T) {
						t.Parallel()
						r := newRig(t, ledger.SQLite)
						r.signed(paths...)
						req := r.request(staging+"/app/a.tgz", staging+"/app/b.tgz")
						if strings.HasPrefix(name, "list") {
							req.Artifacts = []string{staging + "/app/"}
						}
						req.Confirm, req.Move = true, move
						f := call
						f.When, f.Times = when, -1
						set(&f)
						disarm := r.fail(f)
						report := r.promote(req)
						require.Positive(t, disarm(), "nothing failed")
						r.whole(paths...)
						require.NotEqual(t, promotion.StateRefused, report.State)
						for path, state := range states(report) {
							_, there := r.art.File(release, path)
							_, here := r.art.File(staging, path)
							switch state {
							case "done":
								require.True(t, there && here != move, path)
							case "copied":
								require.True(t, there, path)
							case "failed", "waiting", "begun", "allowed", "undecided":
								require.True(t, here, path)
							default:
								t.Fatal(state)
							}
						}
						if report.State != promotion.StateDone {
							require.NotEmpty(t, codes(report), "%+v", report)
						}
						report = r.promote(req)
						require.Equal(t, promotion.StateDone, report.State, "%+v", report)
						r.stands(paths...)
						require.Len(t, r.art.Paths(release), 6)
						if move {
							require.Empty(t, r.art.Paths(staging))
						}
					})
				}
			}
		}
	}
}

// An artifact that is overwritten between gate and copy does not enter, and leaves nothing behind.
func TestOverwrittenBetweenGateAndCopy(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]func(r *rig, replace func()){
		"after the verdict": func(r *rig, replace func()) { r.after = replace },
		"during the copy": func(r *rig, replace func()) {
			r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/" + staging + "/a.tgz", Do: func(*http.Request) { replace() }})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ledger.SQLite)
			r.signed("a.tgz")
			when(r, func() { r.put(staging, "a.tgz", "evil") })
			report := r.move(staging + "/a.tgz")
			require.Equal(t, promotion.StateIncomplete, report.State)
			require.Equal(t, map[string]string{"a.tgz": "withdrawn"}, states(report))
			require.Equal(t, []reason.Code{reason.ArtifactChanged}, codes(report))
			require.Empty(t, r.art.Paths(release), "also not its signature files")
			require.Len(t, r.art.Paths(staging), 3)
			if r.after != nil {
				require.Zero(t, copies(r, "a.tgz"), "what is seen to be replaced is not even copied")
			}
			r.after = nil
			require.Equal(t, []reason.Code{reason.SignatureWrongBytes}, codes(r.move(staging+"/a.tgz")), "the new bytes are judged afresh")
		})
	}
}

// copies is how often the server was asked to copy a file.
func copies(r *rig, path string) (n int) {
	for _, req := range r.art.Requests() {
		if req.Method == http.MethodPost && strings.HasPrefix(req.Target, "/artifactory/api/copy/"+staging+"/"+path+"?") {
			n++
		}
	}
	return n
}

// What a move has left of its sources is found again below their folder, where the artifact itself is gone already.
func TestLeftoversAreFoundByFolder(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("app/a.tgz", "app/b.tgz")
	disarm := r.fail(standin.Fault{Method: http.MethodDelete, Path: "/artifactory/" + staging + "/app/a.tgz.sig", Status: 503, Times: -1})
	report := r.move(staging + "/app/")
	disarm()
	require.Equal(t, map[string]string{"app/a.tgz": "copied", "app/b.tgz": "done"}, states(report))
	require.Equal(t, []string{"app/a.tgz.sig"}, r.art.Paths(staging))
	report = r.move(staging + "/app/")
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	require.Equal(t, map[string]string{"app/a.tgz": "done"}, states(report))
	require.Empty(t, r.art.Paths(staging))
	r.stands("app/a.tgz", "app/b.tgz")
	require.Equal(t, []reason.Code{reason.NothingSelected}, codes(r.move(staging+"/app/")))
}

// A signature file that is swapped between gate and copy does not enter either.
func TestSignatureSwappedBetweenGateAndCopy(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz")
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/" + staging + "/a.tgz.sig", Do: func(*http.Request) {
		r.put(staging, "a.tgz.sig", "evil")
	}})
	report := r.confirm(staging + "/a.tgz")
	require.Equal(t, map[string]string{"a.tgz": "withdrawn"}, states(report))
	require.Empty(t, r.art.Paths(release))
}

// Where the wrong bytes cannot be taken away again, that is said loudly.
func TestWrongBytesThatStay(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	require.NoError(t, r.art.AddToken(standin.Token{Value: promoter, User: "promoter", Rights: map[string]string{staging: "r", release: "rwa"}}))
	r.signed("a.tgz")
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/" + staging + "/a.tgz", Do: func(*http.Request) {
		r.put(staging, "a.tgz", "evil")
	}})
	report := r.confirm(staging + "/a.tgz")
	require.Equal(t, map[string]string{"a.tgz": "failed"}, states(report))
	require.Contains(t, report.Items[0].Reasons[0].Message, "COULD NOT BE TAKEN AWAY")
	require.Contains(t, report.Items[0].Reasons[0].Fix, release+"/a.tgz")
}

func TestTargetNotWritable(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	require.NoError(t, r.art.AddToken(standin.Token{Value: promoter, User: "promoter", Rights: map[string]string{staging: "rd", release: "r"}}))
	r.signed("a.tgz", "b.tgz")
	report := r.move(staging+"/a.tgz", staging+"/b.tgz")
	require.Equal(t, promotion.StateIncomplete, report.State)
	require.Contains(t, codes(report), reason.PromotionRefused)
	require.Empty(t, r.art.Paths(release))
	require.Len(t, r.art.Paths(staging), 6)
}

// A move whose source may not be deleted stands at the target, and says so.
func TestSourceNotDeletable(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	require.NoError(t, r.art.AddToken(standin.Token{Value: promoter, User: "promoter", Rights: map[string]string{staging: "r", release: "rwda"}}))
	r.signed("a.tgz")
	report := r.move(staging + "/a.tgz")
	require.Equal(t, map[string]string{"a.tgz": "copied"}, states(report))
	require.Equal(t, []reason.Code{reason.PromotionRefused}, codes(report))
	r.stands("a.tgz")
	require.Len(t, r.art.Paths(staging), 3)
}

// Sources that vanish half way: what is gone is told, nothing is claimed.
func TestSourceDeletedHalfWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz", "b.tgz")
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/" + staging + "/a.tgz", Do: func(*http.Request) {
		require.NoError(t, r.art.Delete("dev1", staging, "a.tgz"))
	}})
	report := r.confirm(staging+"/a.tgz", staging+"/b.tgz")
	require.Equal(t, promotion.StateIncomplete, report.State)
	require.Equal(t, "failed", states(report)["a.tgz"])
	require.Contains(t, codes(report), reason.ArtifactGone)
	_, there := r.art.File(release, "a.tgz")
	require.False(t, there)
	require.Equal(t, promotion.StateDone, r.confirm(staging+"/b.tgz").State)
	r.stands("b.tgz")
}

// A source that is replaced before it is deleted is left alone.
func TestSourceReplacedBeforeDeletion(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz", "b.tgz")
	var once atomic.Bool
	r.fail(standin.Fault{Method: http.MethodPatch, Path: "/artifactory/api/metadata/" + release + "/a.tgz", Times: -1, Do: func(*http.Request) {
		if !once.Swap(true) {
			r.put(staging, "a.tgz", "the next version")
		}
	}})
	report := r.move(staging+"/a.tgz", staging+"/b.tgz")
	require.Equal(t, map[string]string{"a.tgz": "copied", "b.tgz": "done"}, states(report))
	r.stands("a.tgz", "b.tgz")
	left, err := r.art.Content(staging, "a.tgz")
	require.NoError(t, err)
	require.Equal(t, "the next version", string(left))
}

// Without a record nothing is changed; when the ledger fails later, nothing is deleted that is not on record.
func TestLedgerFails(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz")
	r.after = r.breakLedger
	req := r.request(staging + "/a.tgz")
	req.Confirm, req.Move = true, true
	_, err := r.service.Promote(t.Context(), req)
	require.Error(t, err)
	require.Empty(t, r.art.Paths(release))

	r.after = nil
	r.hook(func(ledger.CommitPhase) error { return nil })
	r.fail(standin.Fault{Method: http.MethodPatch, Path: "/artifactory/api/metadata/**", Do: func(*http.Request) { r.breakLedger() }})
	report, err := r.service.Promote(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, promotion.StateIncomplete, report.State)
	require.Len(t, r.art.Paths(staging), 3)
	r.hook(func(ledger.CommitPhase) error { return nil })
	require.Equal(t, promotion.StateDone, r.promote(req).State)
	r.stands("a.tgz")
	require.Empty(t, r.art.Paths(staging))
}

// A promotion goes on when its caller has gone.
func TestCallerGoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("hung up"))
	req := r.request(staging + "/a.tgz")
	req.Confirm = true
	report, err := r.service.Promote(ctx, req)
	require.NoError(t, err)
	require.Equal(t, promotion.StateDone, report.State)
	r.stands("a.tgz")
}

// Two of the same at once end as one.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz", "b.tgz")
	req := r.request(staging+"/a.tgz", staging+"/b.tgz")
	req.Confirm, req.Move = true, true
	done := make(chan promotion.State, 4)
	for range cap(done) {
		go func() {
			report, _ := r.service.Promote(context.WithoutCancel(t.Context()), req)
			done <- report.State
		}()
	}
	for range cap(done) {
		require.Equal(t, promotion.StateDone, <-done)
	}
	r.stands("a.tgz", "b.tgz")
	require.Equal(t, 6, r.art.CountRequests(http.MethodPost, "/artifactory/api/copy"))
}
