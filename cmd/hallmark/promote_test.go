package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
)

// saying is a service that gives every promotion one answer. It returns the flags that lead there.
func saying(t *testing.T, media, body string) []string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", media)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(srv.Close)
	return []string{"--server", srv.URL, "--token-file", filepath.Join(write(t, map[string]string{"token": "t"}), "token")}
}

const (
	lines    = "application/x-ndjson"
	reported = `{"id":17,"kind":"file","state":"done","instance":"main","target":"rel","reasons":[],"items":[{"artifact":"s/a","target":"rel/a","state":"done","files":["a.sig"],"reasons":[]}]}`
	carrying = `{"progress":{"id":17,"phase":"carrying","done":1,"of":2}}` + "\n"
)

// In a pipe there is no bar, and the answer is the same whether the service told progress or, as older ones, did not.
func TestPromoteInAPipe(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		args := []string{"promote", "s/a", "--target", "rel", "--confirm", "-o", format}
		plain := command(t, append(args, saying(t, "application/json", reported)...)...)
		told := command(t, append(args, saying(t, lines, carrying+`{"report":`+reported+"}\n")...)...)
		require.Equal(t, exitOK, plain.code, plain.err)
		require.Equal(t, plain, told)
		require.Empty(t, told.err)
	}
}

// An answer that is cut off is not taken for the end: the command says where to look.
func TestPromoteCutOff(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		carrying: "hallmark promote show 17",
		`{"progress":{"phase":"judging","done":1,"of":2}}`: "hallmark promote list",
		"": "hallmark promote list",
	} {
		r := command(t, append([]string{"promote", "s/a", "--target", "rel", "--confirm"}, saying(t, lines, body)...)...)
		require.Equal(t, exitUndecided, r.code)
		require.Empty(t, r.out)
		require.Contains(t, r.err, want)
		r = command(t, append([]string{"promote", "s/a", "--target", "rel"}, saying(t, lines, body)...)...)
		require.Equal(t, exitUndecided, r.code)
		require.NotContains(t, r.err, "going on", "a dry run changes nothing")
	}
	r := command(t, append([]string{"promote", "s/a", "--target", "rel", "--confirm"}, saying(t, lines, carrying+`{"problem":{"title":"T","status":500,"detail":"d"}}`)...)...)
	require.Equal(t, exitUndecided, r.code)
	require.Contains(t, r.err, "500 T: d")
	require.NotContains(t, r.err, "going on", "the service has answered")
}

func TestPromotionLine(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]promotion.Progress{
		"[------------------------------] waiting for another promotion into the same repository": {Phase: promotion.PhaseWaiting},
		"[------------------------------] selecting":                                              {Phase: promotion.PhaseSelecting},
		"[------------------------------] selecting, 312 found":                                   {Phase: promotion.PhaseSelecting, Done: 312},
		"[###############---------------] judging, 2500 of 5000":                                  {Phase: promotion.PhaseJudging, Done: 2500, Of: 5000},
		"[#############################-] carrying, 4999 of 5000 (promotion 17)":                  {ID: 17, Phase: promotion.PhaseCarrying, Done: 4999, Of: 5000},
		"[##############################] deleting, 5000 of 5000 (promotion 17)":                  {ID: 17, Phase: promotion.PhaseDeleting, Done: 5000, Of: 5000},
		"[##############################] polishing, 9 of 3":                                      {Phase: "polishing", Done: 9, Of: 3},
	} {
		require.Equal(t, want, promotionLine(p))
	}
}

// Only a terminal is drawn on.
func TestProgressIsForTerminals(t *testing.T) {
	t.Parallel()
	var pipe bytes.Buffer
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	for _, w := range []io.Writer{&pipe, file} {
		p := newProgress(w)
		p.draw("x")
		p.show(api.Sweep{})
		p.clear()
	}
	require.Empty(t, pipe.String())
	info, err := file.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
}

func TestPromoteList(t *testing.T) {
	t.Parallel()
	flags := saying(t, "application/json", `{"promotions":[
		{"id":18,"kind":"file","state":"running","instance":"main","target":"rel","caller":"ci","startedAt":"2026-11-22T01:02:03Z","artifacts":3,"states":{"waiting":1,"done":2}},
		{"id":17,"kind":"build","name":"app/87","state":"done","instance":"main","target":"rel","caller":"ci","startedAt":"2026-11-21T01:02:03Z","artifacts":5000,"states":{"done":5000}}]}`)
	r := command(t, append([]string{"promote", "list"}, flags...)...)
	require.Equal(t, exitOK, r.code, r.err)
	require.Equal(t, `ID   STATE     BEGUN                  TARGET   WHAT           ARTIFACTS              CALLER
18   running   2026-11-22T01:02:03Z   rel      file           3: 2 done, 1 waiting   ci
17   done      2026-11-21T01:02:03Z   rel      build app/87   5000                   ci
`, r.out)
	r = command(t, append(append([]string{"__complete", "promote", "show"}, flags...), "")...)
	require.Contains(t, r.out, "18\trunning, into rel, 2026-11-22T01:02:03Z\n17\tdone")
	r = command(t, append([]string{"promote", "list", "--limit", "0"}, flags...)...)
	require.Equal(t, exitUndecided, r.code)
	require.Contains(t, r.err, fmt.Sprint(100))
	r = command(t, "__complete", "promote", "show", "--server", "http://127.0.0.1:1", "--token-file", "nowhere", "")
	require.Equal(t, exitOK, r.code)
	require.Equal(t, ":4\n", r.out)
}
