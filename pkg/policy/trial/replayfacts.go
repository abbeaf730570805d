package trial

import (
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// settled reports whether one of the reasons stands whatever else were known.
func settled(reasons []reason.Reason) bool {
	for _, r := range reasons {
		switch r.Code {
		case reason.CheckFailed, reason.KeyForbidden, reason.NoGatePolicy, reason.TriggerRefused, reason.PolicyConflict:
			return true
		}
	}
	return false
}

// unknown reports whether a set could not tell.
func unknown(reasons []reason.Reason) bool {
	for _, r := range reasons {
		if r.Code == reason.Undecided {
			return true
		}
	}
	return false
}

// facts names what is needed and was not kept.
func facts(needs policy.Needs, asked *policy.Asked) string {
	if cut := needs & asked.Cut; cut != 0 {
		return cut.String() + ": too large to be kept"
	}
	if lacks := needs &^ asked.Facts.Known; lacks != 0 {
		return lacks.String() + ": not looked up then"
	}
	return "facts: they could not be looked up then"
}

// unseen says which signatures could have stood there unnoticed and decide: a gate looks for those that its policies
// need, and no longer than it takes.
func unseen(demand policy.Demand, formats []string, asked *policy.Asked, refused bool) string {
	looked := policy.Looked{Early: true}
	if asked.Looked != nil && asked.Cut&policy.NeedSignatures == 0 {
		looked = *asked.Looked
	}
	if f := demand.Forbidden(); len(f) > 0 && (looked.Early || !within(f, looked.Keys) || !within(formats, looked.Formats)) {
		return "signatures by " + strings.Join(f, ", ") + ": not looked for then"
	}
	if refused && (looked.Early || !within(demand.Keys(), looked.Keys) || !within(demand.Formats(), looked.Formats)) {
		return "further signatures: not looked for then"
	}
	return ""
}

func within(few, many []string) bool {
	for _, s := range few {
		if !contains(many, s) {
			return false
		}
	}
	return true
}

// besidePolicies reports whether a decision that no question was kept of is none that policies make: the artifact was gone,
// its path could not be followed, and so on. Reasons of policies name their rule, or that there is none.
func besidePolicies(p policy.Past) bool {
	for _, r := range p.Reasons {
		if r.Rule != "" || r.Code == reason.NoGatePolicy || r.Code == reason.NoPolicy {
			return false
		}
	}
	return len(p.Reasons) > 0
}

// recorded is what was decided. It is stuck when policies had nothing against it and something else had.
func recorded(p policy.Past, asked *policy.Asked) (a answer, stuck bool) {
	own := p.Reasons[:min(max(asked.Refused, 0), len(p.Reasons))]
	a = answer{reasons: own, rules: []string{p.Rule}}
	no, yes := "deny", "sign"
	if p.Kind == policy.PastGate {
		no, yes = "refuse", "allow"
	}
	switch {
	case len(own) > 0:
		a.outcome = no
	case p.Outcome == "denied" || p.Outcome == "refused":
		a.outcome, a.reasons = no, p.Reasons
		return a, true
	case p.Outcome == "signed" || p.Outcome == "allowed":
		a.outcome, a.orders = yes, asked.Granted
	default:
		a.outcome = "skip"
	}
	return a, false
}
