package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
)

func TestInventory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	server := httptest.NewServer(r.handler)
	defer server.Close()
	client := &Client{URL: server.URL, Token: tokenAll}
	at := time.Date(2026, 11, 22, 3, 4, 5, 6000000, time.UTC)
	r.pages = []InventoryPage{
		{Refs: []artifact.Ref{{Repo: "staging", Path: "a b/c.tgz"}}, At: at, Path: "a b/c.tgz", More: true},
		{Refs: []artifact.Ref{{Repo: "staging", Path: "d"}}, At: at, Path: "d"},
	}
	var got []string
	require.NoError(t, client.Inventory(t.Context(), "", "staging", func(path string) error { got = append(got, path); return nil }))
	require.Equal(t, []string{"staging/a b/c.tgz", "staging/d"}, got)
	require.Equal(t, []string{"main staging ", "main staging a b/c.tgz"}, r.limits)
	require.Equal(t, []time.Time{{}, at}, r.moments)

	r.pages = []InventoryPage{{At: at, Path: "x", More: true}, {At: at, Path: "x", More: true}}
	require.ErrorContains(t, client.Inventory(t.Context(), "", "staging", nil), "do not come to an end")
	for query, detail := range map[string]string{"": "repository cannot", "?repository=a/b": "repository cannot", "?repository=a&after=x": "after is", "?repository=a&instance=x": "not configured"} {
		w := r.call(http.MethodGet, pathInventory+query, tokenAll, "")
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.Contains(t, problemIn(t, w).Detail, detail)
	}
	require.Equal(t, http.StatusForbidden, r.call(http.MethodGet, pathInventory+"?repository=a", tokenStatus, "").Code)
}
