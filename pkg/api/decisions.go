package api

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// decisionPage is the answer of GET /v1/decisions?after=TIME&limit=N, in lines (policy.PastLine). It is whole before the first
// of them, so that a caller who reads slowly keeps nothing of the database open.
type decisionPage struct {
	ledger.Decisions
	count *int64
}

func (s *server) decisions(c *call) (any, error) {
	q, err := c.query("after", "limit", "count")
	if err != nil {
		return nil, err
	}
	after, err := moment("after", q.Get("after"))
	if err != nil {
		return nil, err
	}
	limit := ledger.MaxDecisions
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > ledger.MaxDecisions {
			return nil, problem(http.StatusBadRequest, "limit is a number from 1 to %d", ledger.MaxDecisions)
		}
	}
	var page decisionPage
	switch q.Get("count") {
	case "", "false":
	case "true":
		n, err := s.deps.CountDecided(c.Context(), after)
		if err != nil {
			return nil, err
		}
		page.count = &n
	default:
		return nil, problem(http.StatusBadRequest, "count is true or false")
	}
	page.Decisions, err = s.deps.Decided(c.Context(), after, limit)
	return page, err
}

func (p decisionPage) write(w http.ResponseWriter) {
	setHeader(w.Header(), mediaLines)
	w.WriteHeader(http.StatusOK)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for i := range p.Page {
		if lines.Encode(policy.PastLine{Decision: &p.Page[i]}) != nil {
			return // nobody reads on, and without an end nobody takes it for whole
		}
	}
	_ = lines.Encode(policy.PastLine{End: &policy.PastEnd{Next: p.Next, More: p.More, Count: p.count}})
}
