package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// classWait bounds how long an order to sweep waits to learn what a repository is.
const classWait = 3 * time.Second

// clockWait bounds how long an order to sweep waits to learn the time at the server.
const clockWait = 2 * time.Second

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
			due = append(due, ledger.Sweep{Instance: t.instance, Repo: t.repo, Kind: kind, RequestedAt: now})
		}
	}
	return due
}

// since is where a periodic sweep begins: a little before where the last one ended, or before now when it is the first.
// What was there before is for a backfill, which somebody has to ask for. All times are Artifactory's; a clock that was
// set back begins at its new time.
func (w *Sweeper) since(last ledger.Sweep, now time.Time) time.Time {
	if last.SeenUntil.IsZero() || last.SeenUntil.After(now) {
		return now.Add(-w.cfg.Overlap).UTC()
	}
	return last.SeenUntil.Add(-w.cfg.Overlap)
}

// Since is where a sweep of a repository begins that somebody asks for: at the given time, or where a periodic one would.
// The answer is a time of Artifactory's clock, as far as that is known while Artifactory does not answer.
func (w *Sweeper) Since(ctx context.Context, instance, repo string, asked *time.Time) (time.Time, error) {
	ahead := time.Duration(0)
	if client, ok := w.Service.Instances[instance]; ok {
		wait, cancel := context.WithTimeout(ctx, clockWait)
		defer cancel()
		ahead, _ = client.ClockAhead(wait)
	}
	if asked != nil {
		return asked.Add(ahead), nil
	}
	all, err := w.Service.Ledger.Sweeps(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now := time.Now().Add(ahead)
	for _, s := range all {
		if s.Kind == SweepPeriodic && s.Instance == instance && s.Repo == repo {
			return w.since(s, now), nil
		}
	}
	return w.since(ledger.Sweep{}, now), nil
}

// named lists the repositories that policies name: those named in full, and those that exist and match a pattern.
// Virtual and remote repositories hold nothing that can be signed in place, and records of builds are not signed at all; a
// policy that names such a repository in full is complained about.
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
			if !elsewhere(r.Class) && artifact.Bears(r) && policies.Names(instance, r.Key) {
				names = append(names, r.Key)
			}
		}
		slices.Sort(names)
		for _, n := range slices.Compact(names) {
			// One that does not exist stays a target: until it does, no sweep of all that policies name has succeeded.
			if err := w.sweepable(ctx, instance, n); err != nil && !errors.Is(err, artifact.ErrGone) {
				if !w.refused[target{instance, n}] {
					w.refused[target{instance, n}] = true
					w.Service.Log.WarnContext(ctx, "a policy names a repository that cannot be swept", slog.String("instance", instance), slog.String("repo", n), slog.Any("error", err))
				}
				continue
			}
			list = append(list, target{instance, n})
		}
	}
	return list
}

func elsewhere(c artifact.Class) bool {
	return c == artifact.Virtual || c == artifact.Remote || c == artifact.Cache
}

// sweepable is a *reason.Refused for a repository whose files lie in others, can have no signature beside them, or are not
// signed at all; for one that does not exist it is artifact.ErrGone, too. What cannot be found out in a moment shows when
// it is swept.
func (w *Sweeper) sweepable(ctx context.Context, instance, key string) error {
	ctx, cancel := context.WithTimeout(ctx, classWait)
	defer cancel()
	client := w.Service.Instances[instance]
	repo, err := client.Repository(ctx, key)
	switch {
	case errors.Is(err, artifact.ErrGone):
		return fmt.Errorf("%w: %w", &reason.Refused{Reasons: []reason.Reason{{
			Code: reason.ArtifactGone, Message: "there is no such repository", Found: "no repository " + key + " that the service's token may read",
			Expected: "the name of a repository in Artifactory, without a path", Fix: "correct the name, or give the token the right Read on it", Who: "the caller, or Artifactory administrators",
		}}}, artifact.ErrGone)
	case err != nil:
		return nil
	case elsewhere(repo.Class):
	case artifact.Bears(repo):
		return nil
	default:
		return &reason.Refused{Reasons: []reason.Reason{{
			Code: reason.OnlyParts, Message: "records of builds have no signatures, so there is nothing to sweep or to backfill", Found: key + " holds records of builds",
			Expected: "a repository of files, images or release bundles", Fix: "sweep the repositories that hold the builds' files; of a single build, hallmark sign REPO/RECORD with the path of its record looks at every file",
			Who: "the caller, or the policy's owner",
		}}}
	}
	why := reason.Reason{
		Code: reason.RemoteCache, Message: "nothing can be signed where a remote repository keeps what it fetched", Found: key + " is of class " + string(repo.Class),
		Expected: "a local or federated repository", Fix: "sweep the repository that its files are promoted to", Who: "the caller, or the policy's owner",
	}
	if repo.Class == artifact.Virtual {
		why.Code, why.Message = reason.VirtualRepository, "a virtual repository stores nothing"
		why.Fix = "name the local repository that holds the files"
		holders, _ := client.Holders(ctx, key)
		holders = slices.DeleteFunc(holders, func(h string) bool {
			r, err := client.Repository(ctx, h)
			return err != nil || elsewhere(r.Class)
		})
		if len(holders) > 0 {
			why.Fix += ": " + strings.Join(holders, " or ")
		}
	}
	return &reason.Refused{Reasons: []reason.Reason{why}}
}
