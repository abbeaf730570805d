package promotion_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	standin "github.com/hallmark-signing/hallmark/e2e/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// watch has everything noted that a promotion tells. Nothing guards the list: what is told comes one at a time.
func watch(req *promotion.Request) *[]promotion.Progress {
	var told []promotion.Progress
	req.Progress = func(p promotion.Progress) { told = append(told, p) }
	return &told
}

// steps is what a whole phase tells of n artifacts.
func steps(id int64, phase promotion.Phase, n int) []promotion.Progress {
	var out []promotion.Progress
	for done := range n + 1 {
		out = append(out, promotion.Progress{ID: id, Phase: phase, Done: done, Of: n})
	}
	return out
}

// lasts is the last word of each phase.
func lasts(told []promotion.Progress) (out []promotion.Progress) {
	for i, p := range told {
		if i+1 == len(told) || told[i+1].Phase != p.Phase {
			out = append(out, p)
		}
	}
	return out
}

// Every phase is told step by step, in order, and the record's number as soon as there is one.
func TestProgressIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	var paths []string
	for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		paths = append(paths, "app/"+n+".tgz")
	}
	r.signed(paths...)
	n := len(paths)
	selecting := []promotion.Progress{}
	for done := range n + 1 {
		selecting = append(selecting, promotion.Progress{Phase: promotion.PhaseSelecting, Done: done})
	}

	req := r.request(staging + "/app/")
	req.Move = true
	told := watch(&req)
	require.Equal(t, promotion.StateAllowed, r.promote(req).State)
	require.Equal(t, append(selecting, steps(0, promotion.PhaseJudging, n)...), *told, "a dry run waits for nobody and begins nothing")

	req.Confirm = true
	told = watch(&req)
	report := r.promote(req)
	require.Equal(t, promotion.StateDone, report.State)
	want := append([]promotion.Progress{{Phase: promotion.PhaseWaiting}}, selecting...)
	want = append(want, steps(0, promotion.PhaseJudging, n)...)
	want = append(want, promotion.Progress{ID: report.ID, Phase: promotion.PhaseJudging, Done: n, Of: n})
	want = append(want, steps(report.ID, promotion.PhaseCarrying, n)...)
	want = append(want, steps(report.ID, promotion.PhaseDeleting, n)...)
	require.Equal(t, want, *told)
}

// What failed is not counted as carried, and nothing is said of phases that were not reached.
func TestProgressCountsWhatStands(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("app/a.tgz", "app/b.tgz")
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/**/b.tgz", Status: 503, Times: -1})
	req := r.request(staging+"/app/a.tgz", staging+"/app/b.tgz")
	req.Confirm, req.Move = true, true
	told := watch(&req)
	report := r.promote(req)
	require.Equal(t, promotion.StateIncomplete, report.State)
	carried := 0
	for _, it := range report.Items {
		if it.State == "copied" {
			carried++
		}
	}
	require.Less(t, carried, 2)
	last := (*told)[len(*told)-1]
	require.Equal(t, promotion.Progress{ID: report.ID, Phase: promotion.PhaseCarrying, Done: carried, Of: 2}, last)
}

// A promotion that waits for another one says so.
func TestProgressSaysThatItWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.signed("a.tgz", "b.tgz")
	reached, freed, waiting := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r.fail(standin.Fault{Method: http.MethodPost, Path: "/artifactory/api/copy/**/a.tgz", Do: func(*http.Request) {
		close(reached)
		<-freed
	}})
	first, second := r.request(staging+"/a.tgz"), r.request(staging+"/b.tgz")
	first.Confirm, second.Confirm = true, true
	second.Progress = func(p promotion.Progress) {
		if p == (promotion.Progress{Phase: promotion.PhaseWaiting}) {
			close(waiting)
		}
	}
	ended := make(chan promotion.State, 2)
	run := func(req promotion.Request) {
		report, _ := r.service.Promote(t.Context(), req)
		ended <- report.State
	}
	go run(first)
	<-reached
	go run(second)
	<-waiting
	close(freed)
	require.Equal(t, promotion.StateDone, <-ended)
	require.Equal(t, promotion.StateDone, <-ended)
}

// A release bundle that Artifactory does not promote is withdrawn, and that is what is told.
func TestProgressOfABundle(t *testing.T) {
	t.Parallel()
	r := newRig(t, ledger.SQLite)
	r.bundled("app/a.tgz", "app/b.tgz")
	disarm := r.fail(standin.Fault{Method: http.MethodPost, Path: "/lifecycle/api/v2/promotion/records/suite/1", Status: 403, Times: -1})
	req := bundleRequest(true, false)
	told := watch(&req)
	report := r.promote(req)
	require.Positive(t, disarm())
	require.Equal(t, promotion.StateIncomplete, report.State)
	got := lasts(*told)
	n := len(report.Items)
	require.Equal(t, []promotion.Progress{
		{ID: report.ID, Phase: promotion.PhaseCarrying, Of: n}, {ID: report.ID, Phase: promotion.PhaseWithdrawing, Done: n, Of: n},
	}, got[len(got)-2:])

	told = watch(&req)
	report = r.promote(req)
	require.Equal(t, promotion.StateDone, report.State, "%+v", report)
	got = lasts(*told)
	require.Equal(t, promotion.Progress{ID: report.ID, Phase: promotion.PhaseCarrying, Done: n, Of: n}, got[len(got)-1])
}
