package signing

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/ledger"
)

// due lists the sweeps whose time has come.
func (w *Sweeper) due(ctx context.Context, all []ledger.Sweep) []ledger.Sweep {
	now := time.Now()
	if now.Sub(w.renewed) >= w.cfg.Every {
		w.targets, w.renewed = w.named(ctx), now
	}
	var due []ledger.Sweep
	for _, t := range w.targets {
		for kind, every := range map[string]time.Duration{SweepPeriodic: w.cfg.Every, SweepFull: w.cfg.FullEvery} {
			if every == 0 {
				continue
			}
			var last ledger.Sweep
			if i := slices.IndexFunc(all, func(s ledger.Sweep) bool {
				return s.Kind == kind && s.Instance == t.instance && s.Repo == t.repo
			}); i >= 0 {
				last = all[i]
			}
			if last.ID != 0 && (last.State != ledger.SweepDone || now.Sub(last.RequestedAt) < every) {
				continue
			}
			s := ledger.Sweep{Instance: t.instance, Repo: t.repo, Kind: kind, RequestedAt: now}
			if kind == SweepPeriodic {
				s.Since = w.since(last)
			}
			due = append(due, s)
		}
	}
	return due
}

// since is where a periodic sweep begins: a little before where the last one ended, or before now when it is the first.
// What was there before is for a backfill, which somebody has to ask for.
func (w *Sweeper) since(last ledger.Sweep) time.Time {
	if last.SeenUntil.IsZero() {
		return time.Now().Add(-w.cfg.Overlap).UTC()
	}
	return last.SeenUntil.Add(-w.cfg.Overlap)
}

// Since is where a sweep of a repository begins that somebody asks for without saying so.
func (w *Sweeper) Since(ctx context.Context, instance, repo string) (time.Time, error) {
	all, err := w.Service.Ledger.Sweeps(ctx)
	if err != nil {
		return time.Time{}, err
	}
	for _, s := range all {
		if s.Kind == SweepPeriodic && s.Instance == instance && s.Repo == repo {
			return w.since(s), nil
		}
	}
	return w.since(ledger.Sweep{}), nil
}

// named lists the repositories that policies name: those named in full, and those that exist and match a pattern.
// Virtual and remote repositories hold nothing that can be signed in place.
func (w *Sweeper) named(ctx context.Context) []target {
	policies := w.Service.Policies()
	var list []target
	for instance, client := range w.Service.Instances {
		signed, guarded := policies.Repositories(instance)
		names := append(signed, guarded...)
		repos, err := client.Repositories(ctx)
		if err != nil {
			w.Service.Log.WarnContext(ctx, "repositories cannot be listed; only those are swept that policies name in full",
				slog.String("instance", instance), slog.Any("error", err))
		}
		for _, r := range repos {
			switch {
			case r.Class == "virtual" || r.Class == "remote":
				names = slices.DeleteFunc(names, func(n string) bool { return n == r.Key })
			case policies.Names(instance, r.Key):
				names = append(names, r.Key)
			}
		}
		slices.Sort(names)
		for _, n := range slices.Compact(names) {
			list = append(list, target{instance, n})
		}
	}
	return list
}
