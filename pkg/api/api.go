// Package api is the HTTP face towards people, CI and promotion gates: verdicts, status, requests to sign, and why a
// policy applies. Callers prove themselves with bearer tokens; every error is a problem detail (RFC 9457) that carries
// the same reasons as the command line and the log. It holds no state: each answer comes from a function it was given.
package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/trust"
)

// The routes.
const (
	pathGate    = "/v1/gate/check"
	pathSign    = "/v1/sign"
	pathStatus  = "/v1/status"
	pathExplain = "/v1/policy/explain"
	pathPromote = "/v1/promotions"
	pathRecord  = "/v1/promotions/{id}"
	pathSweeps  = "/v1/sweeps"
	pathWhy     = "/v1/why"
	pathPast    = "/v1/decisions"

	pathInventory = "/v1/inventory"
	pathTrust     = "/v1/trust/*"

	pathDistrust = "/v1/keys/distrust"
	pathAffected = "/v1/keys/affected"
)

// writeTimeout bounds making a request to sign durable.
const writeTimeout = 10 * time.Second

// Config is what the API must know.
type Config struct {
	Tokens    []Token  // who may call; without any, every call is refused
	Instances []string // configured instances; a request need not name the only one
}

// Validate reports everything that is wrong, at once.
func (c Config) Validate() error {
	errs := validateTokens(c.Tokens)
	if len(c.Instances) == 0 {
		errs = append(errs, errors.New("no instance is configured"))
	}
	if slices.Contains(c.Instances, "") {
		errs = append(errs, errors.New("an instance has no name"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("validating API configuration: %w", err)
	}
	return nil
}

// Deps are the parts that answer. All but Trust and its version are needed; all are called by many goroutines. Errors are mapped in one place:
// *reason.Refused to 422 with its reasons, artifact.ErrGone and ledger.ErrUnknown to 404, a spent deadline to 503,
// anything else to 500 without its text.
type Deps struct {
	// Gate bounds its own time; what it could not learn is a verdict that does not allow.
	Gate func(ctx context.Context, req gate.Request) gate.Verdict
	// Name answers which file a reference means that a caller wrote, images by their tag or digest among them.
	Name func(ctx context.Context, ref artifact.Ref) (artifact.Ref, error)
	// Sign makes the wish durable before it returns nil. Any other error than *reason.Refused is answered with 503.
	Sign func(ctx context.Context, ref artifact.Ref, caller string) error
	// Status tells what is known of an artifact; ledger.ErrUnknown when nothing is.
	Status func(ctx context.Context, ref artifact.Ref) (ledger.Status, error)
	// Explain says what policy would do. The event is "domain/type", or empty for a request by name.
	Explain func(ref artifact.Ref, event string) policy.Explanation
	// Sweep makes a sweep durable before it returns nil; ledger.ErrSweeping comes with the one that is under way.
	Sweep func(ctx context.Context, req SweepRequest, caller string) (ledger.Sweep, error)
	// Sweeps tells the newest sweep of every kind and place, Findings what one of them found.
	Sweeps   func(ctx context.Context) ([]ledger.Sweep, error)
	Findings func(ctx context.Context, sweep int64, limit int) ([]ledger.Finding, error)

	// Promote checks, and when confirmed performs, a promotion.
	Promote func(ctx context.Context, req promotion.Request) (promotion.Report, error)
	// Promotion reads the record of one; ledger.ErrUnknown when there is none.
	Promotion func(ctx context.Context, id int64) (ledger.Promotion, error)
	// Promotions lists the newest of an instance, or of all for "".
	Promotions func(ctx context.Context, instance string, limit int) ([]ledger.PromotionSummary, error)
	// Why tells what was decided last about an artifact at a moment, and at the gate of a target; the zero time is now, the
	// zero target none, a target without a path any path.
	Why func(ctx context.Context, ref, target artifact.Ref, asOf time.Time) (Why, error)
	// Decided lists what was decided after a moment, page by page; CountDecided counts it.
	Decided      func(ctx context.Context, after time.Time, limit int) (ledger.Decisions, error)
	CountDecided func(ctx context.Context, after time.Time) (int64, error)
	// Inventory lists a repository's files after a time and a path, signature files left out.
	Inventory func(ctx context.Context, instance, repo string, at time.Time, path string) (InventoryPage, error)
	// Trust tells what verifiers must believe; anybody may read it below /v1/trust/. TrustVersion is another whenever that may
	// have changed; it is asked once in a few seconds, by those who want nothing older each time, and has to cost little. Nil
	// Trust: there is no such route.
	Trust        func(ctx context.Context) ([]trust.File, error)
	TrustVersion func(ctx context.Context) (string, error)

	// Key finds the pin of a configured key that signs artifacts.
	Key func(name string) (spki artifact.Digest, ok bool)
	// Distrust makes it durable, for all replicas, before it returns nil; ledger.ErrLaxer, ledger.ErrTrusted. Distrusts tells all
	// that was ever said, oldest first.
	Distrust  func(ctx context.Context, d ledger.Distrust) (ledger.Distrust, error)
	Distrusts func(ctx context.Context) ([]ledger.Distrust, error)
	// Affected lists what a key has signed since a moment, a page after a digest; CountAffected counts it.
	Affected      func(ctx context.Context, key artifact.Digest, since time.Time, after artifact.Digest) ([]ledger.Affected, bool, error)
	CountAffected func(ctx context.Context, key artifact.Digest, since time.Time) (int64, error)

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// server holds what every endpoint needs; nothing in it changes.
type server struct {
	cfg     Config
	deps    Deps
	callers callers
	metrics *metrics
}

// New returns the handler of everything under /v1/.
func New(cfg Config, deps Deps) (http.Handler, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if deps.Gate == nil || deps.Name == nil || deps.Sign == nil || deps.Status == nil || deps.Explain == nil ||
		deps.Promote == nil || deps.Promotion == nil || deps.Promotions == nil || deps.Sweep == nil || deps.Sweeps == nil || deps.Findings == nil ||
		deps.Why == nil || deps.Decided == nil || deps.CountDecided == nil || deps.Inventory == nil ||
		deps.Key == nil || deps.Distrust == nil || deps.Distrusts == nil || deps.Affected == nil || deps.CountAffected == nil || deps.Log == nil || deps.Registerer == nil {
		return nil, errors.New("making API handler: a dependency is missing")
	}
	s := &server{cfg: cfg, deps: deps, callers: newCallers(cfg.Tokens), metrics: newMetrics(deps.Registerer)}
	r := chi.NewRouter()
	r.Post(pathGate, s.serve(pathGate, RoleGate, s.gateCheck))
	r.Post(pathSign, s.serve(pathSign, RoleSign, s.sign))
	r.Get(pathStatus, s.serve(pathStatus, RoleStatus, s.status))
	r.Get(pathExplain, s.serve(pathExplain, RoleStatus, s.explain))
	r.Post(pathPromote, s.serve(pathPromote, RolePromote, s.promote))
	r.Get(pathPromote, s.serve(pathPromote, RolePromote, s.promotions))
	r.Get(pathRecord, s.serve(pathRecord, RolePromote, s.promotion))
	r.Post(pathSweeps, s.serve(pathSweeps, RoleSweep, s.sweep))
	r.Get(pathSweeps, s.serve(pathSweeps, RoleSweep, s.sweeps))
	r.Get(pathWhy, s.serve(pathWhy, RoleStatus, s.why))
	r.Get(pathPast, s.serve(pathPast, RoleStatus, s.decisions))
	r.Get(pathInventory, s.serve(pathInventory, RoleSweep, s.inventory))
	if deps.Trust != nil {
		files := s.trust(&trustFiles{source: deps.Trust, version: deps.TrustVersion, log: deps.Log, now: time.Now})
		r.Get(pathTrust, files)
		r.Head(pathTrust, files)
	}
	r.Post(pathDistrust, s.serve(pathDistrust, RoleAdmin, s.distrust))
	r.Get(pathDistrust, s.serve(pathDistrust, RoleStatus, s.distrusts))
	r.Get(pathAffected, s.serve(pathAffected, RoleAdmin, s.affected))
	r.NotFound(NoRoute(deps.Log).ServeHTTP)
	r.MethodNotAllowed(noMethod(r, deps.Log))
	return r, nil
}
