package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// MaxWait is how long an answer may be put off for a signature that is under way.
const MaxWait = time.Minute

const (
	// waitPoll and waitPollMax bound how often the ledger is asked about work that is waited for.
	waitPoll    = 200 * time.Millisecond
	waitPollMax = time.Second
	// waitNews is how long after an upload the news of it may still be on its way.
	waitNews = 15 * time.Second
	// maxWaits is how many answers may be put off at once. Whoever comes then is answered at once.
	maxWaits = 256
)

// ended says how waiting ended.
type ended struct {
	again bool   // a signature was made: judge afresh
	tell  string // what is to be told besides
	why   []reason.Reason
}

// patiently puts a refusal off that a signature would settle, while one is under way, and judges afresh when it was made;
// v is the newest verdict. It returns how long it waited, and ends early when the work ended otherwise, the service stops,
// or too many wait already.
func (g *Gate) patiently(ctx context.Context, req Request, v *Verdict) (waited time.Duration) {
	until := time.Now().Add(min(req.Wait, MaxWait))
	var seen time.Time // the outcome that the newest verdict has in it
	for v.wanting() {
		select {
		case g.waits <- struct{}{}:
		default:
			return waited
		}
		begun := time.Now()
		end := g.await(ctx, v.about, begun, until, &seen)
		<-g.waits
		waited += time.Since(begun)
		if !end.again {
			v.told(end)
			return waited
		}
		judging, cancel := context.WithTimeout(ctx, Timeout)
		*v = g.verdict(judging, req)
		cancel()
	}
	return waited
}

// await waits for the end of work on an artifact, which it asks the ledger about now and then.
func (g *Gate) await(ctx context.Context, about artifact.Subject, begun, until time.Time, seen *time.Time) ended {
	news := g.newsUntil(ctx, about)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for poll := waitPoll; ; poll = min(poll*3/2, waitPollMax) {
		select {
		case <-ctx.Done():
			return ended{}
		case <-g.stopping:
			return ended{}
		case <-pause.C:
		}
		st, err := g.status(ctx, about.Ref)
		switch o := st.Current; {
		case err != nil && !errors.Is(err, ledger.ErrUnknown):
			g.Log.WarnContext(ctx, "not waiting for a signature: the ledger does not tell whether one is under way", slog.Any("error", err))
			return ended{}
		case st.Pending:
			if !time.Now().Before(until) {
				return ended{tell: fmt.Sprintf("its signing is still under way after %s", time.Since(begun).Round(100*time.Millisecond))}
			}
		case o.Subject == about.SHA256 && !o.At.IsZero() && !o.At.Equal(*seen):
			*seen = o.At
			if o.State == ledger.Signed || o.State == ledger.Expanded {
				return ended{again: true}
			}
			return ended{tell: fmt.Sprintf("work on it ended at %s: %s", o.At.UTC().Format("2006-01-02 15:04:05 UTC"), o.State), why: o.Reasons}
		case !o.At.IsZero() && o.Subject == about.SHA256, !time.Now().Before(news): // nothing is under way
			return ended{}
		}
		if !time.Now().Before(until) {
			return ended{}
		}
		pause.Reset(min(poll, time.Until(until)))
	}
}

// status asks the ledger in bounded time.
func (g *Gate) status(ctx context.Context, ref artifact.Ref) (ledger.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, memoryTime)
	defer cancel()
	answer := make(chan ledger.Status, 1)
	if err := within(ctx, func(ctx context.Context) error {
		st, err := g.Ledger.Status(ctx, ref)
		answer <- st
		return err
	}); err != nil {
		return ledger.Status{}, err
	}
	return <-answer, nil
}

// newsUntil is until when the news of an upload may be on its way: a short time from when Artifactory got the bytes, and
// not at all for what no signing policy is about.
func (g *Gate) newsUntil(ctx context.Context, about artifact.Subject) time.Time {
	ref, came := about.Ref, about.Modified
	if about.Created.After(came) { // a copy keeps the time at which its bytes were written
		came = about.Created
	}
	client, ok := g.Instances[ref.Instance]
	if came.IsZero() || !ok || !g.Policies().Covers(ref.Instance, ref.Repo, ref.Path, "") {
		return time.Time{}
	}
	ahead, _ := client.ClockAhead(ctx) // an unknown difference counts as none
	return came.Add(waitNews - ahead)
}

// Stop ends all waiting, so that a service can stop without cutting answers off. It may be called once.
func (g *Gate) Stop() { close(g.stopping) }

// wanting reports whether signatures are all that is missing.
func (v *Verdict) wanting() bool {
	return v.Decided && !v.Allow && !v.about.SHA256.IsZero() && len(v.Reasons) > 0 &&
		!slices.ContainsFunc(v.Reasons, func(r reason.Reason) bool { return !ofSignature[r.Code] })
}

// told adds to a refusal what became of the signature.
func (v *Verdict) told(end ended) {
	if end.tell != "" && len(v.Reasons) > 0 {
		v.Reasons[0].Found += "; " + end.tell
	}
	for _, why := range end.why {
		if !slices.ContainsFunc(v.Reasons, func(r reason.Reason) bool { return r.Code == why.Code }) {
			v.Reasons = append(v.Reasons, why)
		}
	}
}

// hint tells in a refusal that could have been put off that a signature is under way.
func (g *Gate) hint(ctx context.Context, v *Verdict) {
	if !v.wanting() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, memoryTime)
	defer cancel()
	var waiting bool
	err := within(ctx, func(ctx context.Context) (err error) {
		under, err := g.Ledger.Waiting(ctx, v.about.Ref)
		if err == nil && under {
			waiting = true
		}
		return err
	})
	if err == nil && waiting {
		v.Reasons[0].Found += "; its signing is under way"
		v.Reasons[0].Fix = "ask again with --wait 30s, which waits for it; if that does not help: " + v.Reasons[0].Fix
	}
}
