package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/artifact"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// Judge returns why the evidence does not suffice, one reason for every rule that is not met; none means that the
// signatures are in order. A rule that is met whenever another one is, which is not met, is left out: what is told is the
// least that has to be done. Evidence that no rule needs is not held against the artifact. Checks and policies that only
// warn are not asked: Weigh does.
func (d Demand) Judge(found []Evidence) []reason.Reason {
	if len(d.gates) == 0 {
		return []reason.Reason{d.noGate()}
	}
	return d.signatures(slices.DeleteFunc(slices.Clone(d.gates), func(g *gateRule) bool { return g.warn }), found)
}

// Weigh is the whole answer: the signatures and the checks, of the policies that enforce and of those that warn. The
// demand must know what it is about: see About.
func (d Demand) Weigh(found []Evidence) (refused, warnings []reason.Reason) {
	refused = append(d.Judge(found), d.ask(false)...)
	var warn []*gateRule
	for _, g := range d.gates {
		if g.warn {
			warn = append(warn, g)
		}
	}
	return refused, append(d.signatures(warn, found), d.ask(true)...)
}

// Enough reports whether more signatures would change nothing: every policy, also one that only warns, has what it asks
// for.
func (d Demand) Enough(found []Evidence) bool {
	return len(d.gates) > 0 && len(d.signatures(d.gates, found)) == 0
}

// ask runs the checks of the policies that warn, or of those that do not.
func (d Demand) ask(warn bool) []reason.Reason {
	var out []reason.Reason
	q := question{subject: artifact.Subject{Info: artifact.Info{Ref: d.target}}, at: d.now(), facts: &Facts{}}
	if d.question != nil {
		q = *d.question // a copy: what it spends is its own
	}
	for _, g := range d.gates {
		if g.warn != warn {
			continue
		}
		out = append(out, failed(g.checks, &q)...)
	}
	return out
}

// signatures judges evidence by some policies.
func (d Demand) signatures(gates []*gateRule, found []Evidence) []reason.Reason {
	type unmet struct {
		gate *gateRule
		requirement
		have []string
	}
	var all []unmet
	var out []reason.Reason
	for _, g := range gates {
		for _, r := range g.requirements {
			if have := r.signers(found, d.now()); len(have) < r.count {
				all = append(all, unmet{g, r, have})
			}
		}
		if r := d.forbidden(g, found); r != nil {
			out = append(out, *r)
		}
	}
	for i, u := range all {
		implied := false
		for j, other := range all {
			implied = implied || j != i && other.implies(u.requirement) && (j < i || !u.implies(other.requirement))
		}
		if !implied {
			out = append(out, d.refusal(u.gate, d.fitting(u.requirement), u.have, found))
		}
	}
	return out
}

// forbidden says which key must not have signed and has.
func (d Demand) forbidden(g *gateRule, found []Evidence) *reason.Reason {
	i := slices.IndexFunc(found, func(e Evidence) bool { return e.signed() && slices.Contains(g.forbidden, e.Key) })
	if i < 0 {
		return nil
	}
	e, ref := found[i], d.subject()
	seen := e.File + " by " + e.Key
	if e.Kept {
		seen = fmt.Sprintf("the ledger's record of a signature of these bytes by %s, made %s; no file of it stands with the artifact any more", e.Key, minute(e.At))
	}
	return &reason.Reason{
		Code: reason.KeyForbidden, Message: fmt.Sprintf("%s is signed with the key %s, which %s forbids", ref.Name(), e.Key, d.target.Repo),
		Found: seen, Expected: "no signature of these bytes by " + strings.Join(clip(g.forbidden), ", "),
		Would: "with bytes that " + strings.Join(clip(g.forbidden), ", ") + " never signed",
		Fix:   "build it anew for " + d.target.Repo + ": what these keys have signed stays outside", Who: g.owner, Rule: g.forbids,
	}
}
