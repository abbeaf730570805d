package api

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// The list counts artifacts by state, and asks the ledger for what was asked for.
func TestPromotionsList(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.call(http.MethodGet, "/v1/promotions", tokenPromo, "")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.JSONEq(t, `{"promotions":[]}`, w.Body.String())

	at := time.Unix(1000, 0).UTC()
	r.records = []ledger.PromotionSummary{{
		Promotion: ledger.Promotion{ID: 17, Instance: "main", Kind: "build", Name: "b/1", TargetRepo: "rel", Caller: "ci", State: ledger.PromotionIncomplete, StartedAt: at, EndedAt: at.Add(time.Second)},
		States:    map[ledger.ItemState]int{ledger.ItemDone: 40, ledger.ItemFailed: 2},
	}}
	w = r.call(http.MethodGet, "/v1/promotions?limit=5&instance=main", tokenPromo, "")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.JSONEq(t, `{"promotions":[{"id":17,"kind":"build","name":"b/1","state":"incomplete","instance":"main","target":"rel","move":false,"caller":"ci","policySet":"",
		"startedAt":"1970-01-01T00:16:40Z","endedAt":"1970-01-01T00:16:41Z","artifacts":42,"states":{"done":40,"failed":2}}]}`, w.Body.String())

	got, err := r.serving(t).Promotions(t.Context(), "main", 100)
	require.NoError(t, err)
	require.Equal(t, 42, got[0].Artifacts)
	_, err = r.serving(t).Promotions(t.Context(), "", 0)
	require.NoError(t, err)
	require.Equal(t, []string{" 20", "main 5", "main 100", " 20"}, r.limits)

	for _, query := range []string{"limit=0", "limit=101", "limit=x", "limit=-1", "instance=third", "state=done", "limit=1&limit=2"} {
		require.Equal(t, http.StatusBadRequest, r.call(http.MethodGet, "/v1/promotions?"+query, tokenPromo, "").Code, query)
	}
	require.Len(t, r.limits, 4)
	for _, token := range []string{tokenGate, tokenSign, tokenStatus, tokenAll} {
		require.Equal(t, http.StatusForbidden, r.call(http.MethodGet, "/v1/promotions", token, "").Code)
	}
}
