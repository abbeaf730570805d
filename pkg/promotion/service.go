package promotion

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Service promotes. Its fields are set once, before the first Promote; all are required. It is safe for concurrent use.
type Service struct {
	Instances map[string]*artifactory.Client // with the identity that may write to guarded repositories
	Policies  func() *policy.Set
	Gate      func(ctx context.Context, req gate.Request) gate.Verdict
	// Inspect looks at what goes along with what the gate let in, such as the manifests of an index; it records nothing.
	Inspect func(ctx context.Context, req gate.Request) gate.Verdict
	Keys    []string // names of all configured keys
	// Facts looks up what signing policies ask about what stands at a target.
	Facts  func(ctx context.Context, needs policy.Needs, subject, whole artifact.Subject) (policy.Facts, error)
	Ledger *ledger.Ledger
	// Follow has the signing policy of the target carried out on a promoted artifact. It returns when the wish is durable.
	Follow func(ctx context.Context, ref artifact.Ref, caller string) error
	Log    *slog.Logger

	mu    sync.Mutex
	busy  map[string]chan struct{} // target repositories with a promotion under way
	items *prometheus.CounterVec
}

// Init registers the service's metrics and checks that nothing was left out.
func (s *Service) Init(reg prometheus.Registerer) error {
	if s.Instances == nil || s.Policies == nil || s.Gate == nil || s.Inspect == nil || s.Facts == nil || s.Ledger == nil || s.Follow == nil || s.Log == nil {
		return errors.New("starting the promotion service: a dependency is missing")
	}
	s.busy = map[string]chan struct{}{}
	s.items = promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "hallmark_promotion_items_total",
		Help: "Artifacts of confirmed promotions, by the state in which the promotion left them.",
	}, []string{"state"})
	return nil
}

// maxTargets bounds the repositories that one promotion goes into.
const maxTargets = 20

// run is one promotion.
type run struct {
	*Service
	req      Request
	way      way
	targets  []string        // repositories
	build    artifact.Build  // of a promotion of one
	along    []artifact.Info // of a build: artifacts that are called like signature files
	bundle   artifact.Bundle // of a promotion of one
	frozen   artifact.Digest // of the bundle's record
	client   *artifactory.Client
	policies *policy.Set // that were in force when it began
	items    []*item
	index    map[artifact.Ref]*item // by source
	folders  folders
	reasons  []reason.Reason
	id       int64
	at       time.Time
	until    time.Time // signatures that are under way are waited for
	ended    ledger.PromotionState
	meter    meter
}

// item is one artifact of a run. After judge it is written by one goroutine at a time.
type item struct {
	source    artifact.Ref
	target    artifact.Ref
	digest    artifact.Digest
	want      artifact.Digest // what was asked for has these bytes; zero when only a place was named
	verdict   State           // allowed, refused or undecided
	files     []file
	left      []string
	keys      []string // of the signature files
	rule      string   // of the gate policy
	state     ledger.ItemState
	reasons   []reason.Reason
	signature bool   // of a bundle: a signature file that it holds
	image     *image // of an image
	known     bool   // an earlier promotion has brought it to the target, and its source is gone
	there     bool   // it stood at the target, with its bytes, before this run
}

// file is a signature that goes along: a file beside its artifact, or what the registry keeps with a manifest.
type file struct {
	name   string
	digest artifact.Digest
	there  bool   // at the target before this run
	format string // of pkg/seal
	of     int    // in the registry: which of the item's subjects it is of
}

// start refuses what cannot be followed.
func (s *Service) start(req Request) (*run, error) {
	client, ok := s.Instances[req.Instance]
	if !ok {
		return nil, refuse(reason.PathRefused, "the instance is not configured", fmt.Sprintf("%q", req.Instance), "a configured instance")
	}
	targets := req.Targets
	if req.Bundle == nil || req.Target != "" {
		targets = append([]string{req.Target}, targets...)
	}
	for i, target := range targets {
		if _, err := artifact.NewRef(req.Instance, target, "x"); err != nil {
			return nil, refuse(reason.PathRefused, "the target is not a repository's name", err.Error(), "the name of a repository")
		}
		if slices.Contains(targets[:i], target) {
			return nil, refuse(reason.PathRefused, "a target is named twice", target, "each target once")
		}
	}
	if len(targets) == 0 || len(targets) > maxTargets || req.Bundle == nil && len(targets) > 1 {
		return nil, refuse(reason.PathRefused, "this is not the number of targets that a promotion has", fmt.Sprint(len(targets)), "one repository; for a release bundle one for each type of packages")
	}
	w, err := wayOf(req)
	if err != nil {
		return nil, err
	}
	return &run{Service: s, req: req, way: w, targets: targets, client: client, policies: s.Policies(), index: map[artifact.Ref]*item{}, at: time.Now().UTC(), meter: meter{tell: req.Progress}}, nil
}

func refuse(code reason.Code, message, found, expected string) error {
	return &reason.Refused{Reasons: []reason.Reason{{
		Code: code, Message: message, Found: found, Expected: expected, Fix: "correct the request", Who: "the caller",
	}}}
}

// lockAll waits until no other promotion runs into one of the same repositories, in this process or in another replica.
// held ends when that cannot be relied upon any more. Repositories are locked in the order of their names, so that two
// promotions cannot wait for one another.
func (s *Service) lockAll(ctx context.Context, r *run) (held context.Context, unlock func(), err error) {
	var undo []func()
	unlock = func() {
		for _, f := range slices.Backward(undo) {
			f()
		}
	}
	held = ctx
	for _, target := range slices.Sorted(slices.Values(r.targets)) {
		key := r.req.Instance + "/" + target
		err := s.lock(held, key)
		if err == nil {
			undo = append(undo, func() { s.unlock(key) })
			var release func()
			if ctx, release, err = s.turn(held, key); err == nil {
				held, undo = ctx, append(undo, release)
			}
		}
		if err != nil {
			unlock()
			return nil, nil, fmt.Errorf("waiting for another promotion into %s: %w", target, err)
		}
	}
	return held, unlock, nil
}

func (s *Service) lock(ctx context.Context, key string) error {
	for {
		s.mu.Lock()
		other, busy := s.busy[key]
		if !busy {
			s.busy[key] = make(chan struct{})
		}
		s.mu.Unlock()
		if !busy {
			return nil
		}
		select {
		case <-other:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Service) unlock(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.busy[key])
	delete(s.busy, key)
}

// allowed reports whether everything may go.
func (r *run) allowed() bool {
	return len(r.reasons) == 0 && len(r.items) > 0 &&
		!slices.ContainsFunc(r.items, func(it *item) bool { return it.verdict != StateAllowed })
}
