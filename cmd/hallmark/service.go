package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/hallmark-signing/hallmark/pkg/api"
	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/facts"
	"github.com/hallmark-signing/hallmark/pkg/gate"
	"github.com/hallmark-signing/hallmark/pkg/hsm"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/promotion"
	"github.com/hallmark-signing/hallmark/pkg/signing"
	"github.com/hallmark-signing/hallmark/webhook"
)

// locateWait bounds how long a status waits to learn which file a virtual path means.
const locateWait = 5 * time.Second

// service is everything wired together. It does nothing until start.
type service struct {
	config    *Config
	log       *slog.Logger
	metrics   *prometheus.Registry
	policies  *policy.Live
	instances map[string]*artifactory.Client
	promoting map[string]*artifactory.Client // with the identity that writes to release repositories
	keys      *hsm.Keyring
	ledger    *ledger.Ledger
	queue     *job.Queue
	attested  attestation
	started   time.Time
	gate      *gate.Gate
	promotion *promotion.Service
	sweeper   *signing.Sweeper
	public    http.Handler
	admin     http.Handler
	draining  atomic.Bool // not ready any more
}

// newService opens every part and refuses with the first that is broken: a service that starts can sign.
func newService(ctx context.Context, c *Config, software bool, log *slog.Logger) (_ *service, err error) {
	s := &service{started: time.Now(), config: c, log: log, metrics: prometheus.NewRegistry(), instances: map[string]*artifactory.Client{}, promoting: map[string]*artifactory.Client{}}
	s.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.policies, err = policy.Open(c.Policies.Value.Dir, c.Policies.Value.NoMatch, c.vocabulary(), log, s.metrics); err != nil {
		return nil, fmt.Errorf("loading policies: %w", err)
	}
	if s.keys, err = hsm.Open(ctx, values(c.Tokens), values(c.Keys), hsm.Options{AllowSoftwareKeys: software, Log: log, Registerer: s.metrics}); err != nil {
		return nil, fmt.Errorf("opening keys: %w", err)
	}
	for _, a := range values(c.Artifactory) {
		if s.instances[a.Name], err = artifactory.New(a, artifactory.Options{Log: log, Registerer: s.metrics}); err != nil {
			return nil, err
		}
		if s.promoting[a.Name], err = artifactory.New(a.Promoting(), artifactory.Options{Log: log, Registerer: s.metrics}); err != nil {
			return nil, fmt.Errorf("with promotionToken: %w", err)
		}
	}
	if s.ledger, err = ledger.Open(ctx, c.Database.Value, ledger.Options{Log: log, Registerer: s.metrics}); err != nil {
		return nil, err
	}
	if err = s.attest(ctx); err != nil {
		return nil, fmt.Errorf("preparing what signatures rest on (trust): %w", err)
	}
	signer := &signing.Service{
		Instances: s.instances, Policies: s.policySet, Keys: s.keys, Ledger: s.ledger, Notary: s.attested.notary, Trusted: s.attested.trusted(), Issuer: c.Trust.Value.Issuer, Log: log,
		Order: func(ctx context.Context, events []ledger.Event) error { return s.queue.AcceptMany(ctx, events) },
	}
	if err = signer.Init(s.metrics); err != nil {
		return nil, err
	}
	work := func(ctx context.Context, w job.Work) error { return signer.Do(ctx, w.Event) }
	queue := c.Queue.Value
	queue.Drain = c.Server.Drain // one bound for the whole shutdown
	if s.queue, err = job.New(s.ledger, queue, job.Options{
		Log: log, Registerer: s.metrics, Instances: len(s.instances), Outage: artifactory.Down, Silence: c.silence(),
	}, work); err != nil {
		return nil, err
	}
	s.gate = &gate.Gate{Instances: s.instances, Policies: s.policySet, Trust: s.keys.Keys(), Trusted: s.attested.trusted(), Ledger: s.ledger, Log: log}
	if err = s.gate.Init(s.metrics); err != nil {
		return nil, err
	}
	s.sweeper = &signing.Sweeper{Service: signer, Accept: s.queue.Accept, Standing: s.gate.Standing, Config: c.Sweep.Value}
	if err = s.sweeper.Init(s.metrics); err != nil {
		return nil, err
	}
	s.promotion = &promotion.Service{
		Instances: s.promoting, Policies: s.policySet, Gate: s.gate.Check, Inspect: s.gate.Inspect, Ledger: s.ledger, Follow: s.request, Log: log,
		Facts: (&facts.Gatherer{Instances: s.instances, Ledger: s.ledger, Trust: s.keys.Keys(), Trusted: s.attested.trusted()}).Gather,
	}
	for _, k := range s.keys.Keys() {
		s.promotion.Keys = append(s.promotion.Keys, k.Name)
	}
	if err = s.promotion.Init(s.metrics); err != nil {
		return nil, err
	}
	return s, s.face()
}

// policySet is the set in force. Policies change while the service runs: whoever works takes the set once.
func (s *service) policySet() *policy.Set { return s.policies.Set() }

func (s *service) covers(instance, repo, path, event string) bool {
	return s.policySet().Covers(instance, repo, path, event)
}

func (s *service) explain(ref artifact.Ref, event string) policy.Explanation {
	return s.policySet().Explain(ref, event)
}

// face builds the HTTP handlers.
func (s *service) face() error {
	hooks := webhook.Config{Instances: map[string]webhook.Instance{}}
	for _, a := range values(s.config.Artifactory) {
		in, err := webhookInstance(a)
		if err != nil {
			return err
		}
		hooks.Instances[a.Name] = in
	}
	receiver, err := webhook.New(hooks, webhook.Deps{Accept: s.queue.Accept, Covers: s.covers, Log: s.log, Registerer: s.metrics})
	if err != nil {
		return err
	}
	v1, err := api.New(api.Config{Tokens: values(s.config.API.Tokens), Instances: s.config.instanceNames()}, api.Deps{
		Gate: s.gate.Check, Name: s.name, Sign: s.request, Status: s.status, Explain: s.explain,
		Promote: s.promotion.Promote, Promotion: s.ledger.Promotion, Promotions: s.ledger.Promotions, Sweep: s.sweep, Sweeps: s.ledger.Sweeps, Findings: s.ledger.Findings,
		Why: s.why, Decided: s.ledger.Decided, CountDecided: s.ledger.CountDecided, Inventory: s.inventory, Trust: s.believe, TrustVersion: s.believeVersion,
		Key: s.pin, Distrust: s.ledger.Distrust, Distrusts: s.ledger.Distrusts, Affected: s.ledger.Affected, CountAffected: s.ledger.CountAffected,
		Log: s.log, Registerer: s.metrics,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/webhook/", receiver)
	mux.Handle("/webhook", receiver) // or the mux would redirect, and a sender repeat its POST as a GET
	if s.attested.log != nil {
		mux.Handle("/log/", s.logHandler())
	}
	mux.Handle("/v1/", v1)
	mux.Handle("/v1", v1)
	mux.Handle("/", api.NoRoute(s.log))
	s.public = mux
	s.admin, err = api.Admin(s.metrics, []api.Check{
		{Name: "hsm", Run: s.keys.Ready},
		{Name: "database", Run: s.ledger.Ping},
		{Name: "serving", Run: s.serving},
	}, s.log)
	return err
}

// webhookInstance reads the secrets that prove an instance's webhooks.
func webhookInstance(a artifactory.Config) (webhook.Instance, error) {
	in := webhook.Instance{Plain: a.WebhookAuth == artifactory.WebhookPlain}
	for _, f := range a.WebhookSecrets {
		secret, err := f.Read()
		if err != nil {
			return webhook.Instance{}, fmt.Errorf("artifactory %q: reading a webhook secret: %w", a.Name, err)
		}
		in.Secrets = append(in.Secrets, secret)
	}
	return in, nil
}

// pin finds a configured key that signs artifacts.
func (s *service) pin(key string) (artifact.Digest, bool) {
	for _, k := range s.keys.Keys() {
		if k.Name == key {
			return k.SPKI, true
		}
	}
	return artifact.Digest{}, false
}

// name is the file that a caller's reference means.
func (s *service) name(ctx context.Context, ref artifact.Ref) (artifact.Ref, error) {
	client, ok := s.instances[ref.Instance]
	if !ok {
		return ref, nil
	}
	return client.Named(ctx, ref)
}

// request turns a caller's wish into an event like any other: a hint where to look.
func (s *service) request(ctx context.Context, ref artifact.Ref, caller string) error {
	now := time.Now()
	key := sha256.Sum256([]byte("request\x00" + ref.Instance + "\x00" + ref.String()))
	return s.queue.Accept(ctx, ledger.Event{
		Instance: ref.Instance, Domain: "request", Type: "sign", Repo: ref.Repo, Path: ref.Path,
		Key: artifact.Digest(key).String(), ReceivedAt: now, Lane: job.Promotion, Caller: caller,
	})
}

// status is what the ledger knows of an artifact. A path in a virtual or remote repository means the file that it shows;
// while Artifactory does not answer, what was noted under the path itself is all there is.
func (s *service) status(ctx context.Context, ref artifact.Ref) (ledger.Status, error) {
	asked, err := s.ledger.Status(ctx, ref)
	client, ok := s.instances[ref.Instance]
	if !ok || err != nil && !errors.Is(err, ledger.ErrUnknown) {
		return asked, err
	}
	wait, cancel := context.WithTimeout(ctx, locateWait)
	defer cancel()
	at, lost := client.Locate(wait, ref)
	if lost != nil || at == ref {
		return asked, err
	}
	held, unknown := s.ledger.Status(ctx, at)
	if errors.Is(unknown, ledger.ErrUnknown) {
		return asked, err
	}
	held.Pending = held.Pending || asked.Pending // ordered by the other name
	return held, unknown
}

// sweep makes the order of a sweep durable.
func (s *service) sweep(ctx context.Context, req api.SweepRequest, caller string) (ledger.Sweep, error) {
	run := ledger.Sweep{Instance: req.Instance, Repo: req.Repository, Prefix: req.Prefix, Kind: kindOf(req), Caller: caller, Rate: req.Rate}
	if !req.Full && !req.Backfill {
		since, err := s.sweeper.Since(ctx, req.Instance, req.Repository, req.Since)
		if err != nil {
			return ledger.Sweep{}, err
		}
		run.Since = since
	}
	return s.sweeper.Request(ctx, run)
}

// serving tells load balancers to send nothing more once the drain has begun.
func (s *service) serving(context.Context) error {
	if s.draining.Load() {
		return errors.New("the service is draining")
	}
	return nil
}

// close releases what newService opened, in reverse order. The queue must have been stopped.
func (s *service) close() {
	errs := []error{s.attested.close()}
	if s.ledger != nil {
		errs = append(errs, s.ledger.Close())
	}
	for _, clients := range []map[string]*artifactory.Client{s.instances, s.promoting} {
		for _, c := range clients {
			if c != nil {
				c.Close()
			}
		}
	}
	if s.keys != nil {
		s.keys.Close()
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Error("closing", slog.Any("err", err))
	}
}
