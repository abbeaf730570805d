package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// maxReport is how many findings an answer holds.
const maxReport = 1000

// SweepRequest is the body of POST /v1/sweeps: compare a repository, or a folder of it, with the ledger.
type SweepRequest struct {
	Instance   string     `json:"instance,omitempty"`
	Repository string     `json:"repository"`
	Prefix     string     `json:"prefix,omitempty"`   // a folder; empty is the whole repository
	Since      *time.Time `json:"since,omitempty"`    // uploaded at or after; without it, from where the last sweep ended
	Full       bool       `json:"full,omitempty"`     // everything, however old
	DryRun     bool       `json:"dryRun,omitempty"`   // find and tell, repair nothing
	Backfill   bool       `json:"backfill,omitempty"` // everything, in the lane of the queue that goes last
	Rate       int64      `json:"rate,omitempty"`     // repairs ordered per second at most; 0 is no limit
}

// Sweep is one comparison of a repository with the ledger.
type Sweep struct {
	ID          int64            `json:"id"`
	Instance    string           `json:"instance"`
	Repository  string           `json:"repository"`
	Prefix      string           `json:"prefix,omitempty"`
	Kind        string           `json:"kind"`
	Caller      string           `json:"caller,omitempty"`
	State       string           `json:"state"` // waiting, running or done
	Since       *time.Time       `json:"since,omitempty"`
	Until       *time.Time       `json:"until,omitempty"`
	Position    *time.Time       `json:"position,omitempty"` // what was uploaded before has been compared
	Items       int64            `json:"items"`
	Findings    map[string]int64 `json:"findings"`
	Repaired    int64            `json:"repaired"` // work was ordered, or would be
	LostEvents  int64            `json:"lostEvents"`
	RequestedAt time.Time        `json:"requestedAt"`
	StartedAt   *time.Time       `json:"startedAt,omitempty"`
	FinishedAt  *time.Time       `json:"finishedAt,omitempty"`
	Problem     string           `json:"problem,omitempty"` // why it does not get on at the moment
	Report      []SweepFinding   `json:"report,omitempty"`  // with id only, the first 1000
}

// SweepFinding is what a sweep has to say about one file.
type SweepFinding struct {
	Path     string          `json:"path"`
	Finding  string          `json:"finding"`
	Repaired bool            `json:"repaired"`
	Reasons  []reason.Reason `json:"reasons,omitempty"`
}

// Sweeps is the answer of GET /v1/sweeps: the newest of every kind and place.
type Sweeps struct {
	Sweeps []Sweep `json:"sweeps"`
}

func (s *server) sweep(c *call) (any, error) {
	var req SweepRequest
	if err := c.body(&req); err != nil {
		return nil, err
	}
	var err error
	if req.Instance, err = s.instance(req.Instance); err != nil {
		return nil, err
	}
	c.note(slog.String("instance", req.Instance), slog.String("repo", req.Repository), slog.String("path", req.Prefix))
	req.Prefix = strings.Trim(req.Prefix, "/")
	if _, err := artifact.NewRef(req.Instance, req.Repository, strings.TrimPrefix(req.Prefix+"/x", "/")); err != nil {
		return nil, refusedPath("repository or prefix", err)
	}
	switch {
	case req.Since != nil && (req.Full || req.Backfill):
		return nil, problem(http.StatusBadRequest, "since does not go with full or backfill, which look at everything")
	case req.Rate < 0:
		return nil, problem(http.StatusBadRequest, "rate is negative")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), writeTimeout)
	defer cancel()
	run, err := s.deps.Sweep(ctx, req, c.caller)
	switch {
	case errors.Is(err, ledger.ErrSweeping):
		return nil, problem(http.StatusConflict, "the same sweep is under way as number %d", run.ID)
	case err != nil:
		return nil, fmt.Errorf("storing the request to sweep: %w: %w", errTryAgain, err)
	}
	return SweepOf(run, nil), nil
}

func (s *server) sweeps(c *call) (any, error) {
	q, err := c.query("id")
	if err != nil {
		return nil, err
	}
	all, err := s.deps.Sweeps(c.Context())
	if err != nil {
		return nil, err
	}
	if q.Get("id") == "" {
		list := Sweeps{Sweeps: make([]Sweep, len(all))}
		for i, run := range all {
			list.Sweeps[i] = SweepOf(run, nil)
		}
		return list, nil
	}
	id, err := strconv.ParseInt(q.Get("id"), 10, 64)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "id is a number")
	}
	for _, run := range all {
		if run.ID == id {
			found, err := s.deps.Findings(c.Context(), id, maxReport)
			return SweepOf(run, found), err
		}
	}
	return nil, problem(http.StatusNotFound, "there is no such sweep; the newest of every kind and place is kept")
}

// SweepOf puts what the ledger knows into the words of the answer.
func SweepOf(run ledger.Sweep, found []ledger.Finding) Sweep {
	s := Sweep{
		ID: run.ID, Instance: run.Instance, Repository: run.Repo, Prefix: run.Prefix, Kind: run.Kind, Caller: run.Caller, State: run.State,
		Since: when(run.Since), Until: when(run.Until), Position: when(run.At), Items: run.Items, Findings: run.Findings, Repaired: run.Repaired,
		LostEvents: run.Lost, RequestedAt: run.RequestedAt, StartedAt: when(run.StartedAt), FinishedAt: when(run.FinishedAt), Problem: run.Problem,
	}
	if s.Findings == nil {
		s.Findings = map[string]int64{}
	}
	for _, f := range found {
		s.Report = append(s.Report, SweepFinding{Path: f.Path, Finding: f.Name, Repaired: f.Repaired, Reasons: f.Reasons})
	}
	return s
}

func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
