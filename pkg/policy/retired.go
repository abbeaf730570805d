package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Retirements tells where the set rests on keys whose time is over at a moment, or will be: signing policies that deny what
// they match, and gates that nothing newly signed can pass. Policies that only warn are among them. Such a set loads,
// because what was signed in time is still to be judged by it.
func (s *Set) Retirements(at time.Time) []string {
	var out []string
	for _, p := range s.signing {
		for _, o := range p.orders {
			since := s.vocabulary.retired(o.Key)
			switch {
			case since.IsZero():
			case at.Before(since):
				out = append(out, fmt.Sprintf("%s signs with %s, which is retired from %s on; name another key until then", p.rule, o.Key, minute(since)))
			default:
				out = append(out, fmt.Sprintf("%s signs with %s, which is retired since %s, so what it matches is denied; name another key in %s", p.rule, o.Key, minute(since), p.source()))
			}
		}
	}
	for _, g := range s.gates {
		for _, r := range g.requirements {
			use := slices.DeleteFunc(slices.Clone(r.keys), func(k string) bool {
				since := s.vocabulary.retired(k)
				return !since.IsZero() && !at.Before(since)
			})
			if len(use) < r.count {
				out = append(out, fmt.Sprintf("%s demands %s, and too few of these keys are in use: only what was signed in their time can pass; add a key", r.rule, strings.Join(r.keys, ", ")))
			}
		}
	}
	return out
}

// FirstRetired is the earliest moment at which a key that the demand counts or forbids is retired; zero when none is.
func (d Demand) FirstRetired() time.Time {
	var first time.Time
	for _, key := range slices.Concat(d.Keys(), d.Forbidden()) {
		if at := d.set.vocabulary.retired(key); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// minute is a moment as messages tell it.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
