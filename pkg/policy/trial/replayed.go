package trial

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"
)

// Replayed is everything that a replay found.
type Replayed struct {
	Candidate    Side      `json:"candidate"`
	InForce      *Side     `json:"inForce,omitempty"`
	From         time.Time `json:"from,omitzero"` // the oldest decision
	To           time.Time `json:"to,omitzero"`
	Decisions    int       `json:"decisions"`
	Unchanged    int       `json:"unchanged"`
	Already      int       `json:"already"`    // come otherwise than was decided, and do so by the policies in force
	Beside       int       `json:"beside"`     // were not for policies to decide, such as what was gone
	CannotTell   int       `json:"cannotTell"` // for want of facts
	Unknown      []Unknown `json:"unknown"`
	Paths        int       `json:"paths"` // of the inventory
	NewlyAllowed int       `json:"newlyAllowed"`
	Effects      []Group   `json:"effects"` // the gravest first
	Incomplete   bool      `json:"incomplete"`
}

// Unknown is a fact that is missing.
type Unknown struct {
	Fact     string   `json:"fact"`
	Count    int      `json:"count"`
	Examples []string `json:"examples"` // the first few
}

// Result tells what was found so far.
func (r *Replay) Result() Replayed {
	out := r.result
	out.Paths, out.NewlyAllowed, out.Effects, out.Incomplete = r.comparison.paths, r.comparison.allowed, r.comparison.list(), r.comparison.unsure
	out.Unknown = []Unknown{}
	for _, u := range r.unknown {
		out.Unknown = append(out.Unknown, *u)
	}
	slices.SortFunc(out.Unknown, func(a, b Unknown) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Fact, b.Fact)) })
	return out
}

// Text prints the result as the CLI does.
func (r Replayed) Text(w io.Writer) {
	fmt.Fprintf(w, "candidate  %s  policy set sha256:%s\n", r.Candidate.Dir, r.Candidate.PolicySet)
	if r.InForce != nil {
		fmt.Fprintf(w, "in force   %s  policy set sha256:%s\n", r.InForce.Dir, r.InForce.PolicySet)
	}
	if r.Decisions > 0 {
		fmt.Fprintf(w, "decisions  %d, from %s to %s\n", r.Decisions, r.From.Format(time.RFC3339), r.To.Format(time.RFC3339))
	} else {
		fmt.Fprintf(w, "decisions  none: nothing was decided yet, or not since then\n")
	}
	for _, g := range r.Effects {
		g.text(w)
	}
	for _, u := range r.Unknown {
		fmt.Fprintf(w, "\ncannot tell: %d, for want of %s\n", u.Count, u.Fact)
		for _, e := range u.Examples {
			fmt.Fprintf(w, "  %s\n", e)
		}
		if more := u.Count - len(u.Examples); more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
	fmt.Fprintf(w, "\n%d decisions and %d paths compared: %d unchanged, %d cannot be told, %d changed before, %d not by policies; ",
		r.Decisions, r.Paths, r.Unchanged, r.CannotTell, r.Already, r.Beside)
	if r.NewlyAllowed > 0 {
		fmt.Fprintf(w, "%d newly allowed\n", r.NewlyAllowed)
	} else {
		fmt.Fprintf(w, "nothing newly allowed\n")
	}
	if r.Incomplete {
		fmt.Fprintf(w, "not every combination of signatures was tried: a line of a gate has more than %d\n", maxSubsets)
	}
}
