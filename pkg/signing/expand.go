package signing

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/job"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
	"github.com/hallmark-signing/hallmark/pkg/seal"
)

// promotions are the events after which the parts count that are where the promotion brought them.
var promotions = []string{"build/promoted", "release_bundle_v2_promotion/release_bundle_v2_promotion_completed"}

const (
	// settling is how long after its receipt an event of a promotion is not believed to be about an older one.
	settling = 15 * time.Second
	// skew is by how much a clock that promotions are dated by may be behind ours before the above costs time.
	skew = time.Minute
	// fullWait is how long an expansion steps back when the queue takes no more.
	fullWait = 10 * time.Second
	// maxExpanding bounds the expansions under way: one may ask thousands of queries, and other work needs workers too.
	maxExpanding = 2
	// crowdWait is how long an expansion steps back when there are so many.
	crowdWait = 2 * time.Second
)

// errBusy: as many expansions as may be are under way. The worker does something else meanwhile.
var errBusy = errors.New("other builds and release bundles are being looked into")

// expands reports whether the parts of what the event is about are to be worked on. Of what is signed itself that is when
// it took them somewhere, or when somebody asks.
func (r *run) expands(m artifact.Meaning) bool {
	return m.Expands() && (len(m.Subjects) == 0 || r.event.Domain == "request" || r.promoted())
}

func (r *run) promoted() bool { return slices.Contains(promotions, r.event.Domain+"/"+r.event.Type) }

// expand orders work on each part of what the event is about, and records that, or leaves it for the outcome of what is
// signed of the whole. When the process ends half way, the job
// comes back and orders all of it again; what waits is not ordered twice, and what was done needs no key.
func (r *run) expand(ctx context.Context, m artifact.Meaning) error {
	r.enter(stepExpand)
	if done, err := r.expanded(ctx, m); done || err != nil {
		return err
	}
	select {
	case r.expanding <- struct{}{}:
		defer func() { <-r.expanding }()
	default:
		return errBusy
	}
	occasion := artifact.Asked
	if r.promoted() {
		occasion = artifact.Promoted
	}
	x, err := artifact.Expand(ctx, r.client, m, occasion)
	if err != nil {
		return &storeError{op: "looking for the parts", refused: reason.StoreRefused, err: err}
	}
	if occasion == artifact.Promoted && time.Since(r.event.ReceivedAt) < settling && x.Promoted.Before(r.event.ReceivedAt.Add(-skew)) {
		return &earlyError{x.Promoted}
	}
	parts := slices.DeleteFunc(x.Parts, func(p artifact.Ref) bool { return seal.IsAttachment(p.Name()) })
	for page := range slices.Chunk(parts, job.MaxBatch) {
		if err := r.Order(ctx, r.orders(page)); err != nil {
			return fmt.Errorf("ordering work on %d parts: %w", len(parts), err)
		}
	}
	r.parts = len(parts)
	if x.Lacking.Count > 0 {
		r.lacking = []reason.Reason{r.incomplete(m.Kind, x)}
	}
	if len(m.Subjects) > 0 {
		return nil
	}
	r.enter(stepRecord)
	return r.finish(ctx, r.outcome(m.Whole().SHA256, ledger.Expanded, nil))
}

// expanded reports whether an earlier pass of the same event has ordered the work and came back for what is signed of the
// whole.
func (r *run) expanded(ctx context.Context, m artifact.Meaning) (bool, error) {
	if len(m.Subjects) == 0 {
		return false, nil
	}
	known, err := r.Ledger.Status(ctx, r.ref)
	if errors.Is(err, ledger.ErrUnknown) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking up what was ordered: %w", err)
	}
	last := known.Current
	if last.EventID != r.event.ID || last.Parts == 0 {
		return false, nil
	}
	r.parts = last.Parts
	for _, why := range last.Reasons {
		if why.Code == reason.BundleIncomplete {
			r.lacking = append(r.lacking, why)
		}
	}
	return true, nil
}

// orders are the events that parts are worked on for. To policy they are what happened to the whole.
func (r *run) orders(parts []artifact.Ref) []ledger.Event {
	events := make([]ledger.Event, len(parts))
	for i, p := range parts {
		key := sha256.Sum256([]byte(strings.Join([]string{"part", r.event.Domain, r.event.Type, p.Instance, p.Repo, p.Path}, "\x00")))
		events[i] = ledger.Event{
			Instance: p.Instance, Domain: r.event.Domain, Type: r.event.Type, Repo: p.Repo, Path: p.Path,
			Key: artifact.Digest(key).String(), ReceivedAt: r.event.ReceivedAt, Lane: r.event.Lane,
		}
	}
	return events
}

// incomplete says what of a whole could not be worked on.
func (r *run) incomplete(kind artifact.Kind, x artifact.Expansion) reason.Reason {
	why := reason.Reason{
		Code: reason.BuildIncomplete, Message: fmt.Sprintf("%d artifacts of the build are not what build-info says; work on %d was ordered", x.Lacking.Count, len(x.Parts)),
		Found: x.Lacking.String(), Expected: "every artifact of the build in a repository that the token may read, with the digest in build-info",
		Fix: "publish or promote the build again, or: hallmark sign " + r.ref.String(), Who: "the build's owner",
	}
	if kind == artifact.KindBundle {
		why.Code = reason.BundleIncomplete
		why.Message = fmt.Sprintf("%d artifacts of the release bundle are not what it lists; work on %d was ordered", x.Lacking.Count, len(x.Parts))
		why.Expected = "every artifact of the bundle in a repository that the token may read, with the digest that the bundle lists"
		why.Fix, why.Who = "promote the bundle again, or: hallmark sign "+r.ref.String(), "the bundle's owner"
	}
	return why
}

// earlyError: the newest promotion on record is older than the event; the one that it is about may not be there yet.
type earlyError struct{ newest time.Time }

func (e *earlyError) Error() string {
	return "the newest promotion on record is of " + e.newest.UTC().Format(time.RFC3339) + ", before the event"
}

// laterThan is when to come back for what is expected to be there soon; 0 when the cause is another.
func laterThan(cause error) time.Duration {
	switch {
	case isA[*earlyError](cause):
		return settling / 3
	case errors.Is(cause, job.ErrFull):
		return fullWait
	case errors.Is(cause, errBusy):
		return crowdWait
	}
	return 0
}
