package signing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// order has the work done that repairs what was found: through the queue, as if a webhook had come. Work that waits
// already is not ordered again.
func (p *pass) order(ctx context.Context, found []*finding) error {
	repairs := slices.DeleteFunc(slices.Clone(found), func(f *finding) bool { return !f.repair })
	if p.run.Kind == SweepCheck {
		return nil
	}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(acceptAtOnce)
	for _, f := range repairs {
		if err := p.pace(ctx); err != nil {
			return errors.Join(err, group.Wait())
		}
		group.Go(func() error { return p.hint(within, f) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("ordering repairs: %w", err)
	}
	return nil
}

// pace waits until the run's rate allows one more.
func (p *pass) pace(ctx context.Context) error {
	if p.run.Rate <= 0 {
		return p.keep(ctx)
	}
	now := time.Now()
	wait := p.next.Sub(now)
	if wait <= 0 {
		wait, p.next = 0, now
	}
	p.next = p.next.Add(time.Second / time.Duration(p.run.Rate))
	select {
	case <-time.After(wait):
		return p.keep(ctx)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *pass) hint(ctx context.Context, f *finding) error {
	waiting, err := p.Service.Ledger.Waiting(ctx, f.item.Ref)
	if err != nil || waiting {
		f.waiting = waiting
		return err
	}
	if err := p.Accept(ctx, p.event(f)); err != nil {
		return err
	}
	f.ordered = true
	return nil
}

func (p *pass) event(f *finding) ledger.Event {
	kind, lane := "repair", job.Upload
	if p.run.Kind == SweepBackfill {
		kind, lane = SweepBackfill, job.Backfill
	}
	sha := ""
	if !f.item.SHA256.IsZero() {
		sha = f.item.SHA256.String()
	}
	return ledger.Event{
		Instance: f.item.Ref.Instance, Domain: "sweep", Type: kind, Lane: lane, Repo: f.item.Ref.Repo, Path: f.item.Ref.Path, SHA256: sha,
		Key: artifact.Attachment{Content: []byte("sweep\x00" + f.item.Ref.Instance + "\x00" + f.item.Ref.String() + "\x00" + sha)}.SHA256().String(), ReceivedAt: time.Now(),
	}
}

// save counts, tells and makes durable what the page gave, and goes on to the next.
func (p *pass) save(ctx context.Context, found []*finding) error {
	run := p.run
	run.Findings = maps.Clone(run.Findings)
	if run.Findings == nil {
		run.Findings = make(map[string]int64)
	}
	run.Problem, run.At, run.Path = "", p.held.Last.At, p.held.Last.Path
	run.Items += int64(len(p.held.Items) + p.held.Refused)
	if n := int64(p.held.Refused); n > 0 {
		run.Findings[foundUnnamed] += n
	}
	var rows []ledger.Finding
	lost := int64(0)
	for _, f := range found {
		if f.waiting {
			f.name = foundWaiting
		}
		run.Findings[f.name]++
		if f.ordered || p.run.Kind == SweepCheck && f.repair {
			run.Repaired++
		}
		if f.lost {
			lost++
		}
		if f.tellable() && p.told+len(rows) < maxFindings {
			rows = append(rows, ledger.Finding{Path: f.item.Ref.Path, Name: f.name, Repaired: f.ordered, Reasons: f.reasons})
		}
	}
	run.Lost += lost
	if p.ahead == nil {
		run.State, run.FinishedAt = ledger.SweepDone, time.Now()
		run.SeenUntil = latest(run.SeenUntil, run.Since, run.At)
		if run.SeenUntil.After(run.Until) { // Artifactory's clock was set back
			run.SeenUntil = run.Until
		}
	}
	if err := p.Service.Ledger.SaveSweep(ctx, run, rows); err != nil {
		return err
	}
	p.run, p.told = run, p.told+len(rows)
	for _, f := range found {
		p.metrics.items.WithLabelValues(f.name).Inc()
	}
	p.metrics.items.WithLabelValues(foundUnnamed).Add(float64(p.held.Refused))
	p.metrics.lost.Add(float64(lost))
	p.before, p.held, p.ahead = p.held, p.ahead, nil
	return nil
}

func latest(times ...time.Time) time.Time {
	return slices.MaxFunc(times, func(a, b time.Time) int { return a.Compare(b) })
}

// isSignature reports whether a file can only be a signature file.
func isSignature(item artifactory.Item) bool { return seal.IsAttachment(item.Ref.Name()) }
