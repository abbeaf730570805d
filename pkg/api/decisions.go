package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// DecisionLine is one line of the answer of GET /v1/decisions?after=TIME&limit=N, in lines (application/x-ndjson), oldest
// first. One field is set. End is the last line; an answer without one was cut off, and can be asked for again.
type DecisionLine struct {
	Decision *policy.Past  `json:"decision,omitempty"`
	End      *DecisionsEnd `json:"end,omitempty"`
}

// DecisionsEnd tells how to go on.
type DecisionsEnd struct {
	Next  time.Time `json:"next"`            // the parameter after of the next page
	More  bool      `json:"more"`            // whether there is one now
	Count *int64    `json:"count,omitempty"` // of all decisions after the moment that was asked with; told with count=true
}

// decisionPage is answered in lines. It is whole before the first of them, so that a caller who reads slowly keeps
// nothing of the database open.
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
		if lines.Encode(DecisionLine{Decision: &p.Page[i]}) != nil {
			return // nobody reads on, and without an end nobody takes it for whole
		}
	}
	_ = lines.Encode(DecisionLine{End: &DecisionsEnd{Next: p.Next, More: p.More, Count: p.count}})
}
