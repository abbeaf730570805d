package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

func TestPromotePassesOnTheRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.report = promotion.Report{ID: 17, State: promotion.StateIncomplete, Items: []promotion.Item{{Artifact: "a/b", State: "failed"}}}
	w := r.call(http.MethodPost, "/v1/promotions", tokenPromo, `{"artifacts":["s/a/","s/b*"],"target":"rel","move":true,"confirm":true}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	var got promotion.Report
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	require.Equal(t, r.report, got)
	require.Equal(t, []promotion.Request{{
		Instance: "main", Artifacts: []string{"s/a/", "s/b*"}, Target: "rel", Move: true, Confirm: true, Caller: "releaser",
	}}, r.promoted, "the caller is who the token says")
	require.Contains(t, strings.Join(r.log.all(), "\n"), `"promotion":17`)

	w = r.call(http.MethodPost, "/v1/promotions", tokenPromo, `{"artifacts":["s/a"],"target":"rel"}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.False(t, r.promoted[1].Confirm, "nothing is done that was not asked for")

	w = r.call(http.MethodPost, "/v1/promotions", tokenPromo, `{"build":{"name":"b","number":"1","project":"p","source":"s","status":"qa","comment":"c"},"target":"rel"}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, promotion.Request{
		Instance: "main", Build: &promotion.Build{Name: "b", Number: "1", Project: "p", Source: "s", Status: "qa", Comment: "c"}, Target: "rel", Caller: "releaser",
	}, r.promoted[2])

	w = r.call(http.MethodPost, "/v1/promotions", tokenPromo, `{"image":"oci/app:1","targetTag":"2","target":"rel"}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, promotion.Request{Instance: "main", Image: "oci/app:1", TargetTag: "2", Target: "rel", Caller: "releaser"}, r.promoted[3])

	w = r.call(http.MethodPost, "/v1/promotions", tokenPromo, `{"bundle":{"name":"b","version":"1","project":"p","environment":"PROD"},"targets":["rel","oci"]}`)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, promotion.Request{
		Instance: "main", Bundle: &promotion.Bundle{Name: "b", Version: "1", Project: "p", Environment: "PROD"}, Targets: []string{"rel", "oci"}, Caller: "releaser",
	}, r.promoted[4])
}

func TestPromoteNeedsItsRole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, token := range []string{tokenGate, tokenSign, tokenStatus, tokenAll} {
		require.Equal(t, http.StatusForbidden, r.call(http.MethodPost, "/v1/promotions", token, `{}`).Code)
		require.Equal(t, http.StatusForbidden, r.call(http.MethodGet, "/v1/promotions/1", token, "").Code)
	}
	require.Equal(t, http.StatusUnauthorized, r.call(http.MethodPost, "/v1/promotions", "", `{}`).Code)
	require.Empty(t, r.promoted)
}

func TestPromoteRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t, "main", "other")
	for body, status := range map[string]int{
		`{"artifacts":["a/b"],"target":"r"}`:                                                                        http.StatusBadRequest, // which instance?
		`{"artifacts":["a/b"],"target":"r","instance":"third"}`:                                                     http.StatusBadRequest,
		`{"target":"r","instance":"main"}`:                                                                          http.StatusBadRequest, // nothing
		`{"artifacts":[],"target":"r","instance":"main"}`:                                                           http.StatusBadRequest,
		`{"artifacts":["a/b"],"build":{"name":"b","number":"1"},"target":"r","instance":"main"}`:                    http.StatusBadRequest, // two
		`{"build":{"name":"b","nummer":"1"},"target":"r","instance":"main"}`:                                        http.StatusBadRequest,
		`{"artifacts":["a/b"],"targetTag":"1","target":"r","instance":"main"}`:                                      http.StatusBadRequest,
		`{"image":"r/i:1","build":{"name":"b","number":"1"},"target":"r","instance":"main"}`:                        http.StatusBadRequest,
		`{"artifacts":["a/b"],"targets":["r","s"],"instance":"main"}`:                                               http.StatusBadRequest,
		`{"bundle":{"name":"b","version":"1","environment":"PROD"},"targets":["r"],"target":"s","instance":"main"}`: http.StatusBadRequest,
		`{"bundle":{"name":"b","version":"1","env":"PROD"},"targets":["r"],"instance":"main"}`:                      http.StatusBadRequest,
		`{"build":["b","1"],"target":"r","instance":"main"}`:                                                        http.StatusBadRequest,
		`{"artefacts":["a/b"]}`: http.StatusBadRequest,
		`{"artifacts":["` + strings.Repeat("x", maxPromotion) + `"]}`: http.StatusRequestEntityTooLarge,
	} {
		require.Equal(t, status, r.call(http.MethodPost, "/v1/promotions", tokenPromo, body).Code)
	}
	require.Empty(t, r.promoted)
	r.err = &reason.Refused{Reasons: []reason.Reason{{Code: reason.NothingSelected, Message: "m"}}}
	w := r.call(http.MethodPost, "/v1/promotions", tokenPromo, `{"artifacts":["a/b"],"target":"r","instance":"main"}`)
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Equal(t, reason.NothingSelected, problemIn(t, w).Reasons[0].Code)
}

func TestPromotionRecord(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := time.Unix(1000, 0).UTC()
	ref := func(repo string) artifact.Ref { return artifact.Ref{Instance: "main", Repo: repo, Path: "a/b.tgz"} }
	r.record = ledger.Promotion{
		ID: 17, Instance: "main", Kind: "build", Name: "b/1", TargetRepo: "rel", Move: true, Caller: "ci", State: ledger.PromotionRunning, StartedAt: at,
		Items: []ledger.PromotionItem{{Source: ref("s"), Target: ref("rel"), State: ledger.ItemCopied, At: at}},
	}
	w := r.call(http.MethodGet, "/v1/promotions/17", tokenPromo, "")
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.JSONEq(t, `{"id":17,"kind":"build","name":"b/1","state":"running","instance":"main","target":"rel","move":true,"caller":"ci","policySet":"","startedAt":"1970-01-01T00:16:40Z",
		"items":[{"artifact":"s/a/b.tgz","target":"rel/a/b.tgz","sha256":"","state":"copied","files":[],"reasons":[],"at":"1970-01-01T00:16:40Z"}]}`, w.Body.String())

	require.Equal(t, http.StatusBadRequest, r.call(http.MethodGet, "/v1/promotions/x", tokenPromo, "").Code)
	r.err = ledger.ErrUnknown
	require.Equal(t, http.StatusNotFound, r.call(http.MethodGet, "/v1/promotions/18", tokenPromo, "").Code)
}
