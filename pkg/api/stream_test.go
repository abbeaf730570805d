package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const promoteBody = `{"artifacts":["s/a"],"target":"rel"}`

// serving is the rig behind real HTTP, and a client of it.
func (r *rig) serving(t *testing.T) *Client {
	t.Helper()
	srv := httptest.NewServer(r.handler)
	t.Cleanup(srv.Close)
	return &Client{URL: srv.URL, Token: tokenPromo, HTTP: srv.Client()}
}

// The caller is told while the promotion is under way, and then what came of it.
func TestPromoteTellsProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.report = promotion.Report{ID: 17, State: promotion.StateDone, Items: []promotion.Item{{Artifact: "a/b", State: "done"}}}
	judged, carried := make(chan struct{}), make(chan struct{})
	r.during = func(req promotion.Request) {
		req.Progress(promotion.Progress{Phase: promotion.PhaseJudging, Done: 3, Of: 9})
		<-judged
		req.Progress(promotion.Progress{ID: 17, Phase: promotion.PhaseCarrying, Done: 9, Of: 9})
		<-carried
	}
	c := r.serving(t)
	var told []promotion.Progress
	got, err := c.Promote(t.Context(), PromotionRequest{Artifacts: []string{"s/a"}, Target: "rel", Confirm: true}, func(p promotion.Progress) {
		told = append(told, p)
		switch p.Phase {
		case promotion.PhaseJudging:
			close(judged)
		case promotion.PhaseCarrying:
			close(carried)
		}
	})
	require.NoError(t, err)
	require.Equal(t, r.report, got)
	require.Equal(t, []promotion.Progress{{Phase: promotion.PhaseJudging, Done: 3, Of: 9}, {ID: 17, Phase: promotion.PhaseCarrying, Done: 9, Of: 9}}, told)
	require.Equal(t, []promotion.Request{{Instance: "main", Artifacts: []string{"s/a"}, Target: "rel", Confirm: true, Caller: "releaser"}}, r.promoted)
}

// The format on the wire, and that nobody gets it who did not ask for it.
func TestPromoteLines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		last string
	}{
		"report":  {nil, `{"report":{"kind":"","state":"done","instance":"","target":"","move":false,"caller":"","at":"0001-01-01T00:00:00Z","reasons":null,"items":null}}`},
		"refusal": {&reason.Refused{Reasons: []reason.Reason{{Code: reason.NothingSelected, Message: "m"}}}, `{"problem":{"title":"Unprocessable Entity","status":422,"detail":"refused; the reasons say why","reasons":[{"code":"nothing-selected","message":"m"}]}}`},
		"failure": {errors.New("the disk is full"), `{"problem":{"title":"Internal Server Error","status":500,"detail":"the service failed; its log says why"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.report, r.err = promotion.Report{State: promotion.StateDone}, c.err
			seen := make(chan struct{})
			r.during = func(req promotion.Request) {
				req.Progress(promotion.Progress{ID: 17, Phase: promotion.PhaseDeleting, Done: 1, Of: 2})
				<-seen
			}
			client := r.serving(t)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, client.URL+"/v1/promotions", strings.NewReader(promoteBody))
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+tokenPromo)
			req.Header.Set("Accept", "application/json;q=0.5, application/x-ndjson")
			resp, err := client.HTTP.Do(req)
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			require.Equal(t, http.StatusOK, resp.StatusCode)
			require.Equal(t, []string{"application/x-ndjson", "no-store", "nosniff", "no"}, []string{
				resp.Header.Get("Content-Type"), resp.Header.Get("Cache-Control"), resp.Header.Get("X-Content-Type-Options"), resp.Header.Get("X-Accel-Buffering"),
			})
			close(seen) // the header is there, so a line is
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			lines := strings.Split(strings.TrimSpace(string(body)), "\n")
			require.Len(t, lines, 2)
			require.Equal(t, `{"progress":{"id":17,"phase":"deleting","done":1,"of":2}}`, lines[0])
			require.Equal(t, c.last, lines[1])
		})
	}

	r := newRig(t)
	for accept, want := range map[string]bool{
		"": false, "application/json": false, "*/*": false, "application/x-ndjson;q=0": false, "application/x-ndjson;q=0.0": false, "application/x-ndjsonx": false,
		"application/x-ndjson": true, "Application/X-NDJSON;q=0.5": true, "text/html, application/x-ndjson": true,
	} {
		told := false
		r.during = func(req promotion.Request) { told = req.Progress != nil }
		req := httptest.NewRequest(http.MethodPost, "/v1/promotions", strings.NewReader(promoteBody))
		req.Header.Set("Authorization", "Bearer "+tokenPromo)
		req.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, req)
		require.Equal(t, want, told, accept)
		require.Equal(t, "application/json", w.Header().Get("Content-Type"), "what is ready at once is answered at once")
	}
}

// What is refused before anything was told has its own status, also for who takes lines.
func TestPromoteRefusesWhoTakesLines(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.err = &reason.Refused{Reasons: []reason.Reason{{Code: reason.NothingSelected, Message: "m"}}}
	c := r.serving(t)
	_, err := c.Promote(t.Context(), PromotionRequest{Artifacts: []string{"s/a"}, Target: "rel"}, nil)
	p := (*Problem)(nil)
	require.ErrorAs(t, err, &p)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status)
	require.Equal(t, reason.NothingSelected, p.Reasons[0].Code)
	_, err = c.Promote(t.Context(), PromotionRequest{Target: "rel"}, nil)
	require.ErrorAs(t, err, &p)
	require.Equal(t, http.StatusBadRequest, p.Status)
}

// deaf is a caller who does not read.
type deaf struct {
	*httptest.ResponseRecorder
	stuck, free chan struct{}
	once        sync.Once
}

func (d *deaf) Write([]byte) (int, error) {
	d.once.Do(func() { close(d.stuck) })
	<-d.free
	return 0, errors.New("gone")
}

// A caller who does not read, or goes, holds up nothing.
func TestPromoteWaitsForNoReader(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := &deaf{ResponseRecorder: httptest.NewRecorder(), stuck: make(chan struct{}), free: make(chan struct{})}
	r.during = func(req promotion.Request) {
		req.Progress(promotion.Progress{Phase: promotion.PhaseJudging})
		<-d.stuck
		for i := range 10_000 {
			req.Progress(promotion.Progress{Phase: promotion.PhaseCarrying, Done: i})
		}
		close(d.free) // only now may the caller be found gone
	}
	req := httptest.NewRequest(http.MethodPost, "/v1/promotions", strings.NewReader(promoteBody))
	req.Header.Set("Authorization", "Bearer "+tokenPromo)
	req.Header.Set("Accept", mediaLines)
	r.handler.ServeHTTP(d, req)
	require.Len(t, r.promoted, 1)
}

// An answer that is cut off, or that is none, is an error: nobody may take it for a promotion.
func TestClientPromoteTakesNothingElseForAnAnswer(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":           "",
		"cut off":         `{"progress":{"phase":"carrying","done":1,"of":2}}` + "\n",
		"half a line":     `{"report":{"state":"done"`,
		"no JSON":         "<html>",
		"another type":    `{"report":"done"}`,
		"problem with OK": `{"problem":{"status":200}}`,
		"report late":     `{"problem":{"status":500}}` + "\n" + `{"report":{"state":"done"}}`,
	} {
		srv := httptest.NewServer(answer(mediaLines, http.StatusOK, body))
		r, err := (&Client{URL: srv.URL, Token: "t", HTTP: srv.Client()}).Promote(context.Background(), PromotionRequest{}, nil)
		srv.Close()
		require.Error(t, err, name)
		require.Empty(t, r.State)
	}
	srv := httptest.NewServer(answer(mediaLines, http.StatusBadGateway, `{"report":{"state":"done"}}`))
	defer srv.Close()
	_, err := (&Client{URL: srv.URL, Token: "t", HTTP: srv.Client()}).Promote(t.Context(), PromotionRequest{}, nil)
	require.Error(t, err)
}

// Whatever the lines are, reading them ends, and an error comes without a report.
func FuzzPromotionLines(f *testing.F) {
	f.Add(`{"progress":{"id":17,"phase":"judging","done":1,"of":2}}` + "\n" + `{"report":{"state":"done"}}`)
	f.Add(`{"problem":{"title":"x","status":500}}`)
	f.Add(`{}{}[]`)
	f.Fuzz(func(t *testing.T, text string) {
		report, err := readLines(strings.NewReader(text), func(promotion.Progress) {})
		if err != nil {
			require.Empty(t, report)
			return
		}
		_, err = json.Marshal(report)
		require.NoError(t, err)
	})
}
