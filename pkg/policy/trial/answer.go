package trial

import (
	"slices"
	"strings"

	"github.com/hallmark-signing/hallmark/pkg/policy"
	"github.com/hallmark-signing/hallmark/pkg/reason"
)

// answer is what a set says to a case.
type answer struct {
	outcome string // sign, skip, deny; allow, refuse
	orders  []policy.Order
	skip    string
	reasons []reason.Reason
	warns   []reason.Reason
	rules   []string // names and places of the rules that made the answer
	rough   bool     // the outcome is certain, and not all the reasons are
}

// ask puts a case to a set.
func ask(set *policy.Set, c *Case) answer {
	if c.gate {
		demand, _ := set.Demand(c.target)
		if c.artifact.Repo != "" {
			demand = demand.For(c.artifact)
		}
		return judged(demand.About(c.request.Subject, c.request.Facts, c.request.At), c.evidence)
	}
	return decided(set.Decide(c.request))
}

func decided(d policy.Decision) answer {
	a := answer{outcome: "sign", skip: d.Skip, reasons: d.Denied, warns: d.Warnings}
	for _, rule := range d.Matched {
		conflict := len(d.Denied) > 0 && d.Denied[0].Code == reason.PolicyConflict
		if conflict || rule == d.Rule {
			a.rules = append(a.rules, policyOf(rule), rule)
		}
	}
	switch {
	case len(d.Denied) > 0:
		a.outcome = "deny"
	case d.Skip != "":
		a.outcome = "skip"
	default:
		a.orders = d.Grant.Orders()
	}
	for _, r := range slices.Concat(d.Denied, d.Warnings) {
		a.rules = append(a.rules, policyOf(r.Rule), r.Rule)
	}
	return a
}

func judged(demand policy.Demand, found []policy.Evidence) answer {
	a := answer{outcome: "allow"}
	a.reasons, a.warns = demand.Weigh(found)
	for _, r := range a.warns {
		a.rules = append(a.rules, policyOf(r.Rule), r.Rule)
	}
	if len(a.reasons) == 0 {
		for _, r := range demand.Requirements() {
			a.rules = append(a.rules, policyOf(r.Rule), r.Rule)
		}
		a.rules = append(a.rules, strings.Split(demand.Rule(), ", ")...)
		return a
	}
	a.outcome = "refuse"
	for _, r := range a.reasons {
		if r.Rule != "" {
			a.rules = append(a.rules, policyOf(r.Rule), r.Rule)
		}
	}
	return a
}

// signed is what a demand says of signatures alone.
func signed(demand policy.Demand, found []policy.Evidence) answer {
	a := answer{outcome: "allow", reasons: demand.Judge(found)}
	if len(a.reasons) > 0 {
		a.outcome = "refuse"
	}
	return a
}

// policyOf takes the name out of a place, "file:line (name)".
func policyOf(place string) string {
	return strings.TrimSuffix(place[strings.LastIndex(place, "(")+1:], ")")
}

// codes lists the answer's reason codes, sorted.
func (a answer) codes() []string { return codesOf(a.reasons) }

func codesOf(reasons []reason.Reason) []string {
	out := []string{}
	for _, r := range reasons {
		out = append(out, string(r.Code))
	}
	slices.Sort(out)
	return out
}

// text is the answer in one phrase.
func (a answer) text() string {
	switch {
	case len(a.orders) > 0:
		return a.outcome + " with " + ordersText(a.orders)
	case len(a.reasons) > 0:
		return a.outcome + " (" + strings.Join(a.codes(), ", ") + ")"
	}
	return a.outcome
}

func ordersText(orders []policy.Order) string {
	parts := make([]string, len(orders))
	for i, o := range orders {
		parts[i] = o.Key + " (" + strings.Join(o.Formats, ", ") + ")"
	}
	return strings.Join(parts, " and ")
}

func sameOrders(a, b []policy.Order) bool {
	return slices.EqualFunc(a, b, func(x, y policy.Order) bool { return x.Key == y.Key && slices.Equal(x.Formats, y.Formats) })
}
