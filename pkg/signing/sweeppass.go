package signing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/artifactory"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

const (
	// maxFindings is how many findings of a run are kept for its report; all of them are counted.
	maxFindings = 1000
	// acceptAtOnce is how many hints wait for the ledger together, so that they share its commits.
	acceptAtOnce = 64
	// keepTurn is how long a page may take before the turn is taken again.
	keepTurn = 20 * time.Second
)

// clockRough is more than what a difference of clocks is wrong by: answers tell whole seconds, and may be slow to come.
const clockRough = 10 * time.Second

// errTurnLost means that another replica sweeps now.
var errTurnLost = errors.New("another replica has taken over the sweep")

// pass is one run over one repository. Signature files come to a repository a moment after their artifact, so they stand
// on its page or close by: a page is judged when the next one is known too. Three pages are held, whatever the
// repository's size.
type pass struct {
	*Sweeper
	run      ledger.Sweep
	client   *artifactory.Client
	repo     artifact.Repository
	policies *policy.Set // in force for this page
	failures int
	told     int       // findings that were kept
	next     time.Time // when the next hint may go, with a rate
	renewed  time.Time
	fast     time.Duration // how far Artifactory's clock is ahead of ours; what came when is said by its clock

	before, held, ahead *sheet
}

// sheet is one page with its files by path.
type sheet struct {
	artifactory.Page
	files map[string]artifact.Digest
}

// step compares one page and records how far the run has come. After an error it can be called again.
func (p *pass) step(ctx context.Context) error {
	if p.client == nil {
		return fmt.Errorf("no Artifactory instance %q is configured", p.run.Instance)
	}
	var err error
	if p.fast, err = p.client.ClockAhead(ctx); err != nil {
		return err
	}
	if p.run.State == ledger.SweepWaiting {
		p.begin()
	}
	p.policies, p.renewed = p.Service.Policies(), time.Now()
	if p.repo, err = p.client.Repository(ctx, p.run.Repo); errors.Is(err, artifact.ErrGone) {
		return p.abandon(ctx, err)
	} else if err != nil {
		return err
	}
	if p.held == nil {
		if p.held, err = p.load(ctx, artifactory.Position{At: p.run.At, Path: p.run.Path}); err != nil {
			return err
		}
	}
	if p.ahead == nil && p.held.More {
		if p.ahead, err = p.load(ctx, p.held.Last); err != nil {
			return err
		}
	}
	found, err := p.judge(ctx)
	if err != nil {
		return err
	}
	if err := p.order(ctx, found); err != nil {
		return err
	}
	return p.save(ctx, found)
}

// abandon ends a run over a repository that is not there, with its problem. The next one begins where this one would have.
func (p *pass) abandon(ctx context.Context, why error) error {
	run := p.run
	run.State, run.FinishedAt, run.Problem = ledger.SweepDone, time.Now(), "there is no such repository, or the token may not read it: "+why.Error()
	if err := p.Service.Ledger.SaveSweep(ctx, run, nil); err != nil {
		return err
	}
	p.run = run
	return nil
}

func (p *pass) begin() {
	now := time.Now()
	p.run.State, p.run.StartedAt = ledger.SweepRunning, now
	theirs := now.Add(p.fast)
	if p.run.Kind == SweepPeriodic {
		p.run.Since = p.since(p.run, theirs)
	}
	if p.run.Until.IsZero() {
		switch {
		case p.run.Kind == SweepPeriodic || p.run.Kind == SweepFull:
			p.run.Until = theirs.Add(-p.cfg.Delay)
		case p.fast == 0:
			p.run.Until = theirs
		default:
			p.run.Until = theirs.Add(clockRough) // the newest files count, too
		}
	}
}

func (p *pass) load(ctx context.Context, after artifactory.Position) (*sheet, error) {
	page, err := p.client.Items(ctx, artifactory.ItemQuery{
		Repo: p.run.Repo, Prefix: p.run.Prefix, Since: p.run.Since, Until: p.run.Until, After: after, Limit: p.cfg.PageSize,
	})
	if err != nil {
		return nil, err
	}
	s := &sheet{Page: page, files: make(map[string]artifact.Digest, len(page.Items))}
	for i := range page.Items {
		item := &page.Items[i]
		item.Ref.Instance = p.run.Instance
		s.files[item.Ref.Path] = item.SHA256
	}
	return s, nil
}

// near looks for a file on the pages at hand.
func (p *pass) near(path string) (artifact.Digest, bool) {
	for _, s := range []*sheet{p.held, p.ahead, p.before} {
		if s != nil {
			if d, ok := s.files[path]; ok {
				return d, true
			}
		}
	}
	return artifact.Digest{}, false
}

// keep keeps the turn while a page takes long.
func (p *pass) keep(ctx context.Context) error {
	if time.Since(p.renewed) < keepTurn {
		return nil
	}
	mine, err := p.Service.Ledger.TakeTurn(ctx, turnName)
	if err == nil && !mine {
		err = errTurnLost
	}
	p.renewed = time.Now()
	return err
}
