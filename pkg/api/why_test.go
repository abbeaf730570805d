package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

func TestWhy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC)
	r.why = Why{Signing: &policy.Past{Kind: policy.PastSigning, At: at, Outcome: "signed", Asked: json.RawMessage(`{"kind":"file","size":1}`), Moment: at}}
	server := httptest.NewServer(r.handler)
	defer server.Close()
	client := &Client{URL: server.URL, Token: tokenStatus}

	w, err := client.Why(t.Context(), "", "staging/a/app.tgz", "release", at)
	require.NoError(t, err)
	require.Equal(t, Why{Instance: "main", Artifact: "staging/a/app.tgz", Target: "release", AsOf: &at, Signing: r.why.Signing}, w)
	require.Equal(t, artifact.Ref{Instance: "main", Repo: "release"}, r.looked[1], "any path there")
	require.Equal(t, at, r.moments[0])
	_, err = client.Why(t.Context(), "main", "staging/a/app.tgz", "release/b/app.tgz", time.Time{})
	require.NoError(t, err)
	require.Equal(t, "b/app.tgz", r.looked[3].Path)
	require.Zero(t, r.moments[1])
	_, err = client.Why(t.Context(), "", "oci/team/app:1.0", "", time.Time{})
	require.NoError(t, err)
	require.Equal(t, "team/app/1.0/manifest.json", r.looked[4].Path, "images by their names")
	require.Zero(t, r.looked[5])

	for query, detail := range map[string]string{
		"": "ref is missing", "?ref=a/b&asOf=yesterday": "asOf is not a time", "?ref=a/b&target=../x": "target cannot be used", "?ref=a/b&x=y": "not known",
	} {
		w := r.call(http.MethodGet, pathWhy+query, tokenStatus, "")
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.Contains(t, problemIn(t, w).Detail, detail)
	}
	require.Equal(t, http.StatusForbidden, r.call(http.MethodGet, pathWhy+"?ref=a/b", tokenGate, "").Code)
}

func TestDecisions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at := time.Date(2026, 11, 22, 3, 4, 5, 6000, time.UTC)
	r.decided = ledger.Decisions{Page: []policy.Past{
		{Kind: policy.PastSigning, At: at, Artifact: "staging/<a>", Outcome: "signed"}, {Kind: policy.PastGate, At: at, Target: "release/a", Outcome: "refused"},
	}, Next: at, More: true}
	w := r.call(http.MethodGet, pathPast+"?count=true&limit=5&after=2026-11-22T03:04:05.000005Z", tokenStatus, "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, mediaLines, w.Header().Get("Content-Type"))
	require.Equal(t, []string{"5"}, r.limits)
	require.Equal(t, at.Add(-time.Microsecond), r.moments[0])
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], "staging/<a>")
	require.JSONEq(t, `{"end":{"next":"2026-11-22T03:04:05.000006Z","more":true,"count":7}}`, lines[2])

	for query, detail := range map[string]string{"?limit=0": "limit is", "?limit=2001": "limit is", "?after=1": "after is not a time", "?count=yes": "count is"} {
		w := r.call(http.MethodGet, pathPast+query, tokenStatus, "")
		require.Equal(t, http.StatusBadRequest, w.Code)
		require.Contains(t, problemIn(t, w).Detail, detail)
	}
	r.err = ledger.ErrClosed
	require.Equal(t, http.StatusInternalServerError, r.call(http.MethodGet, pathPast, tokenStatus, "").Code)
	require.Equal(t, http.StatusForbidden, r.call(http.MethodGet, pathPast, tokenGate, "").Code)
}

// A reader of all decisions goes page by page to the end, asks again for a page that was cut off, and for no page for ever.
func TestClientReadsAllDecisions(t *testing.T) {
	t.Parallel()
	at := func(n int) time.Time { return time.Date(2026, 11, 22, 3, 4, n, 0, time.UTC) }
	line := func(n int) string {
		return `{"decision":{"kind":"signing","at":"` + at(n).Format(time.RFC3339) + `","artifact":"staging/a","outcome":"signed"}}` + "\n"
	}
	end := func(n int, more string) string {
		return `{"end":{"next":"` + at(n).Format(time.RFC3339) + `","more":` + more + `,"count":5}}` + "\n"
	}
	for name, c := range map[string]struct {
		answers []string
		want    []int
		said    string
	}{
		"two pages":      {[]string{line(1) + line(2) + end(2, "true"), line(3) + end(3, "false")}, []int{1, 2, 3}, ""},
		"cut off":        {[]string{line(1) + end(1, "true"), line(2), line(2) + line(3) + end(3, "false")}, []int{1, 2, 3}, ""},
		"always cut off": {[]string{line(1), line(1), line(1), line(1)}, nil, "cut off"},
		"no progress":    {[]string{line(1) + end(1, "true"), line(1) + end(1, "true")}, []int{1}, "do not come to an end"},
		"nonsense":       {[]string{"<html>\n"}, nil, "no line of decisions"},
		"none":           {[]string{end(0, "false")}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := make(chan string, len(c.answers))
			for _, a := range c.answers {
				answers <- a
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", mediaLines)
				_, _ = w.Write([]byte(<-answers))
			}))
			defer server.Close()
			var got []int
			var counted []int64
			client := &Client{URL: server.URL}
			err := client.Decided(t.Context(), time.Time{}, func(n int64) { counted = append(counted, n) }, func(p policy.Past) error {
				got = append(got, p.At.Second())
				return nil
			})
			require.Equal(t, c.want, got)
			if c.said != "" {
				require.ErrorContains(t, err, c.said)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []int64{5}, counted)
		})
	}
	stop := errors.New("enough")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", mediaLines)
		_, _ = w.Write([]byte(line(1) + end(1, "true")))
	}))
	defer server.Close()
	require.ErrorIs(t, (&Client{URL: server.URL}).Decided(t.Context(), time.Time{}, nil, func(policy.Past) error { return stop }), stop)
	w := newRig(t).call(http.MethodGet, pathPast, "", "")
	require.Equal(t, http.StatusUnauthorized, w.Code)
}
