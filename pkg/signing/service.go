package signing

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/notary"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// Service signs. Its fields are set once, before the first Do; all but Notary, Trusted and Issuer are required. It is safe
// for concurrent use.
type Service struct {
	Instances map[string]*artifactory.Client // by configured instance name
	Policies  func() *policy.Set             // the set in force now
	Keys      *hsm.Keyring
	Ledger    *ledger.Ledger
	Notary    *notary.Notary // nil: signatures are bare
	Trusted   facts.Trusted  // who is believed besides the keys; needed with a notary
	Log       *slog.Logger
	Issuer    string // URI by which attestations name the service; may be empty: then they name the product
	// Order makes work durable, all of it or nothing; it is handed job.MaxBatch events at most. What waits already with
	// the same key is not ordered twice.
	Order func(ctx context.Context, events []ledger.Event) error

	metrics   *metrics
	facts     *facts.Gatherer
	expanding chan struct{} // a place for each expansion under way
}

// Init registers the service's metrics and checks that nothing was left out.
func (s *Service) Init(reg prometheus.Registerer) error {
	if s.Instances == nil || s.Policies == nil || s.Keys == nil || s.Ledger == nil || s.Log == nil || s.Order == nil || s.Notary != nil && s.Trusted.Verifier == nil {
		return fmt.Errorf("starting the signing service: a dependency is missing")
	}
	s.metrics, s.expanding = newMetrics(reg), make(chan struct{}, maxExpanding)
	s.facts = &facts.Gatherer{Instances: s.Instances, Ledger: s.Ledger, Trust: s.Keys.Keys(), Trusted: s.Trusted}
	return nil
}

// The steps of an artifact's way, as they stand in metrics and log lines.
const (
	stepResolve = "resolve"
	stepDecide  = "decide"
	stepIntend  = "intend"
	stepPull    = "pull"
	stepSeal    = "seal"
	stepCheck   = "check"
	stepAttach  = "attach"
	stepRecord  = "record"
	stepExpand  = "expand" // instead of 2 to 7, for what has parts
)

// run is one pass of one event. It is used by one goroutine.
type run struct {
	*Service
	policies *policy.Set // that were in force when the pass began
	event    ledger.Event
	ref      artifact.Ref     // of the subject at hand
	whole    artifact.Subject // that the event is about; zero until it is known
	client   *artifactory.Client
	digest   artifact.Digest // of the subject at hand
	state    ledger.State    // that was recorded last
	parts    int             // that work was ordered for
	lacking  []reason.Reason // why that are not all
	asked    *policy.Asked   // what was decided on last
	step     string
	entered  time.Time
}

func (s *Service) start(ev ledger.Event) *run {
	return &run{Service: s, policies: s.Policies(), event: ev, ref: told(ev)}
}

// told is the reference as an event told it, fit to be recorded and nothing else: bytes that are not plain text are
// replaced.
func told(ev ledger.Event) artifact.Ref {
	plain := func(s string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsControl(c) {
				return unicode.ReplacementChar
			}
			return c
		}, strings.ToValidUTF8(s, string(unicode.ReplacementChar)))
	}
	return artifact.Ref{Instance: plain(ev.Instance), Repo: plain(ev.Repo), Path: plain(ev.Path)}
}

// enter closes the step before and opens the next.
func (r *run) enter(step string) {
	r.closeStep()
	r.step, r.entered = step, time.Now()
}

func (r *run) closeStep() {
	if r.step != "" {
		r.metrics.stepSeconds.WithLabelValues(r.step).Observe(time.Since(r.entered).Seconds())
	}
}

// end closes the last step's clock and says in the job's log line how far the pass came.
func (r *run) end(ctx context.Context) {
	r.closeStep()
	digest := ""
	if !r.digest.IsZero() {
		digest = r.digest.String()
	}
	job.Note(ctx, slog.String("stage", r.step), slog.String("state", string(r.state)), slog.String("digest", digest))
}

// resolve is step 1.
func (r *run) resolve(ctx context.Context) (artifact.Meaning, error) {
	ref, err := artifact.NewRef(r.event.Instance, r.event.Repo, r.event.Path)
	if err != nil {
		return artifact.Meaning{}, &pathError{err: err}
	}
	r.ref = ref
	client, ok := r.Instances[ref.Instance]
	if !ok {
		return artifact.Meaning{}, &pathError{err: fmt.Errorf("no Artifactory instance %q is configured", ref.Instance)}
	}
	r.client = client
	if seal.IsAttachment(ref.Name()) {
		return artifact.Meaning{}, &ownError{ref.Name()}
	}
	m, err := artifact.Resolve(ctx, client, ref)
	if err != nil {
		return artifact.Meaning{}, &storeError{op: "reading the artifact's facts", refused: reason.StoreRefused, err: err}
	}
	r.ref, r.whole = m.Ref, m.Whole()
	if m.Repo.Class == artifact.Cache {
		return artifact.Meaning{}, &cacheError{r.ref.Repo}
	}
	return m, nil
}

type metrics struct {
	stepSeconds       *prometheus.HistogramVec
	outcomes          *prometheus.CounterVec
	eventToSigned     prometheus.Histogram
	warnings          *prometheus.CounterVec
	reused            prometheus.Counter
	selfCheckFailures prometheus.Counter

	storedCheckFailures prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		stepSeconds: f.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hallmark_signing_step_seconds",
			Help:    "Time spent in each step of an artifact's way.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 3, 12),
		}, []string{"step"}),
		outcomes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hallmark_signing_outcomes_total",
			Help: "Artifacts settled, by state.",
		}, []string{"state"}),
		warnings: f.NewCounterVec(prometheus.CounterOpts{
			Name: "hallmark_policy_warnings_total",
			Help: "Artifacts that were signed although a signing policy with mode warn would have refused them, by that policy.",
		}, []string{"policy"}),
		eventToSigned: f.NewHistogram(prometheus.HistogramOpts{
			Name:    "hallmark_event_to_signed_seconds",
			Help:    "Time from the receipt of an event to the properties that say signed.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2.5, 13),
		}),
		reused: f.NewCounter(prometheus.CounterOpts{
			Name: "hallmark_signatures_reused_total",
			Help: "Keys of a grant whose signatures existed already, so that the HSM was not used.",
		}),
		selfCheckFailures: f.NewCounter(prometheus.CounterOpts{
			Name: "hallmark_seal_self_check_failures_total",
			Help: "Signature files of our own that did not verify before they were stored. Anything but 0 is an emergency: stop the service and look at the HSM.",
		}),
		storedCheckFailures: f.NewCounter(prometheus.CounterOpts{
			Name: "hallmark_stored_check_failures_total",
			Help: "Signatures that Artifactory took and then served otherwise, so that nothing was said to be signed. Somebody writes there too, or the storage or a cache between is wrong.",
		}),
	}
}
