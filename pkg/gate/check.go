package gate

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

const (
	// Timeout is how long a verdict may take. A JFrog Worker is killed after 5 s; this leaves it time to answer.
	Timeout = 4 * time.Second
	// maxFile bounds a signature file in bytes; a larger one is not a signature.
	maxFile = 1 << 20
	// parallel bounds how many signature files of one artifact are read at once.
	parallel = 8
)

// Gate makes verdicts. Its fields are set once, before the first Check; all are required. It is safe for concurrent use.
type Gate struct {
	Instances map[string]*artifactory.Client
	Policies  func() *policy.Set
	Trust     []hsm.Public // the pinned keys, accepted or not: a signature by a known wrong key is named as such
	Ledger    *ledger.Ledger
	Log       *slog.Logger

	verdicts *prometheus.CounterVec
	seconds  prometheus.Histogram
}

// Init registers the gate's metrics.
func (g *Gate) Init(reg prometheus.Registerer) error {
	if g.Instances == nil || g.Policies == nil || g.Ledger == nil || g.Log == nil {
		return errors.New("starting the gate: a dependency is missing")
	}
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
	return nil
}

// Check answers one request. It never fails: what cannot be learnt within Timeout is a refusal that says so. The
// verdict is about the bytes that Artifactory holds during the call; nothing is remembered from earlier calls.
func (g *Gate) Check(ctx context.Context, req Request) Verdict {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	start := time.Now()
	v := Verdict{
		Artifact: req.Artifact.String(), Target: req.Target.String(), At: start.UTC(),
		PolicySet: g.Policies().Digest(), Reasons: []reason.Reason{}, Signatures: []Signature{},
	}
	if err := g.decide(ctx, req, &v); err != nil {
		v.Allow, v.Decided = false, false
		v.Reasons = []reason.Reason{undecided(req, err)}
	}

	// 5 record. A verdict that cannot be recorded is not given: an allowed promotion must be on the books.
	if err := g.record(ctx, req, v); err != nil && v.Allow {
		v.Allow, v.Decided = false, false
		v.Reasons = []reason.Reason{undecided(req, err)}
	}
	g.count(ctx, req, v, time.Since(start))
	return v
}

// decide is steps 1 to 4.
func (g *Gate) decide(ctx context.Context, req Request, v *Verdict) error {
	demand, ok := g.Policies().Demand(req.Target)
	demand = demand.For(req.Artifact)
	if !ok {
		v.Decided, v.Reasons = true, demand.Judge(nil)
		return nil
	}
	v.Policy = demand.Rule()
	client, ok := g.Instances[req.Artifact.Instance]
	if !ok {
		return fmt.Errorf("no Artifactory instance %q is configured", req.Artifact.Instance)
	}

	// 1 resolve afresh.
	subjects, err := artifact.Resolve(ctx, client, req.Artifact)
	if errors.Is(err, artifact.ErrGone) {
		v.Decided = true
		v.Reasons = []reason.Reason{{
			Code: reason.ArtifactGone, Message: "the artifact is not in Artifactory", Found: "nothing at " + req.Artifact.String(),
			Expected: "a file", Fix: "check the path", Who: "the caller",
		}}
		return nil
	}
	if err != nil {
		return err
	}
	subject := subjects[0]
	v.SHA256 = subject.SHA256

	// 2 read the signature files, 3 verify them with pinned trust.
	found, err := g.inspect(ctx, client, demand, subject)
	if err != nil {
		return err
	}
	for _, e := range found {
		v.Signatures = append(v.Signatures, Signature{File: e.File, Format: e.Format, Key: e.Key, Problem: e.Problem})
	}

	// 4 policy.
	v.Reasons = append(v.Reasons, demand.Judge(found)...)
	v.Decided = true
	v.Allow = len(v.Reasons) == 0
	return nil
}

// inspect reads every file that may hold a signature of the subject and says what each of them proves.
func (g *Gate) inspect(ctx context.Context, client *artifactory.Client, demand policy.Demand, subject artifact.Subject) ([]policy.Evidence, error) {
	names := make([]string, len(g.Trust))
	for i, k := range g.Trust {
		names[i] = k.Name
	}
	candidates := seal.Candidates(subject.Ref.Name(), names, demand.Formats())
	contents := make([][]byte, len(candidates))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, c := range candidates {
		group.Go(func() error {
			content, err := client.Read(gctx, subject.Ref.Beside(c.Name), maxFile)
			if errors.Is(err, artifact.ErrGone) {
				return nil
			}
			contents[i] = content
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("reading the signature files: %w", err)
	}

	if !slices.ContainsFunc(contents, func(c []byte) bool { return c != nil }) {
		return nil, nil
	}
	digests, err := g.complete(ctx, client, subject.Info)
	if err != nil {
		return nil, err
	}
	var found []policy.Evidence
	for i, c := range candidates {
		if contents[i] == nil {
			continue
		}
		format, _ := seal.Lookup(c.Format)
		found = append(found, g.verify(format, c.Name, digests, contents[i]))
	}
	return found, nil
}

// complete adds the digests that some pinned key needs beyond SHA-256, by reading the artifact's bytes once.
func (g *Gate) complete(ctx context.Context, client *artifactory.Client, info artifact.Info) (seal.Digests, error) {
	digests := seal.FromSHA256(info.SHA256)
	further := make(map[crypto.Hash]hash.Hash)
	for _, k := range g.Trust {
		if k.Hash != crypto.SHA256 && further[k.Hash] == nil {
			further[k.Hash] = k.Hash.New()
		}
	}
	if len(further) == 0 {
		return digests, nil
	}
	if err := client.Pull(ctx, info, slices.Collect(maps.Values(further))...); err != nil {
		return nil, fmt.Errorf("hashing the artifact: %w", err)
	}
	for h, sum := range further {
		digests[h] = sum.Sum(nil)
	}
	return digests, nil
}

// verify tries a file against every pinned key and keeps the most telling answer.
func (g *Gate) verify(format seal.Format, file string, digests seal.Digests, content []byte) policy.Evidence {
	e := policy.Evidence{File: file, Format: format.Name, Problem: reason.SignatureWrongKey, Detail: "made with a key that is not pinned here"}
	for _, k := range g.Trust {
		err := format.Verify(k.PublicKey, digests, content)
		switch {
		case err == nil:
			return policy.Evidence{File: file, Format: format.Name, Key: k.Name}
		case errors.Is(err, seal.ErrMalformed):
			return policy.Evidence{File: file, Format: format.Name, Problem: reason.SignatureInvalid, Detail: err.Error()}
		case errors.Is(err, seal.ErrWrongBytes):
			e = policy.Evidence{File: file, Format: format.Name, Key: k.Name, Problem: reason.SignatureWrongBytes, Detail: err.Error()}
		case errors.Is(err, seal.ErrInvalid) && e.Problem == reason.SignatureWrongKey:
			e = policy.Evidence{File: file, Format: format.Name, Problem: reason.SignatureInvalid, Detail: err.Error()}
		}
	}
	return e
}

func (g *Gate) record(ctx context.Context, req Request, v Verdict) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	err := g.Ledger.RecordVerdict(ctx, ledger.Verdict{
		Ref: req.Artifact, Target: req.Target, Subject: v.SHA256, Allow: v.Allow, Reasons: v.Reasons,
		PolicySet: v.PolicySet, At: v.At, Caller: req.Caller,
	})
	if err != nil {
		return fmt.Errorf("recording the verdict: %w", err)
	}
	return nil
}

func (g *Gate) count(ctx context.Context, req Request, v Verdict, took time.Duration) {
	g.seconds.Observe(took.Seconds())
	if v.Allow {
		g.verdicts.WithLabelValues("allow").Inc()
	}
	codes := make([]string, len(v.Reasons))
	for i, r := range v.Reasons {
		codes[i] = string(r.Code)
		g.verdicts.WithLabelValues(codes[i]).Inc()
	}
	g.Log.InfoContext(ctx, "gate", slog.String("artifact", v.Artifact), slog.String("target", v.Target),
		slog.String("digest", v.SHA256.String()), slog.Bool("allow", v.Allow), slog.Bool("decided", v.Decided),
		slog.Any("reasons", codes), slog.String("caller", req.Caller), slog.Duration("took", took))
}

func undecided(req Request, err error) reason.Reason {
	found := "an internal error; see the service's log"
	var refused *artifactory.Refused
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		found = "no answer within " + Timeout.String()
	case errors.As(err, &refused):
		found = refused.Error()
	}
	return reason.Reason{
		Code: reason.Undecided, Message: "the gate could not learn what it needs, so the answer is no", Found: found,
		Expected: "Artifactory and the ledger answer in time",
		Fix:      "try again: hallmark gate check " + req.Artifact.String() + " --target " + req.Target.Repo, Who: "platform engineers",
	}
}
