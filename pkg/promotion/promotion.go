// Package promotion carries artifacts into a guarded repository: it asks the gate about each, and only when every answer
// is yes lets Artifactory copy them, with the only identity that may write there. Service.Promote below reads as the six
// steps; what the kinds of promotions have for themselves is in the table of way.go, one file per kind.
//
// Promotions overwrite nothing. They can be repeated: what stands at the target with equal bytes counts as done, so a
// second run completes what a first one could not.
package promotion

import (
	"context"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/ledger"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

const (
	// Timeout is how long a confirmed promotion may take. It goes on when its caller has gone.
	Timeout = 15 * time.Minute
	// MaxArtifacts bounds one promotion.
	MaxArtifacts = 10_000
)

// Request asks for a promotion of exactly one of Artifacts, Build, Image and Bundle.
//
// Artifacts name files of the instance as repository/path. One that ends in '/' means everything below that folder; one
// with *, ?, [ or { is a pattern, as in policies, and means every file that matches and everything below every folder
// that matches. Paths are kept at the target.
type Request struct {
	Instance  string
	Artifacts []string
	Build     *Build
	Image     string // repository/name:tag, repository/name@sha256:digest, or both
	TargetTag string // of the image; default: as it is
	Bundle    *Bundle
	Target    string        // repository
	Targets   []string      // of a bundle, instead of Target: repositories, one for each type of packages
	Move      bool          // delete the sources afterwards
	Confirm   bool          // without it nothing is changed
	Caller    string        // the authenticated name of who asks, for the record
	Wait      time.Duration // for signatures that are under way, all in all; see gate.Request
	// Progress is told how far the promotion has come: one call at a time, in order, after every step. It must return at
	// once, for the work waits for it. It is not called after Promote has returned; nil is nobody.
	Progress func(Progress)
}

// State is what became of a promotion.
type State string

// The states of a promotion. Only StateDone and StateIncomplete have changed anything.
const (
	StateAllowed    State = "allowed"    // every artifact may go; it was not confirmed
	StateRefused    State = "refused"    // at least one artifact may not go
	StateUndecided  State = "undecided"  // at least one answer could not be learnt
	StateDone       State = "done"       // everything stands at the target
	StateIncomplete State = "incomplete" // it failed half way; the items say how far each came
)

// Report tells what would be, or was, promoted.
type Report struct {
	ID       int64           `json:"id,omitempty"` // of the record in the ledger; 0 when nothing was begun
	Kind     Kind            `json:"kind"`
	Name     string          `json:"name,omitempty"` // of what was promoted as one, such as a build; files have none
	State    State           `json:"state"`
	Instance string          `json:"instance"`
	Target   string          `json:"target"` // repository; several of a bundle with commas between
	Move     bool            `json:"move"`
	Caller   string          `json:"caller"`
	At       time.Time       `json:"at"`
	Reasons  []reason.Reason `json:"reasons"` // about the promotion as a whole
	Items    []Item          `json:"items"`
}

// Item is one artifact of a report. State is one of a verdict (allowed, refused, undecided) until something was begun,
// then the ledger's: waiting, begun, copied, done, failed, withdrawn.
type Item struct {
	Artifact string          `json:"artifact"` // repository/path
	Target   string          `json:"target"`   // repository/path
	SHA256   artifact.Digest `json:"sha256"`   // the bytes that the verdict is about
	State    string          `json:"state"`
	Files    []string        `json:"files"`          // signature files that go along
	Left     []string        `json:"left,omitempty"` // signature files that stay behind, because they do not verify for the target
	Policy   string          `json:"policy,omitempty"`
	Reasons  []reason.Reason `json:"reasons"`
}

// Promote answers one request. It returns an error only when the request cannot be followed (*reason.Refused) or the
// ledger cannot be used before anything was changed; everything else is in the report.
func (s *Service) Promote(ctx context.Context, req Request) (Report, error) {
	r, err := s.start(req)
	if err != nil {
		return Report{}, err
	}
	if req.Confirm {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), Timeout) // half a promotion helps nobody
		defer cancel()
		r.meter.phase(PhaseWaiting, 0)
		held, unlock, err := s.lockAll(ctx, r)
		if err != nil {
			return Report{}, err
		}
		defer unlock()
		ctx = held
	}

	// 1 select: which artifacts the request means, and what an earlier promotion left half moved.
	r.meter.phase(PhaseSelecting, 0)
	if err := r.way.sel(r, ctx); err != nil {
		return Report{}, err
	}
	r.collide()

	// 2 judge: the gate's verdict on each, and what stands at the target.
	r.judge(ctx)
	if r.way.judged != nil {
		r.way.judged(r)
	}
	if !req.Confirm || !r.allowed() {
		return r.report(), nil
	}

	// 3 record, durable before anything is changed.
	if err := r.begin(ctx); err != nil {
		return Report{}, err
	}

	// 4 copy everything: signature files first, then the artifact, then its properties; each compared with the verdict.
	// 5 delete the sources, when it is a move and all of them stand at the target.
	// 6 tell Artifactory that the whole was promoted, where it keeps a record of that.
	state := ledger.PromotionDone
	if (r.way.begin != nil && !r.way.begin(r, ctx)) || !r.copyAll(ctx) || (req.Move && !r.clearAll(ctx)) || !r.way.finish(r, ctx) {
		state = ledger.PromotionIncomplete
	}
	if !r.alone(ctx) {
		state = ledger.PromotionIncomplete
	}
	r.end(ctx, state)
	return r.report(), nil
}
