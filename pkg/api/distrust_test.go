package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

func TestDistrust(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := httptest.NewServer(r.handler)
	defer server.Close()
	client := &Client{URL: server.URL, Token: tokenAll}
	from := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	said, err := client.Distrust(t.Context(), DistrustRequest{Key: "release-2026", From: from, Why: "stolen"})
	require.NoError(t, err)
	require.Equal(t, Distrust{Key: "release-2026", SPKI: artifact.Digest{1}, From: from, By: "admin", Why: "stolen"}, said)
	pin := "sha256:" + strings.Repeat("02", 32)
	_, err = client.Distrust(t.Context(), DistrustRequest{Key: pin, From: from})
	require.NoError(t, err)
	_, err = client.Distrust(t.Context(), DistrustRequest{Key: "release-2026", Lift: true})
	require.NoError(t, err)
	require.True(t, r.distrusted[2].Lifted)

	list, err := client.Distrusts(t.Context())
	require.NoError(t, err)
	require.Len(t, list.History, 3)
	require.Len(t, list.Distrusted, 1)
	require.Equal(t, pin, list.Distrusted[0].Key)

	now := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for body, detail := range map[string]string{
		`{"key": "release-2026"}`: "write either from",
		`{"key": "release-2026", "from": "2026-03-01T12:00:00Z", "lift": true}`:          "write either from",
		`{"key": "other", "from": "2026-03-01T12:00:00Z"}`:                               "no key \"other\"",
		`{"key": "", "from": "2026-03-01T12:00:00Z"}`:                                    "no key",
		`{"key": "sha256:00", "from": "2026-03-01T12:00:00Z"}`:                           "64 hexadecimal digits",
		fmt.Sprintf(`{"key": "release-2026", "from": %q}`, now(time.Hour)):               "still to come",
		`{"key": "release-2026", "from": "2026-03-01T12:00:00Z", "why": "two\nlines"}`:   "one line",
		`{"key": "release-2026", "from": "2026-03-01T12:00:00Z", "by": "somebody else"}`: "unknown field",
	} {
		w := r.call(http.MethodPost, pathDistrust, tokenAll, body)
		require.Contains(t, problemIn(t, w).Detail, detail, body)
		require.Contains(t, []int{http.StatusBadRequest, http.StatusNotFound}, w.Code)
	}
	require.Len(t, r.distrusted, 3)
	for err, detail := range map[error]string{ledger.ErrLaxer: "lift that first", ledger.ErrTrusted: "nothing to lift"} {
		r.err = fmt.Errorf("%w", err)
		w := r.call(http.MethodPost, pathDistrust, tokenAll, `{"key": "release-2026", "lift": true}`)
		require.Equal(t, http.StatusConflict, w.Code)
		require.Contains(t, problemIn(t, w).Detail, detail)
	}
	r.err = nil
	require.Equal(t, http.StatusForbidden, r.call(http.MethodPost, pathDistrust, tokenStatus, `{"key": "release-2026", "lift": true}`).Code)
	require.Equal(t, http.StatusForbidden, r.call(http.MethodGet, pathAffected+"?key=release-2026", tokenStatus, "").Code)
	require.Equal(t, http.StatusOK, r.call(http.MethodGet, pathDistrust, tokenStatus, "").Code, "who checks wants to know")
}

func TestAffected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := httptest.NewServer(r.handler)
	defer server.Close()
	client := &Client{URL: server.URL, Token: tokenAll}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	place := artifact.Ref{Instance: "main", Repo: "staging", Path: "a.tgz"}
	r.affected = [][]ledger.Affected{
		{{Subject: artifact.Digest{2}, Formats: []string{"raw"}, MadeAt: at, Places: []artifact.Ref{place}, Promoted: []ledger.PromotedTo{
			{Promotion: 3, Target: artifact.Ref{Instance: "main", Repo: "release", Path: "a.tgz"}, State: ledger.ItemDone, At: at},
		}}},
		{{Subject: artifact.Digest{3}}},
	}
	var told []string
	all, err := client.Affected(t.Context(), "release-2026", at, func(read, total int64) { told = append(told, fmt.Sprint(read, " of ", total)) })
	require.NoError(t, err)
	require.Equal(t, []string{"1 of 7", "2 of 7"}, told)
	require.Equal(t, []string{"01 00", "01 02"}, r.limits)
	require.Equal(t, []time.Time{at, at}, r.moments)
	require.Equal(t, []AffectedPlace{{"main", "staging/a.tgz"}}, all[0].Places)
	require.Equal(t, []AffectedPromoted{{3, "main", "release/a.tgz", "done", at}}, all[0].Promoted)
	content, err := json.Marshal(all[1])
	require.NoError(t, err)
	require.Contains(t, string(content), `"places":[],"promoted":[]`)

	r.affected = [][]ledger.Affected{{{Subject: artifact.Digest{2}}}, {{Subject: artifact.Digest{2}}}, {}}
	_, err = client.Affected(t.Context(), "release-2026", at, nil)
	require.ErrorContains(t, err, "do not come to an end")
	for query, detail := range map[string]string{"": "no key", "?key=release-2026&since=x": "since is not a time", "?key=release-2026&after=x": "after is"} {
		require.Contains(t, problemIn(t, r.call(http.MethodGet, pathAffected+query, tokenAll, "")).Detail, detail)
	}
}
