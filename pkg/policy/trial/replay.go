package trial

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Replay puts a candidate to the questions that were decided before, with the facts that they were decided with. It
// compares with what the policies in force answer to the same question where they can, else with what was decided. What
// the facts do not tell is counted as such and never guessed. It is not safe for concurrent use, and its memory does not
// grow with the number of decisions.
type Replay struct {
	new, now   *Trial // now is nil when there are no policies in force to compare with, or they are the candidate
	comparison *Comparison
	result     Replayed
	unknown    map[string]*Unknown
}

// NewReplay makes a replay. inForce may be nil.
func NewReplay(inForce, candidate *Trial) *Replay {
	r := &Replay{new: candidate, now: inForce, comparison: newComparison(inForce, candidate), unknown: map[string]*Unknown{}}
	r.comparison.because = because
	r.result.Candidate = Side{candidate.Dir, candidate.Set.Digest()}
	if inForce != nil {
		r.result.InForce = &Side{inForce.Dir, inForce.Set.Digest()}
	}
	if inForce != nil && inForce.Set.Digest() == candidate.Set.Digest() {
		r.now = nil // it is compared with what was decided
	}
	return r
}

// Inventory compares what would come of every artifact in a list with what comes of it by the policies in force; see
// Comparison.Inventory.
func (r *Replay) Inventory(name string, list io.Reader) error {
	if r.result.InForce == nil {
		return fmt.Errorf("an inventory is compared with the policies in force, and none are given")
	}
	return r.comparison.Inventory(name, list)
}

// Add replays one decision.
func (r *Replay) Add(p policy.Past) error {
	if r.result.Decisions == 0 {
		r.result.From = p.At
	}
	r.result.Decisions, r.result.To = r.result.Decisions+1, p.At
	asked, err := p.Question()
	if err != nil {
		return err
	}
	if asked == nil {
		if besidePolicies(p) {
			r.result.Beside++
		} else {
			r.cannotTell("what it was decided with: recorded before facts were kept, or no policy had a look", p)
		}
		return nil
	}
	put := r.signing
	if p.Kind == policy.PastGate {
		put = r.gate
	}
	new, lacking, err := put(r.new.Set, p, asked)
	if err != nil {
		return err
	}
	if lacking != "" {
		r.cannotTell(lacking, p)
		return nil
	}
	then, stuck := recorded(p, asked)
	if stuck && (new.outcome == "sign" || new.outcome == "allow") {
		r.result.Unchanged++ // what speaks against it is no policy
		return nil
	}
	base, was := then, ""
	if r.now != nil && !stuck {
		now, lacking, err := put(r.now.Set, p, asked)
		if err != nil {
			return err
		}
		if lacking == "" {
			if base = now; differ(p, then, now) {
				was = then.text()
			}
		}
	}
	switch {
	case differ(p, base, new):
		e := example(p, asked)
		e.Then = was
		r.comparison.weigh(p.Kind == policy.PastGate, base, new, e)
	case differ(p, then, new):
		r.result.Already++
	default:
		r.result.Unchanged++
	}
	return nil
}

func differ(p policy.Past, a, b answer) bool { return effectOf(p.Kind == policy.PastGate, a, b) != "" }

// signing asks a set again whether to sign. lacking is what is not known and decides.
func (r *Replay) signing(set *policy.Set, p policy.Past, asked *policy.Asked) (_ answer, lacking string, _ error) {
	ref, err := artifact.ParseRef(p.Instance, p.Artifact)
	if err != nil {
		return answer{}, "", err
	}
	request, err := asked.Request(ref, p.SHA256)
	if err != nil {
		return answer{}, "", err
	}
	a := decided(set.Decide(request))
	if a.rough = unknown(a.reasons); a.rough && !settled(a.reasons) {
		about := request.Subject.Ref
		if request.Whole != (artifact.Ref{}) {
			about = request.Whole
		}
		lacking = facts(set.Needs(about, request.Event), asked)
	}
	return a, lacking, nil
}

// gate asks a set again whether to let in.
func (r *Replay) gate(set *policy.Set, p policy.Past, asked *policy.Asked) (_ answer, lacking string, _ error) {
	ref, err := artifact.ParseRef(p.Instance, p.Artifact)
	if err != nil {
		return answer{}, "", err
	}
	target, err := artifact.ParseRef(p.Instance, p.Target)
	if err != nil {
		return answer{}, "", err
	}
	demand, err := asked.Demand(set, ref, target, p.SHA256)
	if err != nil {
		return answer{}, "", err
	}
	a := judged(demand, asked.Evidence)
	if unknown(a.reasons) {
		lacking = facts(demand.Needs(), asked)
	} else {
		lacking = unseen(demand, r.new.Language.Formats, asked, len(a.reasons) > 0)
	}
	if a.rough = lacking != ""; a.rough && settled(a.reasons) {
		lacking = ""
	}
	return a, lacking, nil
}

func example(p policy.Past, asked *policy.Asked) Example {
	e := Example{Artifact: p.Artifact, Given: announced(asked.Event), Source: "decided " + p.At.UTC().Format(time.RFC3339)}
	if p.Kind == policy.PastGate {
		e.Artifact, e.Given = p.Target, evidenceText(asked.Evidence, time.Time{})
		e.Source += " about " + p.Artifact
	}
	return e
}

// because is the rule and the reasons of the side that says no, or else of the side that signs.
func because(_ string, old, new answer) string {
	for _, a := range []answer{new, old} {
		if len(a.reasons) > 0 {
			text := strings.Join(slices.Compact(a.codes()), ", ")
			if rule := a.reasons[0].Rule; rule != "" {
				text += " by " + rule
			}
			return text
		}
	}
	for _, a := range []answer{new, old} {
		for i := len(a.rules) - 1; i >= 0 && len(a.orders) > 0; i-- {
			if a.rules[i] != "" {
				return ordersText(a.orders) + " by " + a.rules[i]
			}
		}
	}
	return ""
}

// cannotTell counts a decision that the candidate cannot be asked about.
func (r *Replay) cannotTell(fact string, p policy.Past) {
	r.result.CannotTell++
	u := r.unknown[fact]
	if u == nil {
		if len(r.unknown) >= maxGroups {
			return
		}
		u = &Unknown{Fact: fact, Examples: []string{}}
		r.unknown[fact] = u
	}
	if u.Count++; len(u.Examples) < maxExamples {
		what := p.Artifact
		if p.Kind == policy.PastGate {
			what += " into " + p.Target
		}
		u.Examples = append(u.Examples, what+", "+p.Outcome+" "+p.At.UTC().Format(time.RFC3339))
	}
}
