package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// The kinds of sweeps, the most urgent first.
const (
	SweepPeriodic = "periodic" // by itself, what came since the last one
	SweepCheck    = "check"    // asked for by hand, repairs nothing
	SweepManual   = "manual"   // asked for by hand
	SweepFull     = "full"     // by itself, everything
	SweepBackfill = "backfill" // asked for by hand, what was there before Hallmark
)

// SweepKinds lists them in that order.
func SweepKinds() []string {
	return []string{SweepPeriodic, SweepCheck, SweepManual, SweepFull, SweepBackfill}
}

// Sweeper compares repositories with the ledger. It is what makes the product correct when webhooks are late, lost or
// never sent: it finds what is not signed as policy wants, whatever the ledger, the events or the properties say, and
// orders the same work that a webhook would have. It signs and deletes nothing itself.
//
// Of all replicas one sweeps at a time, and of that one's sweeps one page at a time: every second page is the most urgent
// kind's. A sweep continues where it was when the process ends.
type Sweeper struct {
	Service *Service // required, after its Init
	Accept  func(ctx context.Context, ev ledger.Event) error
	// Standing is how the gate judges the signatures of what stands where it guards: (*gate.Gate).Standing. The sweep has no
	// opinion of its own.
	Standing func(ctx context.Context, demand policy.Demand, subject artifact.Subject) (found []policy.Evidence, refused []reason.Reason, err error)
	Config   SweepConfig

	cfg     SweepConfig
	metrics *sweepMetrics
	wake    chan struct{}
	passes  map[int64]*pass // that are under way here, by run
	resting map[int64]time.Time
	targets []target
	refused map[target]bool // that were complained about
	renewed time.Time       // when targets were found out
	yield   bool            // the last page was the most urgent sweep's
}

// target is a repository that a policy names.
type target struct{ instance, repo string }

const (
	turnName     = "sweep"
	shortestRest = time.Second     // after a failure; doubles with each
	longestRest  = 2 * time.Minute //
	longestPoll  = 2 * time.Second // pause between two looks for sweeps that were asked for through another replica
)

// Init registers the metrics and checks that nothing was left out.
func (w *Sweeper) Init(reg prometheus.Registerer) error {
	if w.Service == nil || w.Accept == nil || w.Standing == nil {
		return errors.New("starting the sweep: a dependency is missing")
	}
	if err := w.Config.Validate(); err != nil {
		return fmt.Errorf("starting the sweep: %w", err)
	}
	w.cfg = w.Config.withDefaults()
	w.metrics = newSweepMetrics(reg)
	w.wake = make(chan struct{}, 1)
	w.refused = make(map[target]bool)
	w.passes, w.resting = make(map[int64]*pass), make(map[int64]time.Time)
	return nil
}

// Request makes a sweep durable that somebody asked for. ledger.ErrSweeping comes with the run that is under way;
// *reason.Refused says why the repository cannot be swept.
func (w *Sweeper) Request(ctx context.Context, s ledger.Sweep) (ledger.Sweep, error) {
	if _, ok := w.Service.Instances[s.Instance]; !ok {
		return ledger.Sweep{}, fmt.Errorf("no Artifactory instance %q is configured", s.Instance)
	}
	if err := w.sweepable(ctx, s.Instance, s.Repo); err != nil {
		return ledger.Sweep{}, err
	}
	run, err := w.Service.Ledger.RequestSweep(ctx, s)
	if err == nil {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
	return run, err
}

// Run sweeps until ctx ends.
func (w *Sweeper) Run(ctx context.Context) {
	begin := time.Now().Add(rand.N(min(w.cfg.Every, time.Minute))) // #nosec G404 -- spreading load needs no secret
	poll := max(min(w.cfg.Every/4, longestPoll), 10*time.Millisecond)
	for ctx.Err() == nil {
		worked, err := w.round(ctx, !w.cfg.Off && time.Now().After(begin))
		if err != nil && ctx.Err() == nil {
			w.Service.Log.ErrorContext(ctx, "sweeping failed", slog.Any("error", err))
		}
		if worked {
			continue
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-time.After(poll):
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = w.Service.Ledger.YieldTurn(last, turnName) // or else it ends by itself
}

// round does one page of the most urgent sweep. It reports false when there is nothing to do now.
func (w *Sweeper) round(ctx context.Context, periodic bool) (worked bool, err error) {
	all, err := w.Service.Ledger.Sweeps(ctx)
	if err != nil {
		return false, err
	}
	var due []ledger.Sweep
	if periodic {
		due = w.due(ctx, all)
	}
	open := w.open(all)
	if len(due) == 0 && len(open) == 0 {
		return false, nil
	}
	if mine, err := w.Service.Ledger.TakeTurn(ctx, turnName); err != nil || !mine {
		clear(w.passes)
		return false, err
	}
	if len(due) > 0 {
		for _, s := range due {
			if _, err := w.Service.Ledger.RequestSweep(ctx, s); err != nil && !errors.Is(err, ledger.ErrSweeping) {
				return false, err
			}
		}
		return true, nil
	}
	w.work(ctx, w.pick(open))
	return true, nil
}

// pick takes the most urgent sweep, but every second page one of another kind, so that what somebody waits for gets on
// also where a periodic sweep is always due.
func (w *Sweeper) pick(open []ledger.Sweep) ledger.Sweep {
	if w.yield = !w.yield; !w.yield {
		if i := slices.IndexFunc(open, func(s ledger.Sweep) bool { return s.Kind != open[0].Kind }); i > 0 {
			return open[i]
		}
	}
	return open[0]
}

// open lists the sweeps that can get on now, the most urgent first.
func (w *Sweeper) open(all []ledger.Sweep) []ledger.Sweep {
	now := time.Now()
	open := slices.DeleteFunc(slices.Clone(all), func(s ledger.Sweep) bool {
		return s.State == ledger.SweepDone || now.Before(w.resting[s.ID])
	})
	kinds := SweepKinds()
	slices.SortStableFunc(open, func(a, b ledger.Sweep) int { return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind) })
	return open
}

// work does one page.
func (w *Sweeper) work(ctx context.Context, s ledger.Sweep) {
	p := w.passes[s.ID]
	if p == nil {
		p = &pass{Sweeper: w, run: s, client: w.Service.Instances[s.Instance]}
		w.passes[s.ID] = p
	}
	err := p.step(ctx)
	switch {
	case err == nil && p.run.State == ledger.SweepDone:
		delete(w.passes, s.ID)
		delete(w.resting, s.ID)
		w.done(ctx, p.run)
	case err == nil:
		p.failures = 0
	case ctx.Err() != nil: // it continues in the next process
	case errors.Is(err, errTurnLost): // it continues there, and its row is the other's now
		delete(w.passes, s.ID)
	default:
		rest := min(shortestRest<<min(p.failures, 10), longestRest)
		w.resting[s.ID] = time.Now().Add(max(rest, artifactory.RetryAfter(err)))
		p.failures++
		p.run.Problem = err.Error()
		w.Service.Log.WarnContext(ctx, "sweep does not get on; it is tried again", slog.String("instance", s.Instance), slog.String("repo", s.Repo),
			slog.String("kind", s.Kind), slog.Any("error", err))
		if err := w.Service.Ledger.SaveSweep(ctx, p.run, nil); err != nil {
			w.Service.Log.ErrorContext(ctx, "recording a sweep failed", slog.Any("error", err))
		}
	}
}

func (w *Sweeper) done(ctx context.Context, s ledger.Sweep) {
	if s.Problem != "" {
		w.Service.Log.WarnContext(ctx, "sweep was given up", slog.String("instance", s.Instance), slog.String("repo", s.Repo), slog.String("kind", s.Kind),
			slog.String("problem", s.Problem))
		return
	}
	w.Service.Log.InfoContext(ctx, "sweep", slog.String("instance", s.Instance), slog.String("repo", s.Repo), slog.String("kind", s.Kind),
		slog.Int64("items", s.Items), slog.Int64("repaired", s.Repaired), slog.Int64("lost_events", s.Lost), slog.Any("findings", s.Findings),
		slog.Duration("took", s.FinishedAt.Sub(s.StartedAt)))
	if s.Kind == SweepPeriodic {
		w.tellSuccess(ctx, s.Instance)
	}
}

// tellSuccess sets the instance's time of success: that of the repository that has waited longest.
func (w *Sweeper) tellSuccess(ctx context.Context, instance string) {
	all, err := w.Service.Ledger.Sweeps(ctx)
	if err != nil {
		return // the metric stays behind, which is what it is for
	}
	oldest := time.Now()
	for _, t := range w.targets {
		if t.instance != instance {
			continue
		}
		i := slices.IndexFunc(all, func(s ledger.Sweep) bool {
			return s.Kind == SweepPeriodic && s.Instance == t.instance && s.Repo == t.repo
		})
		if i < 0 || all[i].State == ledger.SweepDone && all[i].Problem != "" {
			return
		}
		// A run that has not ended began after the last one did; what was compared by then is what counts.
		at := all[i].FinishedAt
		if at.IsZero() {
			at = all[i].RequestedAt
		}
		if at.Before(oldest) {
			oldest = at
		}
	}
	w.metrics.success.WithLabelValues(instance).Set(float64(oldest.UnixMilli()) / 1e3)
}
