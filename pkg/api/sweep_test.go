package api

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func TestSweepOrders(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	r := newRig(t)
	w := r.call(http.MethodPost, "/v1/sweeps", tokenAll, `{"repository":"libs","prefix":"/org/acme/","since":"2026-03-04T05:06:07Z","dryRun":true,"rate":5}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var s Sweep
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s))
	require.EqualValues(t, 7, s.ID)
	require.Equal(t, "waiting", s.State)
	require.Equal(t, []SweepRequest{{Instance: "main", Repository: "libs", Prefix: "org/acme", Since: &since, DryRun: true, Rate: 5}}, r.ordered)
	require.Equal(t, []string{"admin"}, r.events, "who ordered it")

	for body, status := range map[string]int{
		`{"repository":""}`:                                                 http.StatusBadRequest,
		`{"repository":"a/b"}`:                                              http.StatusBadRequest,
		`{"repository":"a","prefix":".."}`:                                  http.StatusBadRequest,
		`{"repository":"a","rate":-1}`:                                      http.StatusBadRequest,
		`{"repository":"a","instance":"other"}`:                             http.StatusBadRequest,
		`{"repository":"a","full":true,"since":"2026-03-04T05:06:07Z"}`:     http.StatusBadRequest,
		`{"repository":"a","backfill":true,"since":"2026-03-04T05:06:07Z"}`: http.StatusBadRequest,
		`{"repository":"a","since":"yesterday"}`:                            http.StatusBadRequest,
		`{"repository":"a","everything":true}`:                              http.StatusBadRequest,
	} {
		w := r.call(http.MethodPost, "/v1/sweeps", tokenAll, body)
		require.Equal(t, status, w.Code, body)
		problemIn(t, w)
	}
	require.Len(t, r.ordered, 1)
	for _, token := range []string{tokenGate, tokenSign, tokenStatus} {
		require.Equal(t, http.StatusForbidden, r.call(http.MethodPost, "/v1/sweeps", token, `{"repository":"a"}`).Code)
		require.Equal(t, http.StatusForbidden, r.call(http.MethodGet, "/v1/sweeps", token, "").Code)
	}
	r.err = ledger.ErrSweeping
	require.Equal(t, http.StatusConflict, r.call(http.MethodPost, "/v1/sweeps", tokenAll, `{"repository":"a"}`).Code)
	r.err = ledger.ErrClosed
	require.Equal(t, http.StatusServiceUnavailable, r.call(http.MethodPost, "/v1/sweeps", tokenAll, `{"repository":"a"}`).Code)
}

func TestSweepStatus(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	r.runs = []ledger.Sweep{
		{ID: 3, Instance: "main", Repo: "libs", Kind: "periodic", State: ledger.SweepDone, RequestedAt: at, StartedAt: at, FinishedAt: at},
		{ID: 4, Instance: "main", Repo: "libs", Kind: "backfill", State: ledger.SweepRunning, At: at, Items: 9, Repaired: 2, Lost: 1, Findings: map[string]int64{"unsigned": 2}, RequestedAt: at},
	}
	r.found = []ledger.Finding{{Path: "a.tgz", Name: "orphan", Reasons: []reason.Reason{{Code: reason.SignatureOrphaned, Message: "alone"}}}}
	var list Sweeps
	w := r.call(http.MethodGet, "/v1/sweeps", tokenAll, "")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &list))
	require.Len(t, list.Sweeps, 2)
	require.NotNil(t, list.Sweeps[0].Findings)
	require.Empty(t, list.Sweeps[1].Report)
	var one Sweep
	w = r.call(http.MethodGet, "/v1/sweeps?id=4", tokenAll, "")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &one))
	require.Equal(t, Sweep{
		ID: 4, Instance: "main", Repository: "libs", Kind: "backfill", State: "running", Position: &at, Items: 9, Repaired: 2, LostEvents: 1,
		Findings: map[string]int64{"unsigned": 2}, RequestedAt: at, Report: []SweepFinding{{Path: "a.tgz", Finding: "orphan", Reasons: r.found[0].Reasons}},
	}, one)
	require.Equal(t, http.StatusNotFound, r.call(http.MethodGet, "/v1/sweeps?id=5", tokenAll, "").Code)
	require.Equal(t, http.StatusBadRequest, r.call(http.MethodGet, "/v1/sweeps?id=x", tokenAll, "").Code)
	require.Equal(t, http.StatusBadRequest, r.call(http.MethodGet, "/v1/sweeps?name=x", tokenAll, "").Code)
}
