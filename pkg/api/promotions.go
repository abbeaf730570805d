package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// PromotionHead is what both answers about records say of a promotion.
type PromotionHead struct {
	ID        int64           `json:"id"`
	Kind      string          `json:"kind"`
	Name      string          `json:"name,omitempty"` // of what was promoted as one, such as a build
	State     string          `json:"state"`          // running, done, incomplete; running is also what was cut off with the service
	Instance  string          `json:"instance"`
	Target    string          `json:"target"`
	Move      bool            `json:"move"`
	Caller    string          `json:"caller"`
	PolicySet artifact.Digest `json:"policySet"`
	StartedAt time.Time       `json:"startedAt"`
	EndedAt   *time.Time      `json:"endedAt,omitempty"`
}

// Promotion is the answer of GET /v1/promotions/{id}: the ledger's record.
type Promotion struct {
	PromotionHead
	Items []PromotionItem `json:"items"`
}

// PromotionSummary is a promotion in a list.
type PromotionSummary struct {
	PromotionHead
	Artifacts int            `json:"artifacts"`
	States    map[string]int `json:"states"` // how many artifacts are in each state
}

// Promotions is the answer of GET /v1/promotions: the newest first.
type Promotions struct {
	Promotions []PromotionSummary `json:"promotions"`
}

// How many promotions a list has: without limit, and at most.
const (
	defaultListed = 20
	maxListed     = 100
)

func (s *server) promotions(c *call) (any, error) {
	q, err := c.query("limit", "instance")
	if err != nil {
		return nil, err
	}
	instance := q.Get("instance")
	if instance != "" {
		if instance, err = s.instance(instance); err != nil {
			return nil, err
		}
	}
	limit := defaultListed
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxListed {
			return nil, problem(http.StatusBadRequest, "limit is a number from 1 to %d", maxListed)
		}
	}
	known, err := s.deps.Promotions(c.Context(), instance, limit)
	if err != nil {
		return nil, err
	}
	list := Promotions{Promotions: make([]PromotionSummary, len(known))}
	for i, k := range known {
		p := PromotionSummary{PromotionHead: headOf(k.Promotion), States: map[string]int{}}
		for state, n := range k.States {
			p.States[string(state)] = n
			p.Artifacts += n
		}
		list.Promotions[i] = p
	}
	return list, nil
}

// headOf puts the ledger's record into the words of the answers.
func headOf(p ledger.Promotion) PromotionHead {
	return PromotionHead{
		ID: p.ID, Kind: p.Kind, Name: p.Name, State: string(p.State), Instance: p.Instance, Target: p.TargetRepo, Move: p.Move, Caller: p.Caller,
		PolicySet: p.PolicySet, StartedAt: p.StartedAt, EndedAt: when(p.EndedAt),
	}
}

// PromotionItem is one artifact of the record.
type PromotionItem struct {
	Artifact string          `json:"artifact"`
	Target   string          `json:"target"`
	SHA256   artifact.Digest `json:"sha256"`
	State    string          `json:"state"` // waiting, copied, done, failed, withdrawn
	Files    []string        `json:"files"`
	Policy   string          `json:"policy,omitempty"`
	Reasons  []reason.Reason `json:"reasons"`
	At       time.Time       `json:"at"`
}

func (s *server) promotion(c *call) (any, error) {
	id, err := strconv.ParseInt(chi.URLParam(c.Request, "id"), 10, 64)
	if err != nil {
		return nil, problem(http.StatusBadRequest, "a promotion is named by its number")
	}
	known, err := s.deps.Promotion(c.Context(), id)
	if errors.Is(err, ledger.ErrUnknown) {
		return nil, problem(http.StatusNotFound, "there is no promotion %d", id)
	}
	if err != nil {
		return nil, err
	}
	p := Promotion{PromotionHead: headOf(known), Items: make([]PromotionItem, len(known.Items))}
	for i, it := range known.Items {
		p.Items[i] = PromotionItem{
			Artifact: it.Source.String(), Target: it.Target.String(), SHA256: it.Subject, State: string(it.State),
			Files: append([]string{}, it.Files...), Policy: it.Rule, Reasons: append([]reason.Reason{}, it.Reasons...), At: it.At,
		}
	}
	return p, nil
}
