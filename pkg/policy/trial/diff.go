package trial

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/policy"
)

// Diff is everything that a comparison found.
type Diff struct {
	Before       Side     `json:"before"`
	After        Side     `json:"after"`
	Policies     []Change `json:"policies"`
	Settings     []string `json:"settings"` // what differs in the words that the cases of both sides bring: keys and noMatch
	Cases        int      `json:"cases"`
	Paths        int      `json:"paths"` // of the inventory
	NewlyAllowed int      `json:"newlyAllowed"`
	Effects      []Group  `json:"effects"` // the gravest first
	Incomplete   bool     `json:"incomplete"`
}

// Side is one of the two directories.
type Side struct {
	Dir       string          `json:"dir"`
	PolicySet artifact.Digest `json:"policySet"`
}

// Diff tells what was found so far.
func (c *Comparison) Diff() Diff {
	d := Diff{
		Before:   Side{c.old.Dir, c.old.Set.Digest()},
		After:    Side{c.new.Dir, c.new.Set.Digest()},
		Policies: changes(c.old.Set, c.new.Set),
		Settings: settings(c.old.Language, c.new.Language),
		Cases:    c.cases, Paths: c.paths, Effects: []Group{}, Incomplete: c.unsure,
	}
	for _, effect := range effects {
		if g := c.groups[effect]; g != nil {
			d.Effects = append(d.Effects, *g)
			if effect == NewlyAllowed {
				d.NewlyAllowed = g.Count
			}
		}
	}
	return d
}

func settings(old, new Language) []string {
	out := []string{}
	if old.NoMatch != new.NoMatch {
		out = append(out, fmt.Sprintf("noMatch was %s and is %s", old.NoMatch, new.NoMatch))
	}
	for _, k := range old.Keys {
		if !slices.ContainsFunc(new.Keys, k.Same) {
			out = append(out, fmt.Sprintf("there was a %s key %s%s", k.Lane, k.Name, window(k)))
		}
	}
	for _, k := range new.Keys {
		if !slices.ContainsFunc(old.Keys, k.Same) {
			out = append(out, fmt.Sprintf("there is a %s key %s%s", k.Lane, k.Name, window(k)))
		}
	}
	return out
}

func window(k policy.Key) string {
	text := ""
	if !k.From.IsZero() {
		text = ", in use from " + k.From.UTC().Format(time.RFC3339) + " on"
	}
	if !k.Retired.IsZero() {
		text += ", retired from " + k.Retired.UTC().Format(time.RFC3339) + " on"
	}
	return text
}

// titles are the effects as people read them.
var titles = map[string]string{
	NewlyAllowed:     "NEWLY ALLOWED by a gate",
	NewlyRefused:     "newly refused",
	NewlySigned:      "newly signed",
	NoLongerSigned:   "no longer signed",
	SignedOtherwise:  "signed otherwise",
	NoLongerRefused:  "no longer refused",
	RefusedOtherwise: "refused for other reasons",
}

// Text prints the diff as the CLI does.
func (d Diff) Text(w io.Writer) {
	fmt.Fprintf(w, "before  %s  policy set sha256:%s\nafter   %s  policy set sha256:%s\n", d.Before.Dir, d.Before.PolicySet, d.After.Dir, d.After.PolicySet)
	fmt.Fprintf(w, "\npolicies\n")
	if len(d.Policies)+len(d.Settings) == 0 {
		fmt.Fprintf(w, "  none added, removed or changed\n")
	}
	for _, c := range d.Policies {
		fmt.Fprintf(w, "  %-7s  %s\n", c.Change, c.Rule)
		for _, line := range c.Before {
			fmt.Fprintf(w, "    - %s\n", line)
		}
		for _, line := range c.After {
			fmt.Fprintf(w, "    + %s\n", line)
		}
	}
	for _, s := range d.Settings {
		fmt.Fprintf(w, "  %s\n", s)
	}
	for _, g := range d.Effects {
		g.text(w)
	}
	fmt.Fprintf(w, "\n%d cases and %d paths compared, %s\n", d.Cases, d.Paths, d.verdict())
	if d.Incomplete {
		fmt.Fprintf(w, "not every combination of signatures was tried: a line of a gate has more than %d\n", maxSubsets)
	}
}

// text prints the group with its examples.
func (g Group) text(w io.Writer) {
	about := ""
	if g.Because != "" {
		about = ", " + g.Because
	}
	fmt.Fprintf(w, "\n%s: %d%s\n", titles[g.Effect], g.Count, about)
	for _, e := range g.Examples {
		fmt.Fprintf(w, "  %s, %s\n", e.Artifact, e.Given)
		if e.Then != "" {
			fmt.Fprintf(w, "    then    %s\n", e.Then)
		}
		fmt.Fprintf(w, "    before  %s\n    after   %s\n    from    %s\n", e.Before, e.After, e.Source)
		if g.Effect == NewlyRefused || g.Effect == NoLongerSigned {
			for _, r := range e.Reasons {
				fmt.Fprint(w, r.Text())
			}
		}
	}
	if more := g.Count - len(g.Examples); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
}

func (d Diff) verdict() string {
	if d.NewlyAllowed > 0 {
		return fmt.Sprintf("%d newly allowed", d.NewlyAllowed)
	}
	return "nothing newly allowed"
}
