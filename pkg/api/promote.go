package api

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// PromotionRequest is the body of POST /v1/promotions; see promotion.Request. It names exactly one of the things that can
// be promoted.
type PromotionRequest struct {
	Instance  string            `json:"instance,omitempty"`
	Artifacts []string          `json:"artifacts,omitempty"`
	Build     *promotion.Build  `json:"build,omitempty"`
	Image     string            `json:"image,omitempty"`
	TargetTag string            `json:"targetTag,omitempty"` // of the image
	Bundle    *promotion.Bundle `json:"bundle,omitempty"`
	Target    string            `json:"target,omitempty"`
	Targets   []string          `json:"targets,omitempty"` // of a bundle, instead of target
	Move      bool              `json:"move,omitempty"`
	Confirm   bool              `json:"confirm,omitempty"`
}

// one refuses a request that is about several things, or none.
func (req PromotionRequest) one() error {
	var named []string
	for _, n := range []struct {
		name  string
		there bool
	}{{"artifacts", len(req.Artifacts) > 0}, {"build", req.Build != nil}, {"image", req.Image != ""}, {"bundle", req.Bundle != nil}} {
		if n.there {
			named = append(named, n.name)
		}
	}
	switch len(named) {
	case 0:
		return problem(http.StatusBadRequest, "nothing to promote is named; give one of artifacts, build, image, bundle")
	case 1:
		if req.TargetTag != "" && req.Image == "" {
			return problem(http.StatusBadRequest, "targetTag goes with image only")
		}
		if len(req.Targets) > 0 && (req.Bundle == nil || req.Target != "") {
			return problem(http.StatusBadRequest, "targets goes with bundle only, and without target")
		}
		return nil
	}
	return problem(http.StatusBadRequest, "%s are given; one promotion is about one of them", strings.Join(named, " and "))
}

// promote answers 200 with a promotion.Report, whatever it says. Only the state "done" means that everything stands at
// the target. The answer may take as long as the promotion.
func (s *server) promote(c *call) (any, error) {
	var req PromotionRequest
	if err := c.bodyOf(&req, maxPromotion); err != nil {
		return nil, err
	}
	if err := req.one(); err != nil {
		return nil, err
	}
	instance, err := s.instance(req.Instance)
	if err != nil {
		return nil, err
	}
	// The server's limits are for requests that are answered at once. Where they cannot be set, they do not exist.
	control := http.NewResponseController(c.w)
	_ = control.SetReadDeadline(time.Time{})
	_ = control.SetWriteDeadline(time.Now().Add(promotion.Timeout + time.Minute))
	report, err := s.deps.Promote(c.Context(), promotion.Request{
		Instance: instance, Artifacts: req.Artifacts, Build: req.Build, Image: req.Image, TargetTag: req.TargetTag, Bundle: req.Bundle, Targets: req.Targets, Target: req.Target, Move: req.Move, Confirm: req.Confirm, Caller: c.caller,
	})
	c.note(slog.String("instance", instance), slog.String("kind", string(report.Kind)), slog.String("name", report.Name), slog.String("target", report.Target), slog.Bool("confirm", req.Confirm), slog.Bool("move", req.Move),
		slog.Int64("promotion", report.ID), slog.String("state", string(report.State)), slog.Int("artifacts", len(report.Items)))
	if err != nil {
		return nil, err
	}
	return report, nil
}

// Promotion is the answer of GET /v1/promotions/{id}: the ledger's record.
type Promotion struct {
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
	Items     []PromotionItem `json:"items"`
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
	p := Promotion{
		ID: known.ID, Kind: known.Kind, Name: known.Name, State: string(known.State), Instance: known.Instance, Target: known.TargetRepo, Move: known.Move, Caller: known.Caller,
		PolicySet: known.PolicySet, StartedAt: known.StartedAt, Items: make([]PromotionItem, len(known.Items)),
	}
	if !known.EndedAt.IsZero() {
		p.EndedAt = &known.EndedAt
	}
	for i, it := range known.Items {
		p.Items[i] = PromotionItem{
			Artifact: it.Source.String(), Target: it.Target.String(), SHA256: it.Subject, State: string(it.State),
			Files: append([]string{}, it.Files...), Policy: it.Rule, Reasons: append([]reason.Reason{}, it.Reasons...), At: it.At,
		}
	}
	return p, nil
}
