package api

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/promotion"
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
	Wait      string            `json:"wait,omitempty"` // for signatures that are under way, all in all: a duration such as 30s, at most 1m0s
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
// the target. The answer may take as long as the promotion; who accepts application/x-ndjson is told meanwhile how far it
// has come, see PromotionLine.
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
	wait, err := parseWait(req.Wait)
	if err != nil {
		return nil, err
	}
	c.lasting(promotion.Timeout)
	ask := promotion.Request{
		Instance: instance, Artifacts: req.Artifacts, Build: req.Build, Image: req.Image, TargetTag: req.TargetTag, Bundle: req.Bundle, Targets: req.Targets, Target: req.Target, Move: req.Move, Confirm: req.Confirm, Wait: wait, Caller: c.caller,
	}
	if accepts(c.Header, mediaLines) {
		c.stream = newStream(c.w)
		defer c.stream.close() // also when Promote panics: nothing may be written after this request
		ask.Progress = c.stream.tell
	}
	report, err := s.deps.Promote(c.Context(), ask)
	c.note(slog.String("instance", instance), slog.String("kind", string(report.Kind)), slog.String("name", report.Name), slog.String("target", report.Target), slog.Bool("confirm", req.Confirm), slog.Bool("move", req.Move),
		slog.Int64("promotion", report.ID), slog.String("state", string(report.State)), slog.Int("artifacts", len(report.Items)))
	if err != nil {
		return nil, err
	}
	return report, nil
}
