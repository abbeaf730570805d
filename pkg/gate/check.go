package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

const (
	// Timeout is how long a verdict may take. A JFrog Worker is killed after 5 s; this leaves it time to answer.
	Timeout = 4 * time.Second
	// recordTime is the end of Timeout that is kept for putting the verdict on the books.
	recordTime = 500 * time.Millisecond
)

// Gate makes verdicts. Its fields are set once, before the first Check; all but Trusted are required. It is safe for concurrent use.
type Gate struct {
	Instances map[string]*artifactory.Client
	Policies  func() *policy.Set
	Trusted   Trusted      // who is believed besides them; may be zero
	Trust     []hsm.Public // the pinned keys, accepted or not: a signature by a known wrong key is named as such
	Ledger    *ledger.Ledger
	Log       *slog.Logger

	facts    *facts.Gatherer
	waits    chan struct{} // holds an element for everybody who waits
	stopping chan struct{} // closed by Stop

	verdicts *prometheus.CounterVec
	seconds  prometheus.Histogram
	cache    *cache
}

// Init registers the gate's metrics and empties its cache.
func (g *Gate) Init(reg prometheus.Registerer) error {
	if g.Instances == nil || g.Policies == nil || g.Ledger == nil || g.Log == nil {
		return errors.New("starting the gate: a dependency is missing")
	}
	g.facts = &facts.Gatherer{Instances: g.Instances, Ledger: g.Ledger, Trust: g.Trust, Trusted: g.Trusted}
	g.waits, g.stopping = make(chan struct{}, maxWaits), make(chan struct{})
	g.verdicts = promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
		Name: "hallmark_gate_verdicts_total",
		Help: "Verdicts of the gate, by reason code; allow and every reason of a refusal are counted.",
	}, []string{"reason"})
	g.verdicts.WithLabelValues(string(reason.Undecided)) // a counter that alerts must be there before it is needed
	g.seconds = promauto.With(reg).NewHistogram(prometheus.HistogramOpts{
		Name:    "hallmark_gate_seconds",
		Help:    "Time to a verdict.",
		Buckets: prometheus.ExponentialBuckets(0.002, 2.5, 10),
	})
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "hallmark_keys_distrusted",
		Help: "Keys that are distrusted now, so that what they signed since does not pass; not a number while the ledger does not answer.",
	}, g.distrusted)
	var err error
	g.cache, err = newCache(reg)
	return err
}

// Check answers one request. It never fails: what cannot be learnt within Timeout is a refusal that says so. An allowed
// verdict is about bytes that Artifactory held both before and after their signatures were verified; what is
// remembered from earlier calls is arithmetic about bytes, never what stands where. It is on the books before it is given.
// With Request.Wait a refusal that a signature would settle is put off while one is under way, and what is given and
// recorded is the verdict that was made last.
func (g *Gate) Check(ctx context.Context, req Request) Verdict {
	start, asked := time.Now(), ctx
	ctx, cancel := context.WithDeadline(ctx, start.Add(Timeout))
	defer cancel()
	v := g.verdict(ctx, req)
	var waited time.Duration
	switch {
	case req.Wait <= 0:
		g.hint(ctx, &v)
	case v.wanting():
		if waited = g.patiently(asked, req, &v); waited >= waitPoll {
			v.Waited = waited.Round(100 * time.Millisecond).String()
		}
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(asked, Timeout/2)
		defer stop()
	}

	// 5 record. A verdict that cannot be recorded is not given: an allowed promotion must be on the books.
	if err := g.record(ctx, req, v); err != nil {
		g.undecided(ctx, req, &v, err)
	}
	g.count(v, time.Since(start)-waited)
	return v
}

// Inspect answers like Check and puts nothing on the books. It is no verdict: it is for what goes along with an artifact
// that was let in, such as the manifests of an index, and tells which signatures of it count at the target.
func (g *Gate) Inspect(ctx context.Context, req Request) Verdict {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req.along = true
	return g.verdict(ctx, req)
}

// verdict is steps 1 to 4 for a context with a deadline.
func (g *Gate) verdict(ctx context.Context, req Request) Verdict {
	set := req.Policies
	if set == nil {
		set = g.Policies()
	}
	v := Verdict{
		Artifact: req.Artifact.String(), Target: req.Target.String(), At: time.Now().UTC(),
		PolicySet: set.Digest(), Reasons: []reason.Reason{}, Warnings: []reason.Reason{}, Signatures: []Signature{},
	}
	if err := g.decide(ctx, set, req, &v); err != nil {
		g.undecided(ctx, req, &v, err)
	}
	return v
}

// decide is steps 1 to 4, with time left for step 5.
func (g *Gate) decide(ctx context.Context, set *policy.Set, req Request, v *Verdict) error {
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithDeadline(ctx, deadline.Add(-recordTime))
	defer cancel()
	ref, err := g.subject(ctx, req.Artifact)
	if err == nil {
		err = g.judge(ctx, set, req, ref, v)
	}
	if why, known := refusal(req, err); known {
		v.Decided, v.Reasons, v.asked, err = true, []reason.Reason{why}, nil, nil
	}
	v.Allow = err == nil && v.Decided && len(v.Reasons) == 0
	return err
}

// subject is what a request is about. Somebody who promotes a signature file asks about the artifact that it belongs to;
// where its name can be read in two ways, the artifact that is there counts.
func (g *Gate) subject(ctx context.Context, asked artifact.Ref) (artifact.Ref, error) {
	names := make([]string, len(g.Trust))
	for i, k := range g.Trust {
		names[i] = k.Name
	}
	owners := seal.Owners(asked.Name(), names)
	if len(owners) == 0 {
		return asked, nil
	}
	client, ok := g.Instances[asked.Instance]
	if len(owners) == 1 || !ok {
		return asked.Beside(owners[0]), nil
	}
	for _, name := range owners {
		at, err := client.Locate(ctx, asked.Beside(name))
		if err == nil {
			_, err = client.Info(ctx, at)
		}
		if !errors.Is(err, artifact.ErrGone) {
			return asked.Beside(name), err
		}
	}
	return asked, artifact.ErrGone
}

// judge fills in the verdict for one subject. Its errors say what could not be learnt.
func (g *Gate) judge(ctx context.Context, set *policy.Set, req Request, ref artifact.Ref, v *Verdict) error {
	target := req.Target
	if ref != req.Artifact {
		target = target.Beside(ref.Name())
	}
	demand, guarded := set.Demand(target)
	demand = demand.For(ref)
	v.Policy, v.Signatures = demand.Rule(), []Signature{}
	if !guarded {
		v.Decided, v.Reasons = true, demand.Judge(nil) // whatever it is: nothing of it is looked at, and the books have no facts
		return nil
	}
	client, ok := g.Instances[ref.Instance]
	if !ok {
		return fmt.Errorf("%w: %q", errNoInstance, ref.Instance)
	}

	// 1 resolve afresh.
	meaning, err := artifact.Resolve(ctx, client, ref)
	if err != nil {
		return err
	}
	if len(meaning.Subjects) == 0 {
		return errOnlyParts
	}
	if req.inside && meaning.Kind == artifact.KindBundle {
		return artifact.ErrFrozen // a bundle is no part of another
	}
	subject := meaning.Whole() // an index commits to the manifests that it lists
	if subject.SHA256.IsZero() {
		return errNoDigest
	}
	v.Subject, v.SHA256, v.about = subject.Ref.String(), subject.SHA256, subject
	demand = demand.For(subject.Ref).Of(subject.Kind) // what a virtual repository shows is signed where it stands

	// 2 read the signature files, 3 verify them with pinned trust.
	in := g.newInspection(ctx, client, demand, subject)
	in.all, in.along = req.All, req.along
	found, err := in.run(ctx)
	if err != nil {
		return err
	}

	// 4 policy, for a release bundle its contents, too. Then the artifact once more: a yes must be about bytes that still stand.
	known, err := g.facts.Gather(ctx, demand.Needs(), subject, subject)
	if err != nil {
		return err
	}
	demand = demand.About(subject, known, v.At)
	refused, warnings := demand.Weigh(found)
	if len(refused) > 0 {
		named, err := in.trace(ctx, found)
		if err != nil {
			return err
		}
		if named {
			refused, warnings = demand.Weigh(found)
		}
		if !req.along && !req.inside {
			in.claims(ctx, g.Log, refused, found)
		}
	}
	v.signatures(demand, found)
	v.Reasons, v.Warnings = append(v.Reasons, refused...), append(v.Warnings, warnings...)
	v.asked = demand.Record(req.Artifact, req.Target, found, in.looked, len(refused))
	if len(v.Reasons) == 0 && ref != req.Artifact {
		at, err := client.Locate(ctx, req.Artifact)
		if err != nil {
			return err
		}
		why, err := in.companion(ctx, at)
		if err != nil {
			return err
		}
		v.Reasons = append(v.Reasons, why...)
	}
	if len(v.Reasons) == 0 && meaning.Kind == artifact.KindBundle && !req.along {
		if v.Reasons, err = g.contents(ctx, client, set, req, subject.Ref); err != nil {
			return err
		}
		v.Reasons = append([]reason.Reason{}, v.Reasons...)
	}
	if len(v.Reasons) == 0 {
		if err := stands(ctx, client, subject.Ref, subject.SHA256); err != nil {
			return err
		}
	}
	v.Decided = true
	return nil
}

// stands asks whether a file still has the bytes that were judged.
func stands(ctx context.Context, client *artifactory.Client, ref artifact.Ref, was artifact.Digest) error {
	now, err := client.Info(ctx, ref)
	if err != nil {
		return err
	}
	if now.SHA256 != was {
		return &changedError{ref: ref, was: was, is: now.SHA256}
	}
	return nil
}
